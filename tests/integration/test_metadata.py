"""Do mobile libraries find labels, normalisation and a description in a ``.tflite`` file?"""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgepack.contracts import ExportContext, Preprocessing

# TensorFlow and Keras warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

LABELS = ("boot", "bag", "coat")


class Table:
    """A FlatBuffer table read by the format's own rules (https://flatbuffers.dev/internals)."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at

    def _slot(self, slot: int) -> int | None:
        vtable = self.at - struct.unpack_from("<i", self.content, self.at)[0]
        if 4 + 2 * slot >= struct.unpack_from("<H", self.content, vtable)[0]:
            return None
        offset = struct.unpack_from("<H", self.content, vtable + 4 + 2 * slot)[0]
        return self.at + offset if offset else None

    def _target(self, slot: int) -> int:
        place = self._slot(slot)
        assert place is not None, slot
        return int(place + struct.unpack_from("<I", self.content, place)[0])

    def text(self, slot: int) -> str:
        start = self._target(slot)
        return self.content[start + 4 : start + 4 + struct.unpack_from("<I", self.content, start)[0]].decode()

    def number(self, slot: int) -> int:
        place = self._slot(slot)
        return 0 if place is None else self.content[place]

    def floats(self, slot: int) -> list[float]:
        start = self._target(slot)
        return list(
            struct.unpack_from(f"<{struct.unpack_from('<I', self.content, start)[0]}f", self.content, start + 4)
        )

    def table(self, slot: int) -> "Table":
        return Table(self.content, self._target(slot))

    def tables(self, slot: int) -> list["Table"]:
        if self._slot(slot) is None:
            return []
        start = self._target(slot)
        places = [start + 4 + 4 * index for index in range(struct.unpack_from("<I", self.content, start)[0])]
        return [Table(self.content, place + struct.unpack_from("<I", self.content, place)[0]) for place in places]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of an image model and one of a model of features, which has no labels."""
    import tf_keras
    from tf_keras import Sequential, layers

    from edgepack.formats import tflite
    from edgepack.keras_models.save import save

    tf_keras.utils.set_random_seed(0)
    image = [layers.InputLayer((8, 8, 3), name="photo"), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]
    features = [layers.InputLayer((6,), name="row"), layers.Dense(2)]
    made = {}
    for name, stack in (("image", image), ("features", features)):
        folder = tmp_path_factory.mktemp(name)
        save(Sequential(stack, name=name), folder / "model.h5")
        preprocessing = Preprocessing(scale=1 / 64, offset=-2)
        context = ExportContext(
            folder / "model.h5", None, _none(), _refuse, name, labels=LABELS, preprocessing=preprocessing
        )
        tflite.convert(tflite.Config(precision="float32"), folder / "model.tflite", context=context)
        made[name] = (folder / "model.tflite").read_bytes()
    return made


def _none() -> Any:
    import numpy as np

    return np.zeros((0,), np.float32)


def _refuse(kind: str, precision: Any) -> Path:
    raise AssertionError("a float32 .tflite file is derived from no other")


def metadata(content: bytes) -> Table:
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    entries = {model.Metadata(i).Name(): model.Metadata(i).Buffer() for i in range(model.MetadataLength())}
    found = model.Buffers(entries[b"TFLITE_METADATA"]).DataAsNumpy().tobytes()
    assert found[4:8] == b"M001"
    return Table(found, struct.unpack_from("<I", found)[0])


def test_the_input_says_how_raw_values_become_it(converted: dict[str, bytes]) -> None:
    (source,) = metadata(converted["image"]).tables(3)[0].tables(2)
    assert source.text(0) == "photo"
    assert (source.table(3).number(0), source.table(3).table(1).number(0)) == (2, 1)  # an image, RGB
    (unit,) = source.tables(4)
    assert unit.number(0) == 1
    assert (unit.table(1).floats(0), unit.table(1).floats(1)) == ([128.0], [64.0])  # (raw - 128) / 64


def test_the_output_has_its_labels_in_a_file(converted: dict[str, bytes]) -> None:
    (target,) = metadata(converted["image"]).tables(3)[0].tables(3)
    (file,) = target.tables(6)
    assert (file.text(0), file.number(2)) == ("labels.txt", 2)
    with zipfile.ZipFile(io.BytesIO(converted["image"])) as packed:
        assert packed.read("labels.txt").decode().split() == list(LABELS)


def test_what_has_other_outputs_has_no_labels(converted: dict[str, bytes]) -> None:
    (target,) = metadata(converted["features"]).tables(3)[0].tables(3)
    assert target.tables(6) == []
    assert not zipfile.is_zipfile(io.BytesIO(converted["features"]))


def test_the_model_has_a_name_and_a_description(converted: dict[str, bytes]) -> None:
    root = metadata(converted["image"])
    assert (root.text(0), root.text(1)) == ("image", "image, converted by edgepack")
    assert root.text(7) == "1.0.0"


def test_the_signature_keeps_its_names(converted: dict[str, bytes]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    (signature,) = Interpreter(model_content=converted["image"]).get_signature_list().values()
    assert signature["inputs"] == ["photo"]
