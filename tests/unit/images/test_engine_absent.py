"""What is said and left to copy where no engine answers?"""

import shlex
import socket
from pathlib import Path

import pytest

from edgepack import resources
from edgepack.errors import MissingError
from edgepack.images import engine


@pytest.mark.parametrize("kind", ["absent", "refusing", "not a socket"])
def test_an_engine_that_does_not_answer_is_named_with_the_reason(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    if kind == "refusing":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif kind == "not a socket":
        path.write_text("x")
    host = f"unix://{path}"
    with pytest.raises(MissingError) as caught:
        engine.connect(host)
    assert caught.value.exit_code == 3
    assert host in caught.value.message and "start one" in caught.value.fix
    expected = "No such file or directory" if kind == "absent" else "Connection refused"
    assert engine.status(host) == engine.Status(None, f"no container engine answers at {host}: {expected}")
    assert engine.available(host) is None


def test_the_usual_address_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert "unix:///nowhere/docker.sock" in engine.status().reason


def test_the_command_to_copy_is_one_that_a_shell_reads_back() -> None:
    line = engine.build_command(Path("/out dir/image"), "edgepack/digits:x", "linux/arm64", "python:3.11-slim")
    argv = shlex.split(line)
    assert argv[:2] == ["docker", "build"] and argv[-1] == "/out dir/image"
    pairs = dict(zip(argv[2:-1:2], argv[3:-1:2], strict=True))
    assert pairs == {
        "--network": "none",
        "--platform": "linux/arm64",
        "--tag": "edgepack/digits:x",
        "--build-arg": "BASE_IMAGE=python:3.11-slim",
    }


def test_shipped_folders_are_found_and_others_are_not() -> None:
    assert (resources.folder("containers") / "cpu" / "Dockerfile").is_file()
    with pytest.raises(MissingError, match="'no-such-folder' is not part of this installation"):
        resources.folder("no-such-folder")
