"""How does a model become an ``.onnx`` file?"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from edgepack import contracts
from edgepack.contracts import ExportContext, Precision
from edgepack.errors import ConversionError, RecipeError
from edgepack.keras_models.memory import release

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

    from edgepack.onnx_models.ends import describe
    from edgepack.onnx_models.frugal import frugal

    frozen = _frozen(path, layout)
    release()

    def from_frozen() -> Any:
        return tf2onnx.convert.from_graph_def(
            frozen.graph,
            name=frozen.model,
            input_names=[frozen.input],
            output_names=[frozen.output],
            tensors_to_rename={frozen.input: frozen.input_name, frozen.output: frozen.output_name},
            opset=opset,
            inputs_as_nchw=[frozen.input] if layout else None,
        )[0]

    try:
        try:
            with frugal():
                graph = from_frozen()
        except Exception:  # an optimisation that fails is left out only where there is a copy to go back to
            graph = from_frozen()
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"ONNX conversion of {frozen.model!r} failed: {first}", fix="replace the layer that it names"
        ) from error
    plain: dict[str, Any] = {"dtype": "float32", "scale": None, "zero_point": None}
    describe(graph, [{"name": frozen.input_name, **plain}], [{"name": frozen.output_name, **plain}], layout=layout)
    return graph


@dataclass(frozen=True)
class _Frozen:
    """A model as a graph with every weight inside: its own name, those of its tensors, and what they will be called."""

    model: str
    graph: Any
    input: str
    output: str
    input_name: str
    output_name: str


def _frozen(path: Path, layout: str | None) -> _Frozen:
    """Freeze a model and let go of Keras, before tf2onnx needs memory for several copies of its weights.

    `tf2onnx.convert.from_keras` and ``from_function`` hold the model, too, and make inputs of tensors that a layer
    holds (Normalization's).
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from edgepack.keras_models.load import load_own
    from edgepack.keras_models.serving import serving

    model = load_own(path)
    if layout and len(model.inputs[0].shape) != 4:
        raise ConversionError(
            f"layout: {layout} is for images, but the input of {model.name!r} has the shape "
            f"{list(model.inputs[0].shape[1:])}",
            fix="leave layout out",
        )
    traced = serving(model, batch=None)
    closed = convert_variables_to_constants_v2(traced.concrete, lower_control_flow=False, aggressive_inlining=True)
    return _Frozen(
        model=model.name,
        graph=closed.graph.as_graph_def(add_shapes=True),
        input=closed.inputs[0].name,
        output=closed.outputs[0].name,
        input_name=traced.input_name,
        output_name=traced.output_name,
    )


def precision_of(path: Path) -> Precision | None:
    """The number format of a file that any tool may have made; None where it cannot be told.

    Raises:
        RecipeError: It is no ``.onnx`` file.
    """
    from edgepack.onnx_models.precision import precision_of

    return precision_of(_read(path))


def adopt(source: Path, out: Path, *, input_shape: tuple[int, ...], layout: str | None = None) -> tuple[str, ...]:
    """Copy a file that another tool made; its metadata get what the runner must know and ONNX has no place for.

    Raises:
        RecipeError: It is no ``.onnx`` file, or its weights are in other files.
    """
    from edgepack.onnx_models import unsaid

    model = _read(source)
    try:
        found = unsaid.find(model, input_shape, layout)
    except (ValueError, LookupError, TypeError, OverflowError) as error:  # numbers and types that no runtime reads
        raise RecipeError(
            f"{source.name} has inputs, outputs or scales of no known form: {type(error).__name__}: {error}",
            fix="make or copy it again",
        ) from error
    if unsaid.is_recorded(model) or not found.sentences:
        shutil.copyfile(source, out)
        return ()
    unsaid.record(model, found)
    out.write_bytes(model.SerializeToString(deterministic=True))
    return found.sentences


def _read(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    from edgepack.onnx_models import files

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise RecipeError(f"{path.name} is no complete .onnx file ({error})", fix="make or copy it again") from error
    except Exception as error:  # protobuf raises others for a message in a message in a message
        raise RecipeError(f"{path.name} cannot be read: {error}", fix="make or copy it again") from error
    if not model.graph.node:
        raise RecipeError(f"{path.name} is no .onnx file: there is no graph in it", fix="make or copy it again")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise RecipeError(
            f"{path.name} keeps its weights in other files, and a bundle takes single files",
            fix='save it as one: onnx.save(onnx.load("a.onnx"), "b.onnx")',
        )
    try:
        files.check(model, numbers=False)
    except Exception as error:  # whatever works on the graph relies on its form
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise RecipeError(f"{path.name} is no valid ONNX model: {reason}", fix="make or copy it again") from error
    return model
