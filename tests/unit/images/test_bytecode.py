"""Is bytecode made on the host what a read-only container needs, and always the same?"""

import marshal
import sys
from pathlib import Path

from edgepack.images import archive, bytecode

SOURCES = {
    "opt/app/one.py": "WORDS = {'b', 'a', 'c'}\ndef f(x=(1, 2)):\n    return x in {'u', 'v', 'w'}\n",
    "opt/app/sub/two.py": "import one\n",
    "opt/app/broken.py": "def (:\n",
    "opt/app/data.txt": "text\n",
}
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def compiled(folder: Path) -> dict[str, bytes]:
    entries = [archive.from_bytes(text.encode(), path) for path, text in SOURCES.items()]
    found = bytecode.compile_entries(entries, folder, OWN, lambda line: None)
    content = {}
    for source, entry in found.items():
        with entry.open() as file:
            content[entry.path] = file.read()
        assert entry.path.startswith(source.rsplit("/", 1)[0] + "/__pycache__/")
    return content


def test_two_folders_give_the_same_bytes_with_paths_of_the_image(tmp_path: Path) -> None:
    one, two = compiled(tmp_path / "a"), compiled(tmp_path / "much-longer-name")
    assert one == two and len(one) == 2
    for content in one.values():
        assert content[4:8] == b"\x01\0\0\0"  # by hash, and never compared with the source
        assert marshal.loads(content[16:]).co_filename.startswith("/opt/app/")


def test_another_version_of_python_is_said_and_not_guessed(tmp_path: Path) -> None:
    said: list[str] = []
    entries = [archive.from_bytes(b"x = 1", "opt/x.py")]
    assert bytecode.compile_entries(entries, tmp_path, "3.4", said.append) == {}
    assert said == [f"the image starts slower: Python {OWN} here cannot compile modules for Python 3.4"]
