import subprocess
from pathlib import Path

from edgepack.board import cpio


def folder(path: Path) -> Path:
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "tool").write_bytes(b"#!x\n")
    (path / "bin" / "tool").chmod(0o755)
    (path / "init").write_text("start")
    return path


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    assert cpio.pack(folder(tmp_path / "a")) == cpio.pack(folder(tmp_path / "b"))


def test_the_archive_holds_the_files_and_a_console(tmp_path: Path) -> None:
    import gzip

    data = gzip.decompress(cpio.pack(folder(tmp_path / "a")))
    found, place = {}, 0
    while True:
        assert data[place : place + 6] == b"070701"
        fields = [int(data[place + 6 + 8 * i : place + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[place + 110 : place + 110 + name_size - 1].decode()
        place += -(-(110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            break
        found[name] = (mode, data[place : place + size], tuple(fields[9:11]))
        place += -(-size // 4) * 4
    assert found["bin/tool"] == (0o100755, b"#!x\n", (0, 0))
    assert found["init"][1] == b"start"
    assert found["dev/console"] == (0o20600, b"", (5, 1))
    assert found["bin"][0] == 0o40755


def test_the_scripts_of_the_board_are_scripts() -> None:
    for name in ("board-init", "initrd-init"):
        subprocess.run(["sh", "-n", str(Path(cpio.__file__).with_name(name))], check=True, timeout=30)
