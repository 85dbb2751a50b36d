from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from small_bundles import write_bundle

from edgepack.errors import MissingError, RecipeError
from edgepack.transports import _packages
from edgepack.transports._packages import Machine, machine, runtimes

BOARD = {
    "machine": "aarch64",
    "system": "Linux",
    "bits": 64,
    "python": "3.11.2",
    "implementation": "CPython",
    "libc": "glibc",
    "libc_version": "2.36",
}


def test_a_board_says_for_what_wheels_are_wanted() -> None:
    assert machine(BOARD, "shelf") == Machine("linux/arm64", "3.11", 36)
    assert machine({**BOARD, "machine": "x86_64", "python": "3.13.0", "libc_version": "2.31"}, "shelf") == Machine(
        "linux/amd64", "3.13", 31
    )


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"machine": "armv7l", "bits": 32}, "shelf is Linux on armv7l with a Python of 32 bits"),
        ({"bits": 32}, "with a Python of 32 bits"),
        ({"system": "Darwin"}, "shelf is Darwin on aarch64"),
        ({"libc": "", "libc_version": ""}, "no glibc but another C library .musl"),
        ({"implementation": "PyPy"}, "the python3 of shelf is PyPy"),
    ],
)
def test_where_no_wheels_are_that_is_said_at_once(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(MissingError, match=text):
        machine({**BOARD, **changed}, "shelf")


def test_only_the_runtimes_that_are_asked_for_are_needed(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    assert runtimes(["verify", "--bundle", bundle]) == ("onnxruntime",)
    assert runtimes(["verify", "--bundle", bundle, "--artifact", "other.tflite"]) == ()
    assert runtimes(["bench", "--file", bundle / "model.float32.onnx"]) == ("onnxruntime",)
    (tmp_path / "model.tflite").write_bytes(b"")
    assert runtimes(["compare", tmp_path / "model.tflite", bundle]) == ("litert", "onnxruntime")
    assert runtimes(["bench", "--runtime", "openvino", "--bundle", bundle]) == ("openvino",)
    with pytest.raises(RecipeError, match=r"no runtime for 'golden\.npz'"):
        runtimes(["bench", "--file", bundle / "golden.npz"])


def test_the_runner_has_a_name_of_its_own_on_a_device() -> None:
    found = _packages.runner()
    assert {"edgepack_runner/__init__.py", "edgepack_runner/sessions/litert.py"} < {item.path for item in found.entries}
    assert all(item.path.startswith("edgepack_runner/") and "__pycache__" not in item.path for item in found.entries)


def test_an_unknown_runtime_needs_nothing_from_anywhere() -> None:
    with ExitStack() as stack, pytest.raises(RecipeError, match="the runtime 'torch' is not known"):
        _packages.packages(["torch"], Machine("linux/arm64", "3.11"), stack, print)
