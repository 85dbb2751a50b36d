"""Do the same files always give the same archive, and only harmless ones?"""

import tarfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.images import archive

NAMES = st.text("abcXYZ019._-é", min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))
# Folders and files have different first letters, so that no path is both.
PATHS = st.builds(
    lambda folders, file: "/".join([*(f"d{name}" for name in folders), f"f{file}"]),
    st.lists(NAMES, max_size=4),
    NAMES,
)


@given(files=st.dictionaries(PATHS, st.binary(max_size=50), max_size=8), seed=st.integers(0, 100))
def test_order_and_time_of_the_entries_do_not_matter(
    files: dict[str, bytes], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    entries = [archive.from_bytes(content, path) for path, content in files.items()]
    shuffled = list(entries)
    Random(seed).shuffle(shuffled)
    one = archive.write(folder / "one.tar", "model", entries)
    two = archive.write(folder / "two.tar", "model", shuffled)
    assert one.sha256 == two.sha256
    assert one.size_bytes == sum(map(len, files.values()))
    with tarfile.open(folder / "one.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == sorted(member.name for member in members)
        for member in members:
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
            assert member.mode == (0o755 if member.isdir() else 0o644)
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None and content.read() == files[member.name]


def test_permissions_and_times_of_the_sources_do_not_matter(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path, mode in ((first, 0o600), (second, 0o666)):
        path.write_bytes(b"same")
        path.chmod(mode)
    digests = {
        archive.write(tmp_path / "layer.tar", "model", [archive.from_path(path, "bundle/x")]).sha256
        for path in (first, second)
    }
    assert len(digests) == 1


def test_executables_stay_executable_and_the_epoch_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    tool = archive.Entry("bin/tool", 0, archive.from_bytes(b"", "x").open, executable=True)
    archive.write(tmp_path / "a.tar", "runtime", [tool], mtime_s=archive.source_date_epoch())
    with tarfile.open(tmp_path / "a.tar") as tar:
        member = tar.getmember("bin/tool")
        assert (member.mode, member.mtime) == (0o755, 1700000000)


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", "a//b", "./a"])
def test_a_path_that_is_not_plain_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not plain"):
        archive.write(tmp_path / "a.tar", "model", [archive.from_bytes(b"", path)])


def test_two_files_at_one_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two files"):
        archive.write(tmp_path / "a.tar", "model", [archive.from_bytes(b"", "a"), archive.from_bytes(b"", "a")])
