"""How does a model become an ``.onnx`` file?"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from edgepack import contracts
from edgepack.contracts import ExportContext, Precision
from edgepack.errors import ConversionError

SUFFIX = "onnx"


class Config(contracts.ExportConfig):
    """ONNX: int8 (QDQ) from the int8 ``.tflite`` file, everything else from the Keras model."""

    format: Literal["onnx"] = "onnx"
    opset: int = Field(17, ge=13, le=18, description="ONNX operator set; 13 is the first with per-channel QDQ")
    layout: Literal["nhwc", "nchw"] = Field(
        "nhwc", description="axes of an image input; ONNX's own, nchw, needs no Transpose behind the input"
    )

    @field_validator("precision")
    @classmethod
    def _is_one_that_can_be_made(cls, precision: Precision) -> Precision:
        if precision == "int16x8":
            raise ValueError("onnx files are not made in int16x8, which is made by `format: tflite` only")
        return precision


def convert(config: Config, out: Path, *, context: ExportContext) -> None:
    """Convert; float inputs have a dynamic batch axis, int8 has the batch of the ``.tflite``.

    `tf2onnx.convert.from_keras` on a fake-quantised model succeeds and leaves the weights in float, so the int8 file
    is read from the int8 ``.tflite``: the same integers, scales and zero points.

    Raises:
        ConversionError: An operation has no ONNX counterpart, or none in this precision.
    """
    import onnx

    from edgepack.onnx_models import dynamic, half, integer
    from edgepack.onnx_models.canonical import canonicalise

    layout = None if config.layout == "nhwc" else config.layout
    if config.precision == "int8":
        source = context.other("tflite", "int8")
        graph = integer.from_tflite(source, opset=config.opset, layout=layout, mixed=bool(context.int8.in_float))
    else:
        graph = _from_keras(context.float_model, config.opset, layout)
        if config.precision == "float16":
            graph = half.halve(graph)
        if config.precision == "dynamic_range":
            graph = dynamic.quantise_dynamically(graph)
        canonicalise(graph)
    graph.producer_version = ""
    onnx.checker.check_model(graph, full_check=True)
    out.write_bytes(graph.SerializeToString(deterministic=True))


def _from_keras(path: Path, opset: int, layout: str | None) -> Any:
    import tf2onnx

    from edgepack.keras_models.load import load
    from edgepack.keras_models.serving import serving
    from edgepack.onnx_models.ends import describe

    model = load(path)
    if layout and len(model.inputs[0].shape) != 4:
        raise ConversionError(
            f"layout: {layout} is for images, but the input of {model.name!r} has the shape "
            f"{list(model.inputs[0].shape[1:])}",
            fix="leave layout out",
        )
    traced = serving(model, batch=None)
    names = [f"{traced.input_name}:0"] if layout else None
    try:
        graph, _ = tf2onnx.convert.from_function(traced.function, [traced.signature], opset=opset, inputs_as_nchw=names)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"ONNX conversion of {model.name!r} failed: {first}", fix="replace the layer that it names"
        ) from error
    plain: dict[str, Any] = {"dtype": "float32", "scale": None, "zero_point": None}
    describe(graph, [{"name": traced.input_name, **plain}], [{"name": traced.output_name, **plain}], layout=layout)
    return graph
