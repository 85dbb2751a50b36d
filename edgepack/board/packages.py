"""How do Debian packages of another architecture get here, with nothing installed on this machine?"""

import io
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from edgepack import proc
from edgepack.errors import MissingError

MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITE = "bookworm"
FETCH_S = 900.0

UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/bash-completion")
"""What nothing on the board reads."""

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders of the root that are links into usr."""


class Apt:
    """apt with folders of its own, so that it resolves and verifies packages for an empty machine.

    Args:
        folder: An empty folder for its lists and packages.
        architecture: Debian's name, such as ``arm64``.
    """

    def __init__(self, folder: Path, architecture: str) -> None:
        self.archives = folder / "cache" / "archives"
        for name in ("lists", "cache/archives", "state"):
            (folder / name / "partial").mkdir(parents=True)
        (folder / "state" / "status").touch()
        mirror = os.environ.get("DEBIAN_MIRROR", MIRROR)
        security = os.environ.get("DEBIAN_SECURITY_MIRROR", SECURITY_MIRROR)
        keyring = os.environ.get("DEBIAN_KEYRING", KEYRING)
        suites = (f"{mirror} {SUITE}", f"{mirror} {SUITE}-updates", f"{security} {SUITE}-security")
        lines = "".join(f"deb [signed-by={keyring}] {suite} main\n" for suite in suites)
        (folder / "sources.list").write_text(lines)
        options = {
            "APT::Architecture": architecture,
            "APT::Architectures::": architecture,
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::State": str(folder / "state"),
            "Dir::State::status": str(folder / "state" / "status"),
            "Dir::State::lists": str(folder / "lists"),
            "Dir::Cache": str(folder / "cache"),
            "Dir::Etc::sourcelist": str(folder / "sources.list"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Debug::NoLocking": "1",
        }
        self._folder = folder
        self._options = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Read the lists of packages.

        Raises:
            MissingError: They cannot be read.
        """
        self._run("apt-get", "-qq", "update")

    def fetch(self, names: Sequence[str]) -> list[Path]:
        """Download packages and all that they depend on; returns their files.

        Raises:
            MissingError: One cannot be downloaded.
        """
        self._run("apt-get", "-qq", "-y", "--download-only", "install", *names)
        return sorted(self.archives.glob("*.deb"))

    def fetch_alone(self, name: str) -> Path:
        """Download the one package that a meta-package stands for, without what it depends on; returns its file.

        Raises:
            MissingError: It cannot be downloaded.
        """
        told = self._run("apt-cache", "depends", name).splitlines()
        wanted = next(line.split()[-1] for line in told if line.strip().startswith("Depends:"))
        folder = self._folder / "alone"
        folder.mkdir(exist_ok=True)
        self._run("apt-get", "-qq", "download", wanted, cwd=folder)
        return next(folder.glob("*.deb"))

    def _run(self, program: str, *words: str, cwd: Path | None = None) -> str:
        done = proc.run([program, *self._options, *words], timeout_s=FETCH_S, cwd=cwd)
        if done.returncode != 0:
            raise MissingError(
                f"the board's Debian packages could not be fetched: {done.tail()}",
                fix="check the network and the disk, or name another mirror in DEBIAN_MIRROR",
            )
        return done.stdout


def unpack(package: Path, root: Path) -> None:
    """Put a package's files below a folder, with all programs and libraries below usr; no script of it is run.

    Raises:
        ValueError: It is no Debian package.
    """
    with package.open("rb") as file, tarfile.open(fileobj=_data(file), mode="r:*") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if any(path.is_relative_to(folder) for folder in UNREAD):
                continue
            target = root / ("usr" if path.parts[:1] and path.parts[0] in MERGED else "") / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.isdir():
                target.mkdir(exist_ok=True)
                continue
            target.unlink(missing_ok=True)
            if member.issym():
                target.symlink_to(member.linkname)
            elif member.islnk():
                shutil.copyfile(root / member.linkname, target)
                target.chmod(member.mode)
            elif member.isfile() and (content := archive.extractfile(member)) is not None:
                with content, target.open("wb") as copy:
                    shutil.copyfileobj(content, copy)
                target.chmod(member.mode)


def _data(package: IO[bytes]) -> IO[bytes]:
    """The archive of files inside a package, which is an ar archive of a few members (see `man 5 deb`)."""
    if package.read(8) != b"!<arch>\n":
        raise ValueError("not a Debian package")
    while header := package.read(60):
        name, size = header[:16].decode().strip(), int(header[48:58])
        if name.startswith("data.tar"):
            return io.BytesIO(package.read(size))
        package.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("a Debian package without files")
