"""Are the right wheels found, in the cache or through pip, and is it said exactly what is missing?"""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.errors import MissingError, RecipeError
from edgepack.images import wheels

MakeWheel = Callable[..., Path]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip sees one folder of this machine and no index; returns that folder."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def resolve(cache: Path, *names: str, platform: str = "linux/amd64", python: str = "3.11") -> tuple[wheels.Wheel, ...]:
    return wheels.resolve(names, platform=platform, python_version=python, cache=cache, progress=lambda line: None)


def test_tags_go_from_the_newest_to_the_oldest() -> None:
    tags = wheels.platform_tags("linux/amd64")
    assert tags[0] == "manylinux_2_36_x86_64" and tags[-1] == "manylinux1_x86_64"
    assert "manylinux_2_28_aarch64" in wheels.platform_tags("linux/arm64")
    assert not any("manylinux1_" in tag or "2010" in tag for tag in wheels.platform_tags("linux/arm64"))


@pytest.mark.parametrize("platform", ["linux/riscv64", "windows/amd64", "android/arm64", ""])
def test_an_unknown_platform_is_refused(platform: str) -> None:
    with pytest.raises(RecipeError, match="expected one of linux/amd64, linux/arm64"):
        wheels.platform_tags(platform)


@pytest.mark.parametrize("version", ["3", "311", "2.7", "3.11.2", "cp311"])
def test_an_odd_python_version_is_refused(version: str) -> None:
    with pytest.raises(RecipeError, match="a form like"):
        wheels.abi(version)


def test_pip_fills_the_cache_once(tmp_path: Path, offline: Path, make_wheel: MakeWheel) -> None:
    make_wheel(offline, "ep-native", "1.2", {"a.py": ""}, "cp311-cp311-manylinux_2_17_aarch64")
    make_wheel(offline, "ep-native", "1.2", {"b.py": ""}, "cp311-cp311-manylinux_2_28_aarch64")
    make_wheel(offline, "ep-native", "1.2", {"c.py": ""}, "cp311-cp311-manylinux_2_28_x86_64")
    cache, said = tmp_path / "cache", list[str]()
    for _ in range(2):
        (found,) = wheels.resolve(
            ["ep_native"], platform="linux/arm64", python_version="3.11", cache=cache, progress=said.append
        )
    assert found.path.name == "ep_native-1.2-cp311-cp311-manylinux_2_28_aarch64.whl"
    assert (found.name, found.version) == ("ep-native", "1.2")
    assert said == ["downloading ep-native for linux/arm64, Python 3.11"]
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []


def test_versions_are_those_of_this_machine(tmp_path: Path, offline: Path, make_wheel: MakeWheel) -> None:
    installed = importlib.metadata.version("numpy")
    for version in (installed, "99.0"):
        make_wheel(offline, "numpy", version, {}, "cp311-cp311-manylinux_2_28_x86_64")
    (found,) = resolve(tmp_path / "cache", "numpy")
    assert found.version == installed


def test_the_gpu_build_follows_its_twin_and_else_is_the_newest(
    tmp_path: Path, offline: Path, make_wheel: MakeWheel
) -> None:
    tag = "cp311-cp311-manylinux_2_28_x86_64"
    for version in ("0.9.0", "0.10.0"):
        make_wheel(offline, "onnxruntime-gpu", version, {}, tag)
    assert resolve(tmp_path / "one", "onnxruntime-gpu")[0].version == "0.10.0"
    twin = importlib.metadata.version("onnxruntime")
    make_wheel(offline, "onnxruntime-gpu", twin, {}, tag)
    make_wheel(offline, "onnxruntime-gpu", "99.0", {}, tag)
    assert resolve(tmp_path / "two", "onnxruntime-gpu")[0].version == twin


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp310-abi3-manylinux2014_x86_64", True),
        ("cp312-abi3-manylinux2014_x86_64", False),
        ("cp312-cp312-manylinux_2_28_x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("cp311-cp311-manylinux_2_28_aarch64", False),
        ("cp311-cp311-manylinux_2_39_x86_64", False),
    ],
)
def test_only_a_wheel_that_would_load_is_taken(tag: str, fits: bool, tmp_path: Path, make_wheel: MakeWheel) -> None:
    make_wheel(tmp_path / "cache", "ep-native", "1.0", {}, tag)
    if fits:
        assert resolve(tmp_path / "cache", "ep-native")[0].version == "1.0"
    else:
        with pytest.raises(MissingError):
            resolve(tmp_path / "cache", "ep-native")


def test_a_damaged_wheel_is_downloaded_again(tmp_path: Path, offline: Path, make_wheel: MakeWheel) -> None:
    source = make_wheel(offline, "ep-pure", "1.0", {"a.py": "x = 1"})
    cache = tmp_path / "cache"
    (found,) = resolve(cache, "ep-pure")
    found.path.write_bytes(b"torn")
    (again,) = resolve(cache, "ep-pure")
    assert again.path.read_bytes() == source.read_bytes() and again.sha256 == found.sha256


def test_what_is_missing_is_named_exactly(tmp_path: Path) -> None:
    wanted = f"numpy=={importlib.metadata.version('numpy')}"
    with pytest.raises(MissingError) as caught:
        resolve(tmp_path / "cache", "numpy", platform="linux/arm64")
    text = str(caught.value)
    assert caught.value.exit_code == 3
    assert f"{wanted} for linux/arm64 and CPython 3.11 is needed" in text and str(tmp_path / "cache") in text
    assert "No matching distribution" in text
