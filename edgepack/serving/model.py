"""What may a client send to a model and ask of it, and how do its tensors become the model's and back?

Each tensor has one name and two forms: real numbers (FP32), for which the server applies scale and zero point, and the
integers that the file itself holds. The datatype that a client sends says which one it means; see
``docs/decisions/0060-one-model-two-forms-of-a-tensor.md``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runner.tensors import TensorSpec, dequantize, quantize
from . import pictures
from .datatypes import NUMPY, PICTURES, PROTOCOL
from .errors import RequestError
from .request import Asked, Wanted
from .response import Given

REAL = "FP32"
JSON_BYTES = 24
"""Characters that a number takes in JSON at most, with its comma."""
BODY_ROOM = 64 << 10


@dataclass(frozen=True)
class Model:
    """A loaded model as its clients see it.

    Attributes:
        name: Its name in addresses.
        version: Its version there.
        platform: Runtime and format.
        inputs: The file's own tensors.
        outputs: The file's own tensors.
        max_rows: Rows that one request, and one inference, may have where the batch axis is free.
        preprocessing: What the manifest records: ``scale`` and ``offset``; None when there is none.
        pictures: Files of pictures are taken, too, as datatype BYTES.
        facts: What else metadata tells, by name.
    """

    name: str
    version: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_rows: int = 1
    preprocessing: tuple[float, float] | None = None
    pictures: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def batched(self) -> bool:
        """Whether rows of several requests may share one inference."""
        return self.max_rows > 1 and all(spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))

    @property
    def body_bytes(self) -> int | None:
        """What the longest sensible request takes: all rows, as JSON numbers; None where that cannot be known."""
        shapes = [(self.max_rows, *spec.shape[1:]) if spec.shape[:1] == (-1,) else spec.shape for spec in self.inputs]
        if self.pictures or any(size < 0 for shape in shapes for size in shape):
            return None
        return sum(map(math.prod, shapes)) * JSON_BYTES + BODY_ROOM

    def metadata(self) -> dict[str, Any]:
        """The protocol's model metadata, with what it has no field for under ``parameters``."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.platform,
            "inputs": [_described(spec) for spec in self.inputs],
            "outputs": [_described(spec) for spec in self.outputs],
            "parameters": {
                "max_batch": self.max_rows if self.batched else 1,
                **({"pictures": list(pictures.FORMATS)} if self.pictures else {}),
                **self.facts,
            },
        }

    def feed(self, asked: Asked) -> tuple[dict[str, NDArray[Any]], int]:
        """What the runtime is to be given, in the file's own dtypes, and how many rows it has.

        Raises:
            RequestError: A name, datatype, shape or value is not one of the model's.
        """
        expected = [spec.name for spec in self.inputs]
        if sorted(asked.inputs) != sorted(expected):
            raise RequestError(400, f"inputs named {sorted(asked.inputs)}; model {self.name!r} takes {expected}")
        if asked.preprocess and (self.preprocessing is None or len(self.inputs) != 1):
            raise RequestError(400, f"the manifest of {self.name!r} records no preprocessing for its inputs")
        fed, rows = {}, None
        for spec in self.inputs:
            datatype, values = asked.inputs[spec.name]
            if datatype == PICTURES:
                datatype, values = "UINT8", self._decoded(spec, values, preprocess=asked.preprocess)
            shape = spec.sample_shape if asked.preprocess else spec.shape
            self._check_shape(values.shape, shape, spec.name)
            if rows is not None and values.shape[:1] != (rows,) and self.batched:
                raise RequestError(400, f"input {spec.name!r} has a batch of {values.shape[0]}, another one of {rows}")
            rows = values.shape[0] if values.ndim else 1
            fed[spec.name] = self._converted(spec, datatype, values, preprocess=asked.preprocess)
        return fed, rows or 1

    def answer(self, outputs: Mapping[str, NDArray[Any]], asked: Asked, every: Sequence[Wanted]) -> list[Given]:
        """The outputs that a client asked for, in the form that it works with.

        Args:
            outputs: What the model gave.
            asked: What the client sent.
            every: What `wanted` says of it.
        """
        raw = self._raw_wanted(asked)
        given = []
        for wanted in every:
            spec = next(spec for spec in self.outputs if spec.name == wanted.name)
            values = outputs[spec.name]
            if spec.quantised and not raw:
                values = dequantize(values, spec)
            given.append(Given(spec.name, values, asked.binary_output if wanted.binary is None else wanted.binary))
        return given

    def wanted(self, asked: Asked) -> tuple[Wanted, ...]:
        """The outputs that a client asks for; all of them where it names none.

        Raises:
            RequestError: The model has no output of that name.
        """
        known = [spec.name for spec in self.outputs]
        for wanted in asked.outputs or ():
            if wanted.name not in known:
                raise RequestError(400, f"model {self.name!r} has no output {wanted.name[:200]!r}; it has {known}")
        return tuple(Wanted(name, None) for name in known) if asked.outputs is None else asked.outputs

    def _raw_wanted(self, asked: Asked) -> bool:
        if asked.raw_output is not None or asked.preprocess:
            return bool(asked.raw_output)
        quantised = [spec for spec in self.inputs if spec.quantised]
        return bool(quantised) and all(asked.inputs[spec.name][0] != REAL for spec in quantised)

    def _check_shape(self, given: tuple[int, ...], expected: tuple[int, ...], name: str) -> None:
        fits = len(given) == len(expected) and all(
            size == want if want >= 0 else size > 0 for size, want in zip(given, expected, strict=True)
        )
        if not fits:
            raise RequestError(
                400, f"input {name!r} has the shape {list(given)}; expected {list(expected)} (-1: any size)"
            )
        if expected[:1] == (-1,) and given[0] > self.max_rows:
            raise RequestError(400, f"input {name!r} has a batch of {given[0]}; at most {self.max_rows} are taken")

    def _decoded(self, spec: TensorSpec, files: NDArray[Any], *, preprocess: bool) -> NDArray[np.uint8]:
        if not self.pictures:
            raise RequestError(
                400,
                f"input {spec.name!r} has the datatype {PICTURES}; model {self.name!r} takes no files of pictures here",
            )
        if not preprocess:
            raise RequestError(400, f"input {spec.name!r} is a file; expected the parameter preprocess: true with it")
        if not 0 < len(files) <= self.max_rows:
            raise RequestError(400, f"input {spec.name!r} has {len(files)} files; 1 to {self.max_rows} are taken")
        _, height, width, channels = spec.sample_shape
        return pictures.decode(files, height, width, channels, spec.name)

    def _converted(self, spec: TensorSpec, datatype: str, values: NDArray[Any], *, preprocess: bool) -> NDArray[Any]:
        own = PROTOCOL[spec.dtype]
        if preprocess:
            if datatype == "BOOL" or self.preprocessing is None:
                raise RequestError(400, f"input {spec.name!r} has the datatype BOOL; expected numbers")
            scale, offset = self.preprocessing
            values = values.astype(np.float32) * np.float32(scale) + np.float32(offset)
        elif datatype == own:
            return values
        elif datatype != REAL or not spec.quantised:
            expected = f"{REAL} or {own}" if spec.quantised else own
            raise RequestError(400, f"input {spec.name!r} has the datatype {datatype}; expected {expected}")
        try:
            # Shapes that clients see are the file's own; only samples of the data set have their channels last.
            return quantize(values, spec if preprocess else replace(spec, layout=None))
        except ValueError as error:
            raise RequestError(400, str(error)) from error


def _described(spec: TensorSpec) -> dict[str, Any]:
    own = PROTOCOL[spec.dtype]
    told: dict[str, Any] = {"name": spec.name, "datatype": REAL if spec.quantised else own, "shape": list(spec.shape)}
    parameters: dict[str, Any] = {}
    if spec.quantised:
        parameters = {"raw_datatype": own, "scale": spec.scale, "zero_point": spec.zero_point}
    if spec.layout is not None:
        parameters["layout"] = spec.layout
    return {**told, "parameters": parameters} if parameters else told


def servable(specs: tuple[TensorSpec, ...]) -> str | None:
    """Why tensors cannot be served, as a sentence; None when they can."""
    for spec in specs:
        if spec.dtype not in NUMPY.values():
            return f"tensor {spec.name!r} is {spec.dtype}; expected one of {', '.join(NUMPY.values())}"
    return None
