"""Does each layer of the int8 ``.onnx`` file give what the ``.tflite`` gives, when both are fed the same integers?

End to end, roundings add up and the last layers amplify them. Here the ONNX graph is cut behind every quantisation:
each layer reads the integers that LiteRT's layer read, and what it makes is held against what LiteRT's layer made.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepack.errors import VerificationError
from edgepack.onnx_models import files
from edgepack.onnx_models.unsigned import SHIFT

LIMIT = 1
"""Steps of the layer's output that are rounding."""

Integers = NDArray[np.generic]

ENTRY = ""
"""Stands for the name of the model's input, which differs between the files."""

CUT = ".made"
"""Follows the name of what a layer makes, where the name itself is an input now."""


@dataclass(frozen=True)
class LayerDifference:
    """What one layer makes in both files from the same integers.

    Attributes:
        tensor: The name, in both files, of the tensor that the layer makes.
        operation: The operation of the ``.tflite`` that makes it, e.g. ``CONV_2D``.
        largest: Largest difference, in steps of the tensor's scale.
        share: Share of the elements that differ at all, in [0, 1].
    """

    tensor: str
    operation: str
    largest: int
    share: float


def compare_layers(tflite: Path, onnx: Path, x: Integers, threads: int = 1) -> list[LayerDifference]:
    """Compare an int8 ``.onnx`` file with the int8 ``.tflite`` file from which it was made, layer by layer.

    Args:
        tflite: Int8 file; LiteRT's own kernels run it, without a delegate, which would hide the layers.
        onnx: File that ``formats/onnx.py`` made of it; ONNX Runtime runs it, and fuses what it fuses in a layer.
        x: What the ``.tflite`` takes, (samples, ...), int8, at least one.
        threads: Threads of each runtime.

    Returns:
        One entry for each tensor that both files have, in the order in which the ``.tflite`` makes them.

    Raises:
        ConversionError: The ``.onnx`` file is damaged.
        VerificationError: The files are not two forms of one model, so that nothing can be compared.
    """
    model = files.read(onnx)
    try:
        return _compare(tflite, model, x, threads)
    except Exception as error:  # each runtime raises classes of its own
        reason = (str(error).strip().splitlines() or [""])[0][:300]
        raise VerificationError(
            f"the layers of {tflite.name} and {onnx.name} cannot be compared: {type(error).__name__}: {reason}",
            fix="make both files again from the same model",
        ) from error


def _compare(tflite: Path, model: Any, x: Integers, threads: int) -> list[LayerDifference]:
    lite = _Lite(tflite, threads, output=model.graph.output[0].name)
    cut = _Cut(model, set(lite.made), threads, lite.run(x[:1]))
    largest = dict.fromkeys(cut.made, 0)
    differing: dict[str, list[float]] = {name: [] for name in cut.made}
    for sample in x:
        for name, difference in cut.differences(lite.run(sample[None])).items():
            largest[name] = max(largest[name], int(np.max(difference, initial=0)))
            differing[name].append(float(np.mean(difference > 0)))
    return [
        LayerDifference(name, operation, largest[name], float(np.mean(differing[name])))
        for name, operation in lite.made.items()
        if name in largest
    ]


class _Lite:
    """An int8 ``.tflite`` whose tensors in between can be read; its output goes by the given name."""

    def __init__(self, path: Path, threads: int, *, output: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            str(path),
            num_threads=threads,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._input = int(self._interpreter.get_input_details()[0]["index"])
        last = int(self._interpreter.get_output_details()[0]["index"])
        details = {int(detail["index"]): detail for detail in self._interpreter.get_tensor_details()}
        self.made: dict[str, str] = {}
        """Int8 tensors by name, in the order in which they are made, with the operation that makes them."""
        self._indices: dict[str, int] = {}
        for operation in self._interpreter._get_ops_details():
            for index in map(int, operation["outputs"]):
                if details[index]["dtype"] == np.int8:
                    name = output if index == last else str(details[index]["name"])
                    self.made[name], self._indices[name] = str(operation["op_name"]), index

    def run(self, x: Integers) -> dict[str, Integers]:
        """What every layer makes of one input (1, ...), and the input under its own name."""
        self._interpreter.set_tensor(self._input, x)
        self._interpreter.invoke()
        return {ENTRY: x} | {name: self._interpreter.get_tensor(index) for name, index in self._indices.items()}


class _Cut:
    """An int8 ``.onnx`` whose layers are fed from outside.

    Args:
        model: `onnx.ModelProto` of the file.
        names: Tensors that the ``.tflite`` has, too.
        threads: Threads of ONNX Runtime.
        example: What LiteRT makes of one sample: it tells how the axes of each tensor are laid out here.
    """

    def __init__(self, model: Any, names: set[str], threads: int, example: dict[str, Integers]) -> None:
        import onnx

        model = onnx.shape_inference.infer_shapes(model)
        graph = model.graph
        self._entry = graph.input[0].name
        outputs = {value.name for value in graph.output}
        self.made = [output for node in graph.node for output in node.output if output in names]
        within = [name for name in self.made if name not in outputs]
        known = {value.name: value for value in graph.value_info}
        graph.output.extend(known[name] for name in within)
        whole = _session(model, threads)
        feed = {self._entry: _as(example[ENTRY], graph.input[0].type.tensor_type.elem_type)}
        made = dict(zip(self.made, whole.run(self.made, feed), strict=True))
        self._layouts = {name: _Layout.of(example[name], values) for name, values in made.items()}
        for node in graph.node:
            for slot, name in enumerate(node.output):
                if name in within:
                    node.output[slot] = name + CUT
        for value in graph.output:
            if value.name in within:
                graph.input.append(value)
                value.name += CUT
        self._session = _session(model, threads)
        self._outputs = [name + CUT if name in within else name for name in self.made]
        self._types = {value.name: value.type.tensor_type.elem_type for value in graph.input}

    def differences(self, tensors: dict[str, Integers]) -> dict[str, NDArray[np.int32]]:
        """What each layer makes of given integers, less what LiteRT made of them, without sign."""
        wanted = {name: layout.applied(tensors[name]) for name, layout in self._layouts.items()}
        given = wanted | {self._entry: tensors[ENTRY]}
        feed = {name: _as(given[name], kind) for name, kind in self._types.items()}
        made = zip(self.made, self._session.run(self._outputs, feed), strict=True)
        return {name: np.abs(_signed(values) - wanted[name].astype(np.int32)) for name, values in made}


@dataclass(frozen=True)
class _Layout:
    """How a tensor of LiteRT lies in ONNX Runtime: channels may come first, axes of size 1 may be gone."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, lite: Integers, made: Integers) -> "_Layout":
        """The layout in which the values of one tensor are closest in both."""
        first = (0, lite.ndim - 1, *range(1, lite.ndim - 1))
        layouts = [cls(axes, made.shape) for axes in (tuple(range(lite.ndim)), first)]
        return min(layouts, key=lambda layout: int(np.abs(layout.applied(_signed(lite)) - _signed(made)).sum()))

    def applied(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(x.transpose(self.axes)).reshape(self.shape)


def _session(model: Any, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _as(x: Integers, kind: int) -> Integers:
    """Int8 integers as a tensor of an ONNX element type takes them."""
    import onnx

    return (x.astype(np.int16) + SHIFT).astype(np.uint8) if kind == onnx.TensorProto.UINT8 else x


def _signed(x: Integers) -> NDArray[np.int32]:
    return x.astype(np.int32) - (SHIFT if x.dtype == np.uint8 else 0)
