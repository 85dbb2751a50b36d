"""Is finished work told from half-finished work, and one run folder held by one process?"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import store
from edgepack.errors import MissingError, RecipeError
from edgepack.store import Store


def finish(keeper: Store, stage: str = "train", key: str = "k", text: str = "content") -> store.Entry:
    folder = keeper.begin(stage, key)
    (folder / "file").write_text(text)
    return keeper.commit(stage, key, folder, seconds=1.5, figures={"accuracy": 0.9})


def test_what_was_committed_is_found_as_it_was(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    made = finish(keeper)
    assert keeper.find("train", "k") == made
    assert (made.path.name, made.seconds, made.figures) == ("train-k", 1.5, {"accuracy": 0.9})
    assert (made.path / "file").read_text() == "content"
    assert not list(keeper.cache.glob(".tmp-*"))


def test_what_was_not_committed_is_not_found(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    folder = keeper.begin("train", "k")
    (folder / "file").write_text("half")
    assert keeper.find("train", "k") is None
    assert keeper.find("train", "other") is None


def test_a_stage_goes_on_only_from_what_has_its_own_key(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    (kept := keeper.checkpoints("train", "k")).mkdir(parents=True)
    assert not keeper.checkpoints("train", "other").exists()
    (others := keeper.checkpoints("compress-1", "k")).mkdir()
    finish(keeper)
    assert not kept.exists() and others.exists()


def test_beginning_again_begins_with_nothing(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    (keeper.begin("train", "k") / "file").write_text("half")
    assert list(keeper.begin("train", "k").iterdir()) == []


def test_an_entry_whose_record_is_damaged_is_made_again(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    made = finish(keeper)
    (made.path / "entry.json").write_text('{"digest": "')
    assert keeper.find("train", "k") is None
    assert finish(keeper, text="new").digest == keeper.find("train", "k").digest  # type: ignore[union-attr]


def test_forgetting_drops_one_entry(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    finish(keeper)
    finish(keeper, key="other")
    keeper.forget("train", "k")
    keeper.forget("train", "never")
    assert keeper.find("train", "k") is None
    assert keeper.find("train", "other") is not None


def test_figures_are_no_part_of_the_digest(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    first = finish(keeper)
    folder = keeper.begin("train", "slow")
    (folder / "file").write_text("content")
    second = keeper.commit("train", "slow", folder, seconds=99, figures={})
    assert first.digest == second.digest


def test_the_lock_cleans_what_a_killed_run_left(tmp_path: Path) -> None:
    keeper = Store(tmp_path)
    kept = finish(keeper)
    (keeper.begin("compress", "x") / "file").write_text("half")
    for name in (".tmp-target-1", ".old-target-1"):
        (tmp_path / name).mkdir()
    with keeper.locked():
        names = {path.name for path in tmp_path.rglob("*")}
        assert names == {"cache", ".lock", "train-k", "file", "entry.json"}
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert keeper.find("train", "k") == kept


HOLDER = """
import sys, time
from pathlib import Path
from edgepack.store import Store
with Store(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(300)
"""


def test_another_process_is_refused_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            with pytest.raises(RecipeError, match=rf"another edgepack run \(process {holder.pid}\)"):  # noqa: SIM117
                with Store(tmp_path).locked():
                    raise AssertionError("two runs in one folder")
        finally:
            holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        try:
            with Store(tmp_path).locked():
                return
        except RecipeError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_lock_is_free_again_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Store(tmp_path).locked():
        raise ZeroDivisionError
    with Store(tmp_path).locked():
        pass


def test_a_folder_that_is_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(MissingError, match="cannot be written"), Store(tmp_path / "out" / "digits").locked():
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(JSON, JSON)
def test_keys_depend_on_values_and_not_on_their_order(a: Any, b: Any) -> None:
    key = store.key_of("stage", a)
    assert key == store.key_of("stage", reordered(a))
    assert len(key) == 16 and int(key, 16) >= 0
    assert (key == store.key_of("stage", b)) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


def test_keys_stay_what_they_are() -> None:
    """A change of this value makes every user's finished stages run again."""
    assert store.key_of("stage", {"b": [1, 2.5, None], "a": "x"}, True) == "3a131be1f4a8f77c"


FILES = st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), st.binary(max_size=20), max_size=4)


@given(FILES, FILES)
def test_digests_of_folders_are_those_of_names_and_contents(
    tmp_path_factory: pytest.TempPathFactory, a: dict[str, bytes], b: dict[str, bytes]
) -> None:
    digests = []
    for files in (a, b):
        folder = tmp_path_factory.mktemp("tree")
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        (folder / "entry.json").write_text(str(folder))
        digests.append(store.tree_digest(folder))
    assert (digests[0] == digests[1]) == (a == b)


def test_a_files_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert store.file_digest(tmp_path / "file") == expected


def test_code_digests_cover_modules_and_packages() -> None:
    assert store.code_digest("dataset") != store.code_digest("userfiles")
    assert store.code_digest("data", "zoo") == store.code_digest("zoo", "data")
    assert store.code_digest("stages/data") != store.code_digest("data")
    with pytest.raises(FileNotFoundError):
        store.code_digest("no_such_module")


def test_versions_are_known_or_none() -> None:
    found = store.versions("pytest", "no-such-distribution")
    assert found == {"pytest": pytest.__version__, "no-such-distribution": None}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    store.write_atomic(path, "old")
    store.write_atomic(path, b"new")
    assert path.read_text() == "new"
    with pytest.raises(ValueError, match="JSON compliant"):
        store.write_json(path, {"value": float("nan")})
    assert path.read_text() == "new"
    with pytest.raises(OSError, match="directory"):
        store.write_atomic(tmp_path, "a folder stands there")
    store.write_json(path, {"b": 1, "a": [2]})
    assert json.loads(path.read_text()) == {"b": 1, "a": [2]}
    assert [item.name for item in tmp_path.iterdir()] == ["file.json"]


def test_a_full_disk_is_explained() -> None:
    """/dev/full says ENOSPC to every write, like a disk without room."""
    full = Path("/dev/full")
    with pytest.raises(MissingError, match="no space left for /dev/full") as caught, store.explain_os_errors(full):
        full.write_text("x")
    assert "--out" in caught.value.fix


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, "no space left for here"),
        (errno.EDQUOT, "no space left for here"),
        (errno.EROFS, "here cannot be written: Read-only file system"),
        (errno.EACCES, "here cannot be written: Permission denied"),
    ],
)
def test_what_the_system_refuses_is_explained(code: int, expected: str) -> None:
    with pytest.raises(MissingError, match=expected), store.explain_os_errors(Path("here")):
        raise OSError(code, os.strerror(code))


def test_other_failures_are_left_as_they_are() -> None:
    with pytest.raises(OSError, match="Input/output error"), store.explain_os_errors(Path("here")):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
