"""How is a folder packed as the archive that a Linux kernel unpacks at its start, the same bytes each time?"""

import gzip
from pathlib import Path

CONSOLE = (5, 1)
"""The device numbers of ``/dev/console``, without which the first process has no output."""


def pack(folder: Path) -> bytes:
    """A compressed newc archive of a folder, with ``/dev/console``.

    The format: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html.
    """
    parts = [_entry("dev", 0o40755, b"", 1), _entry("dev/console", 0o20600, b"", 2, CONSOLE)]
    for inode, path in enumerate(sorted(folder.rglob("*")), start=3):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            parts.append(_entry(name, 0o40755, b"", inode))
        else:
            parts.append(_entry(name, 0o100000 | path.stat().st_mode & 0o777, path.read_bytes(), inode))
    parts.append(_entry("TRAILER!!!", 0, b"", 0))
    return gzip.compress(b"".join(parts), 6, mtime=0)


def _entry(name: str, mode: int, content: bytes, inode: int, device: tuple[int, int] = (0, 0)) -> bytes:
    text = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(text), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + text
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
