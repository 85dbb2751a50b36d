import io
import tarfile
from pathlib import Path

import pytest

from edgepack.board import image, packages
from edgepack.errors import MissingError


def deb(path: Path, files: dict[str, bytes], links: dict[str, str]) -> Path:
    """A Debian package with these files, as `man 5 deb` describes it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    parts = [b"!<arch>\n"]
    for name, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", data.getvalue())):
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content)
        parts.append(b"\n" * (len(content) % 2))
    path.write_bytes(b"".join(parts))
    return path


def test_a_package_is_unpacked_below_usr_without_what_nobody_reads(tmp_path: Path) -> None:
    files = {"bin/tool": b"new", "usr/lib/part": b"library", "usr/share/doc/tool/readme": b"text", "etc/set": b"x"}
    package = deb(tmp_path / "tool.deb", files, {"bin/other": "tool"})
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    packages.unpack(package, root)
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    assert found == {"usr/bin/tool", "usr/lib/part", "etc/set"}
    assert (root / "bin" / "other").read_bytes() == b"new"
    assert (root / "usr" / "bin" / "tool").stat().st_mode & 0o100


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_text("something else")
    with pytest.raises(ValueError, match="not a Debian package"):
        packages.unpack(tmp_path / "x.deb", tmp_path)


def test_a_missing_program_is_named_with_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image.shutil, "which", lambda name, path: None)
    with pytest.raises(MissingError) as caught:
        image.program("qemu-system-aarch64")
    assert "needs qemu-system-aarch64" in caught.value.message
    assert "qemu-system-arm" in caught.value.fix and "e2fsprogs" in caught.value.fix


def test_the_board_is_kept_where_caches_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert image.cache() == Path("/somewhere/edgepack/board")
