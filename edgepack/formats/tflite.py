"""How does a Keras model become a ``.tflite`` file of built-in operations?"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgepack import contracts
from edgepack.contracts import ExportContext
from edgepack.errors import ConversionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIX = "tflite"


class Config(contracts.ExportConfig):
    """TensorFlow Lite: float32, or full int8 with int8 inputs and outputs."""

    format: Literal["tflite"] = "tflite"


def convert(config: Config, out: Path, *, context: ExportContext) -> None:
    """Convert with batch size 1; int8 comes from the fake-quantised model when there is one, else from calibration.

    Raises:
        ConversionError: An operation is no TFLite built-in, or one stayed in float in a full-int8 file.
    """
    from edgepack.keras_models.load import load

    if config.precision == "float32":
        out.write_bytes(_convert(load(context.float_model)))
        return
    trained = context.quantised_model is not None
    model = load(context.quantised_model or context.float_model)
    content = _convert(model, int8=True, calibration=None if trained else context.calibration)
    if trained and float_operations(content):
        # Layers that quantisation-aware training had to leave alone still need ranges.
        content = _convert(model, int8=True, calibration=context.calibration)
    remaining = float_operations(content)
    if remaining:
        raise ConversionError(
            f"full int8 was asked for, but these operations stayed in float: {', '.join(remaining)}",
            fix="replace the layers, or export float32 as well and see `edgepack doctor MODEL`",
        )
    out.write_bytes(content)


def float_operations(content: bytes) -> list[str]:
    """Name the operations of a TFLite file that compute in float: ``op 'output tensor'``."""
    interpreter = _interpreter(content)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    found = []
    for operation in interpreter._get_ops_details():
        outputs = [details[index] for index in operation["outputs"] if index in details]
        if operation["op_name"] != "DELEGATE" and any(output["dtype"] == np.float32 for output in outputs):
            found.append(f"{operation['op_name']} {outputs[0]['name'][:80]!r}")
    return found


def tensor_specs(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs and outputs of a TFLite file by their signature names, as plain `TensorSpec` dicts."""
    interpreter = _interpreter(path.read_bytes())
    runner = interpreter.get_signature_runner()

    def describe(details: dict[str, Any]) -> list[dict[str, Any]]:
        specs = []
        for name, detail in details.items():
            scale, zero_point = detail["quantization"]
            quantised = detail["dtype"] != np.float32
            specs.append(
                {
                    "name": name,
                    "shape": [int(axis) for axis in detail["shape"]],
                    "dtype": np.dtype(detail["dtype"]).name,
                    "scale": float(scale) if quantised else None,
                    "zero_point": int(zero_point) if quantised else None,
                }
            )
        return specs

    return describe(runner.get_input_details()), describe(runner.get_output_details())


def _interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    return interpreter


def _convert(model: Any, *, int8: bool = False, calibration: "NDArray[np.generic] | None" = None) -> bytes:
    import tensorflow as tf

    from edgepack.keras_models.serving import serving

    traced = serving(model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.concrete], traced.variables)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        if calibration is not None:
            converter.representative_dataset = lambda: _samples(calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        content = converter.convert()
    except Exception as error:
        raise ConversionError(
            _explain(error, model), fix="replace the layer, or see `edgepack doctor MODEL`"
        ) from error
    return bytes(content)


def _samples(calibration: "NDArray[np.generic]") -> Iterator[list[Any]]:
    for sample in calibration:
        yield [sample[None]]


def _explain(error: Exception, model: Any) -> str:
    """Name the operation and the layer that the converter refused."""
    text = str(error)
    operations = sorted(set(re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", text)))
    layers = [layer.name for layer in model.layers if re.search(rf"\b{re.escape(layer.name)}\b", text)]
    if not operations:
        flex = re.search(
            r"Flex ops: ([\w, ]+)|Some ops are not supported by the native TFLite runtime.*?: ([\w, ]+)", text
        )
        operations = [group.strip() for group in (flex.groups() if flex else ()) if group]
    what = (
        f"the operations {', '.join(operations)} are no TFLite built-ins"
        if operations
        else text.strip().splitlines()[0]
    )
    where = f" (layers: {', '.join(layers[:5])})" if layers else ""
    return f"TFLite conversion of {model.name!r} failed: {what}{where}"
