"""Small real wheels and bundles, so that packing is tested without a network and without an engine."""

import importlib.metadata
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgepack import serving

MakeWheel = Callable[..., Path]


@pytest.fixture
def make_wheel() -> MakeWheel:
    """Writes a wheel with the given files (name in the wheel: text) into a folder."""

    def make(folder: Path, name: str, version: str, files: Mapping[str, str], tag: str = "py3-none-any") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{name.replace('-', '_')}-{version}"
        path = folder / f"{stem}-{tag}.whl"
        metadata = {
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
            f"{stem}.dist-info/RECORD": "",
        }
        with zipfile.ZipFile(path, "w") as wheel:
            for file, text in {**files, **metadata}.items():
                wheel.writestr(file, text)
        return path

    return make


@pytest.fixture
def wheel_cache(tmp_path: Path, make_wheel: MakeWheel) -> Path:
    """A cache that holds what the onnxruntime session and serving ask for, in the versions installed here."""
    cache = tmp_path / "wheels"
    for name in ("numpy", "onnxruntime", *serving.REQUIREMENTS):
        folder = name.replace("-", "_")
        for machine in ("x86_64", "aarch64"):
            make_wheel(
                cache,
                name,
                importlib.metadata.version(name),
                {
                    f"{folder}/__init__.py": "VALUE = {'a', 'b'}\n",
                    f"{folder}/tests/test_it.py": "",
                    f"{folder}/x.h": "",
                },
                f"cp311-cp311-manylinux_2_28_{machine}",
            )
    return cache


@pytest.fixture
def make_bundle() -> Callable[[Path], Path]:
    """Writes a bundle whose files have the right names; nothing here runs them."""

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True)
        manifest = {
            "artifacts": [{"file": "model.float32.onnx", "runtimes": ["onnxruntime"]}],
            "golden": {"file": "golden.npz", "samples": 1},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (folder / "model.float32.onnx").write_bytes(b"model")
        (folder / "golden.npz").write_bytes(b"golden")
        return folder

    return make
