"""Is a damaged file refused with one sentence, and one that holds HDF5 up given up?"""

import io
import json
import signal
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgepack.errors import RecipeError
from edgepack.keras_models import look as looking

CONFIG = {"class_name": "Sequential", "config": {"layers": []}}


def weights() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = np.arange(12.0).reshape(3, 4)
    return stream.getvalue()


def archive(path: Path, **members: str | bytes) -> Path:
    whole = {"metadata": json.dumps({"keras_version": "2.19.0"}), "config": json.dumps(CONFIG), **members}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in whole.items():
            packed.writestr(name if "." in name else f"{name}.json", content)
        packed.writestr("model.weights.h5", weights())
    return path


def hdf5(path: Path, **attributes: object) -> Path:
    path.write_bytes(weights())
    with h5py.File(path, "r+") as file:
        file.attrs.update({"keras_version": "2.19.0", "model_config": json.dumps(CONFIG), **attributes})
    return path


def test_both_kinds_of_file_say_what_they_are(tmp_path: Path) -> None:
    for path in (archive(tmp_path / "m.keras"), hdf5(tmp_path / "m.h5")):
        assert looking.look(path) == looking.read(path) == looking.Saved("2.19.0", CONFIG)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", "[" * 3000, "{" + '"a":' * 3000])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    for path in (archive(tmp_path / "m.keras", config=text), hdf5(tmp_path / "m.h5", model_config=text)):
        with pytest.raises(RecipeError, match=r"readable|no model"):
            looking.read(path)


@pytest.mark.parametrize("text", ["", "null", "[]"])
def test_metadata_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match=r"is not a readable \.keras file"):
        looking.read(archive(tmp_path / "m.keras", metadata=text))


def test_weights_without_a_model_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(weights())
    with pytest.raises(RecipeError, match="holds weights and no model"):
        looking.look(path)


def test_an_archive_that_unpacks_without_end_is_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", **{"assets/zeros.bin": bytes(80 << 20)})
    with pytest.raises(RecipeError, match="unpack to 80 MiB"):
        looking.read(path)


def test_damaged_numbers_are_found_before_a_model_is_built(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "m.h5")
    content = bytearray(path.read_bytes())
    place = content.index(b"SNOD")
    content[place : place + 4] = b"XXXX"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="is not a readable HDF5 file"):
        looking.look(path)


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "HDF5 ended its process"),
        ("import time; time.sleep(60)", "HDF5 found no end of it"),
    ],
)
def test_a_library_that_crashes_or_hangs_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, message: str
) -> None:
    """A real process does what HDF5 does with some damaged files: an interpreter that begins with the deed."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\n{deed}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(looking, "TIMEOUT_S", 2)
    with pytest.raises(RecipeError, match=message) as caught:
        looking.look(hdf5(tmp_path / "m.h5"))
    assert "save or copy the model again" in caught.value.fix
