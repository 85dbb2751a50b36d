"""Does each layer hold what it needs and nothing that was left out on purpose?"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.errors import MissingError, RecipeError
from edgepack.images import archive, facts, layers
from edgepack.runner import sessions

MakeWheel = Callable[..., Path]


@pytest.mark.parametrize(
    ("path", "pattern", "out"),
    [
        ("numpy/f2py/x.py", "numpy/f2py", True),
        ("numpy/f2py/x.py", "numpy/f2py/*", True),
        ("numpy/f2py_other.py", "numpy/f2py", False),
        ("numpy/core/tests/test_a.py", "**/tests", True),
        ("tests/test_a.py", "**/tests", True),
        ("numpy/testing/a.py", "**/tests", False),
        ("a/b/c.pyi", "*.pyi", True),
        ("a/b/libX.so.1", "a/*/libX.so*", True),
    ],
)
def test_globs_match_files_and_the_folders_above_them(path: str, pattern: str, out: bool) -> None:
    assert layers.excluded(path, [pattern]) is out


def test_a_wheel_lies_in_site_packages_as_an_installer_would_put_it(tmp_path: Path, make_wheel: MakeWheel) -> None:
    files = {
        "thing/__init__.py": "",
        "thing/tests/test_thing.py": "",
        "thing/big.so": "",
        "thing/__pycache__/x.pyc": "",
        "thing-1.0.data/platlib/native/a.so": "",
        "thing-1.0.data/scripts/thing": "",
        "thing-1.0.data/headers/thing.h": "",
        "thing-1.0.dist-info/licenses/tests/LICENSE.h": "",
        "thing-1.0.dist-info/COPYING": "",
    }
    path = make_wheel(tmp_path, "thing", "1.0", files)
    with zipfile.ZipFile(path) as wheel:
        found = {
            entry.path.removeprefix("opt/edgepack/site-packages/")
            for entry in layers.wheel_entries(wheel, ["*/big.so", "*/COPYING"])
        }
    assert found == {
        "thing/__init__.py",
        "native/a.so",
        "thing-1.0.dist-info/METADATA",
        "thing-1.0.dist-info/WHEEL",
        "thing-1.0.dist-info/licenses/tests/LICENSE.h",
        "thing-1.0.dist-info/COPYING",
    }


def test_two_packages_with_the_same_file_are_refused() -> None:
    entries = [archive.from_bytes(b"", "onnxruntime/__init__.py")]
    with pytest.raises(RecipeError, match="onnxruntime and onnxruntime-gpu both hold"):
        layers.refuse_doubles({"onnxruntime": entries, "onnxruntime-gpu": entries})


@pytest.mark.parametrize("runtime", sessions.names())
def test_every_session_says_what_its_image_must_hold(runtime: str) -> None:
    requirements, exclude = layers.session_needs([runtime])
    assert "numpy" in requirements
    assert all(isinstance(glob, str) and not glob.startswith("/") for glob in exclude)


def test_an_unknown_runtime_is_named_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"'litrt' is not known; expected one of .*litert"):
        layers.session_needs(["litrt"])


def test_the_runner_is_packed_whole_and_serving_where_the_family_serves() -> None:
    app = "opt/edgepack/app/edgepack"
    runner = {f"{app}/runner/__main__.py", f"{app}/runner/sessions/litert.py"}
    serving = {f"{app}/serving/__main__.py", f"{app}/serving/server.py"}
    for family in ("cpu", "gpu"):
        found = {entry.path for entry in layers.runner_entries(family)}
        assert runner | serving <= found
        assert all(path.endswith(".py") for path in found)
        assert "uvicorn" in layers.serving_needs(family)[0]
    phone = {entry.path for entry in layers.runner_entries("mobile")}
    assert runner <= phone and not phone & serving
    assert f"{app}/android/__main__.py" in phone
    assert layers.serving_needs("mobile") == ((), ())


def test_a_base_for_phones_needs_adb() -> None:
    def base(*names: str) -> facts.Facts:
        return facts.Facts("base", "id", debian=tuple(facts.DebianPackage(name, "1", "all", name) for name in names))

    assert layers.lacking("mobile", base("libc6")) == ("adb",)
    assert layers.lacking("mobile", base("adb", "libc6")) == layers.lacking("cpu", base("libc6")) == ()
    # Of an image without a list of packages, or without an engine, nothing is known.
    assert layers.lacking("mobile", None) == layers.lacking("mobile", facts.Facts("base", "id")) == ()


@pytest.mark.parametrize(
    "manifest",
    [
        "{not json",
        "{}",
        json.dumps({"artifacts": [{"file": "absent.onnx"}], "golden": {"file": "golden.npz"}}),
        json.dumps({"artifacts": [{"file": "../outside"}], "golden": {"file": "golden.npz"}}),
    ],
)
def test_a_bundle_that_is_not_complete_is_refused(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "golden.npz").write_bytes(b"")
    (bundle / "manifest.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(MissingError):
        list(layers.model_entries(bundle))
    with pytest.raises(MissingError, match=r"manifest\.json cannot be read"):
        list(layers.model_entries(tmp_path / "no-such-folder"))
