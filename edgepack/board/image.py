"""How is the virtual board built: a kernel, an initial disk with its drivers, a disk with Python and an ssh server?"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edgepack import proc
from edgepack.board import cpio, packages
from edgepack.errors import MissingError
from edgepack.store import key_of

FOLDER = Path(__file__).parent
SOURCES = ("board-init", "cpio.py", "image.py", "initrd-init", "packages.py")
"""What a board depends on: when one of these changes, it is built anew."""

KEPT_S = 30 * 86400.0
PROGRAMS = {
    "apt-get": "apt",
    "mke2fs": "e2fsprogs",
    "ssh-keygen": "openssh-client",
    "qemu-system-aarch64": "qemu-system-arm",
}
"""What building and starting need, and the Debian package that has it."""

KERNEL = "linux-image-cloud-arm64"
WANTED = ("python3", "libstdc++6", "openssh-server", "busybox-static", "dash", "coreutils")
# The kernel has ext4 built in; the drivers of QEMU's devices are modules.
MODULES = (
    *("drivers/virtio/virtio.ko", "drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio_mmio.ko"),
    *("drivers/block/virtio_blk.ko", "net/core/failover.ko", "drivers/net/net_failover.ko"),
    "drivers/net/virtio_net.ko",
)
DISK_MIB = 1024
MAKE_S = 300.0


def cache() -> Path:
    """Where boards are kept: ``$XDG_CACHE_HOME/edgepack/board``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "edgepack" / "board"


def program(name: str) -> str:
    """Where one of `PROGRAMS` is.

    Raises:
        MissingError: It is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        wanted = sorted({package for name, package in PROGRAMS.items()})
        raise MissingError(
            f"the virtual board needs {name}, which is not installed",
            fix=f"on Debian or Ubuntu: apt-get install --no-install-recommends {' '.join(wanted)}",
        )
    return found


def ready(say: Callable[[str], None]) -> Path:
    """The folder of the board, which is built when it is not there.

    Args:
        say: Called with one line before each longer step.

    Returns:
        A folder with ``vmlinuz``, ``initrd``, ``board.ext4``, ``id_board`` and ``host_key.pub``.

    Raises:
        MissingError: A program or a package is not there.
    """
    folder = cache() / key_of(*((FOLDER / name).read_text() for name in SOURCES))
    if folder.is_dir():
        os.utime(folder)
        return folder
    for name in PROGRAMS:
        program(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    say("building the virtual board from Debian packages: once, about a minute, 100 MB to download")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-") as work:
        made = Path(work, "board")
        made.mkdir()
        _build(Path(work), made, say)
        for older in folder.parent.glob("[0-9a-f]*"):
            if time.time() - older.stat().st_mtime > KEPT_S:
                shutil.rmtree(older, ignore_errors=True)
        made.rename(folder)
    say(f"the board was built in {time.monotonic() - began:.0f} s, into {folder}")
    return folder


def disk(folder: Path, target: Path, size_mib: int) -> None:
    """Make a file into a disk with a copy of a folder in it.

    Raises:
        MissingError: It does not fit.
    """
    target.unlink(missing_ok=True)
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0", "-m", "0"]
    done = proc.run([program("mke2fs"), *options, "-d", str(folder), str(target), f"{size_mib}M"], timeout_s=MAKE_S)
    if done.returncode != 0:
        raise MissingError(f"the board's disk cannot be made: {done.tail()}", fix="make room on this machine's disk")


def _build(work: Path, made: Path, say: Callable[[str], None]) -> None:
    apt = packages.Apt(work / "apt", "arm64")
    apt.update()
    say("downloading the board's packages")
    kernel, root = work / "kernel", work / "root"
    packages.unpack(apt.fetch_alone(KERNEL), kernel)
    (root / "usr").mkdir(parents=True)
    for name in packages.MERGED:
        (root / "usr" / name).mkdir()
        (root / name).symlink_to(f"usr/{name}")
    fetched = apt.fetch(WANTED)
    say(f"unpacking {len(fetched)} packages")
    for package in fetched:
        packages.unpack(package, root)
    _settle(root, made)
    (image,) = (kernel / "boot").glob("vmlinuz-*")
    shutil.copyfile(image, made / "vmlinuz")
    _initrd(kernel / "usr" / "lib" / "modules" / image.name.removeprefix("vmlinuz-") / "kernel", root, work, made)
    disk(root, made / "board.ext4", DISK_MIB)


def _settle(root: Path, made: Path) -> None:
    """What the packages' scripts would do, in so far as Python and an ssh server need it; and the keys."""
    for name in ("dev", "proc", "sys", "run", "tmp", "mnt", "root/.cache", "root/.ssh", "etc/ssh", "var/empty"):
        (root / name).mkdir(parents=True, exist_ok=True)
    etc = root / "etc"
    users = {"root": (0, "/root", "/bin/sh"), "sshd": (100, "/run/sshd", "/usr/sbin/nologin")}
    users["nobody"] = (65534, "/nonexistent", "/usr/sbin/nologin")
    (etc / "passwd").write_text("".join(f"{n}:x:{i}:{i}:{n}:{home}:{sh}\n" for n, (i, home, sh) in users.items()))
    (etc / "shadow").write_text("".join(f"{name}:*:19700:0:99999:7:::\n" for name in users))
    (etc / "group").write_text("".join(f"{name}:x:{number}:\n" for name, (number, _, _) in users.items()))
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    (etc / "hostname").write_text("board\n")
    (etc / "hosts").write_text("127.0.0.1 localhost board\n")
    # Who made the disk need not have been root, and then the files are not root's on the board.
    (etc / "ssh" / "sshd_config").write_text(
        "HostKey /etc/ssh/host_key\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nUseDNS no\n"
        "AuthorizedKeysFile /root/.ssh/authorized_keys\nPermitRootLogin prohibit-password\n"
    )
    for name, link in (("usr/bin/sh", "dash"), ("usr/bin/python3", "python3.11")):
        if not (root / name).is_symlink():
            (root / name).symlink_to(link)
    init = root / "sbin" / "board-init"
    shutil.copyfile(FOLDER / "board-init", init)
    init.chmod(0o755)
    for key in (made / "id_board", etc / "ssh" / "host_key"):
        words = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "board", "-f", str(key)]
        proc.run(words, timeout_s=60)
    shutil.copyfile(made / "id_board.pub", root / "root" / ".ssh" / "authorized_keys")
    shutil.copyfile(etc / "ssh" / "host_key.pub", made / "host_key.pub")


def _initrd(modules: Path, root: Path, work: Path, made: Path) -> None:
    folder = work / "initrd"
    for name in ("bin", "dev", "disk", "modules"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(root / "usr" / "bin" / "busybox", folder / "bin" / "busybox")
    shutil.copyfile(FOLDER / "initrd-init", folder / "init")
    for path in (folder / "bin" / "busybox", folder / "init"):
        path.chmod(0o755)
    for name in MODULES:
        shutil.copyfile(modules / name, folder / "modules" / Path(name).name)
    (made / "initrd").write_bytes(cpio.pack(folder))
