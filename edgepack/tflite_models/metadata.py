"""How does a ``.tflite`` file tell mobile libraries what its numbers mean: labels, normalisation, a description?

TensorFlow Lite metadata, a FlatBuffer inside the model's own, with label files in a zip archive behind it
(https://ai.google.dev/edge/litert/conversion/tensorflow/metadata, ``metadata_schema.fbs``, identifier M001).
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
LABELS = "labels.txt"

_UNKNOWN, _RGB, _GRAYSCALE = 0, 1, 2  # ColorSpaceType
_AXIS_LABELS = 2  # AssociatedFileType
_FEATURE, _IMAGE = 1, 2  # ContentProperties
_NORMALIZATION = 1  # ProcessUnitOptions
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a model with one input and one output mean.

    Attributes:
        name: Name of the model.
        description: What it is, in a sentence.
        input_name: Name of the input.
        input_shape: Its shape, batch axis first; four axes are an image, channels last.
        mean: Raw values become inputs by ``(raw - mean) / std``; None = this is not said.
        std: As ``mean``.
        output_name: Name of the output.
        labels: Names of the outputs' places along the last axis; none = they have no names.
    """

    name: str
    description: str
    input_name: str
    input_shape: tuple[int, ...]
    mean: float | None
    std: float | None
    output_name: str
    labels: Sequence[str] = ()


def embed(content: bytes, meaning: Meaning) -> bytes:
    """Put metadata into a file; the same content and meaning give the same bytes.

    Args:
        content: A ``.tflite`` file without such metadata.
        meaning: What is told.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = list(_metadata(meaning))
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    made = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    return _with_file(made, LABELS, "".join(f"{label}\n" for label in meaning.labels)) if meaning.labels else made


def _with_file(content: bytes, name: str, text: str) -> bytes:
    archive = io.BytesIO(content)
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return archive.getvalue()


def _metadata(meaning: Meaning) -> bytes:
    """The FlatBuffer, written from its leaves to its root."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    write = _Writer(builder)
    units = []
    if meaning.mean is not None and meaning.std is not None:
        options = write.table(2, {0: write.floats([meaning.mean]), 1: write.floats([meaning.std])})
        units = [write.table(2, {1: options}, bytes_={0: _NORMALIZATION})]
    source = write.table(
        7,
        {
            0: write.text(meaning.input_name),
            3: _content(write, meaning.input_shape),
            4: write.offsets(units),
        },
    )
    files = []
    if meaning.labels:
        about = "names of the places along the output's last axis"
        files = [write.table(5, {0: write.text(LABELS), 1: write.text(about)}, bytes_={2: _AXIS_LABELS})]
    target = write.table(
        7,
        {0: write.text(meaning.output_name), 3: _content(write, ()), 6: write.offsets(files)},
    )
    graph = write.table(10, {2: write.offsets([source]), 3: write.offsets([target])})
    root = write.table(
        8,
        {
            0: write.text(meaning.name),
            1: write.text(meaning.description),
            3: write.offsets([graph]),
            7: write.text("1.0.0"),  # the first parser that knows all that is used here
        },
    )
    builder.Finish(root, IDENTIFIER)
    return bytes(builder.Output())


def _content(write: "_Writer", shape: Sequence[int]) -> int:
    """What kind of thing a tensor holds: an image, or features."""
    if len(shape) != 4:
        return write.table(3, {1: write.table(0, {})}, bytes_={0: _FEATURE})
    space = {1: _GRAYSCALE, 3: _RGB}.get(shape[-1], _UNKNOWN)
    return write.table(3, {1: write.table(2, {}, bytes_={0: space})}, bytes_={0: _IMAGE})


class _Writer:
    """Tables and vectors of a FlatBuffer; each method gives the place of what it wrote, 0 = nothing."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def floats(self, values: Sequence[float]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependFloat32(value)
        return int(self._builder.EndVector())

    def offsets(self, places: Sequence[int]) -> int:
        if not places:
            return 0
        self._builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self._builder.PrependUOffsetTRelative(place)
        return int(self._builder.EndVector())

    def table(self, slots: int, references: Mapping[int, int], *, bytes_: Mapping[int, int] | None = None) -> int:
        self._builder.StartObject(slots)
        for slot, place in references.items():
            if place:
                self._builder.PrependUOffsetTRelativeSlot(slot, place, 0)
        for slot, value in (bytes_ or {}).items():
            self._builder.PrependInt8Slot(slot, value, 0)
        return int(self._builder.EndObject())
