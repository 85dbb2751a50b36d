"""How does a Keras model become a ``.tflite`` file of built-in operations?"""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from edgepack import contracts
from edgepack.contracts import ExportContext, Precision
from edgepack.errors import ConversionError, RecipeError
from edgepack.tflite_models.contents import custom_operations, float_operations, require, tensor_specs
from edgepack.tflite_models.metadata import Meaning, embed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.columns import Column

SUFFIX = "tflite"
IDENTIFIER = b"TFL3"
"""What stands in the fifth to eighth byte of every file."""

CALIBRATED: dict[Precision, str] = {
    "int8": "TFLITE_BUILTINS_INT8",
    "int16x8": "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",
}
"""Precisions whose ranges come from real samples, and the only operations that they may use."""


SLIGHT = 0.01
"""How far, in standard deviations of a column, float16 may move what is imputed and subtracted."""


Ends = Literal["int8", "uint8", "float32"]


class Config(contracts.ExportConfig):
    """TensorFlow Lite, in any precision; int8 has int8 inputs and outputs, every other one float32.

    A model of raw columns has a float32 input in any precision.
    """

    format: Literal["tflite"] = "tflite"
    input: Ends | None = Field(None, description="type of an int8 file's input; absent = int8")
    output: Ends | None = Field(None, description="type of an int8 file's output; absent = int8")

    @model_validator(mode="after")
    def _only_int8_has_a_choice(self) -> "Config":
        if self.precision != "int8" and (self.input or self.output):
            raise ValueError(f"input and output are float32 in {self.precision}; they can be chosen for int8 only")
        return self


def convert(config: Config, out: Path, *, context: ExportContext) -> None:
    """Convert with batch size 1; int8 comes from the fake-quantised model when there is one, else from calibration.

    Every other precision comes from the float model: it is quantised after training, and what TFMOT trained into the
    fake-quantised one is of no use to it. A model of raw columns (`keras_models.table`) has a float32 input, and its
    first layer stays in float. So do the layers of ``context.int8.in_float``; where the model is not trained quantised
    its ranges then come from calibration as in training: the converter's own quantises every layer or none.

    Raises:
        ConversionError: An operation is no TFLite built-in, or the file is not what its precision says.
    """
    from edgepack.keras_models.load import load_own
    from edgepack.keras_models.table import columns_of
    from edgepack.quantization.post_training import calibrated

    precision = config.precision
    quantised = context.quantised_model if precision == "int8" else None
    model = load_own(quantised or context.float_model)
    columns = columns_of(model)
    if columns and config.input not in (None, "float32"):
        raise ConversionError(
            f"input: {config.input} was asked for, but a model of raw columns takes float32",
            fix="leave input out, or set data.table to null",
        )
    ends = (config.input or ("float32" if columns else "int8"), config.output or "int8")
    int8 = context.int8
    in_float = frozenset(int8.in_float if precision == "int8" else ())
    if columns:
        _require_columns_fit(columns, precision)
    if quantised:
        content = integer_file(model, context.calibration, mixed=bool(in_float), ends=ends)
    elif precision == "int8" and (columns or in_float or int8.correct_bias):
        samples = np.asarray(context.calibration, np.float32)
        made = calibrated(model, samples, in_float=in_float, correct_bias=int8.correct_bias)
        content = integer_file(made.model, context.calibration, mixed=bool(in_float), ends=ends)
        in_float = made.float_layers
    else:
        content = convert_model(model, precision, context.calibration, ends=ends)
    require(content, precision, float_front=bool(columns), in_float=in_float)
    out.write_bytes(embed(content, _meaning(content, context, table=bool(columns))))


def _meaning(content: bytes, context: ExportContext, *, table: bool) -> Meaning:
    """What the file's metadata say; the columns of a table are not said to be normalised: the model does that."""
    (source, *_), (target, *_) = tensor_specs(content)
    known = context.preprocessing if context.preprocessing and context.preprocessing.scale and not table else None
    return Meaning(
        name=context.name,
        description=f"{context.name}, converted by edgepack",
        input_name=source["name"],
        input_shape=tuple(source["shape"]),
        mean=-known.offset / known.scale if known else None,
        std=1 / known.scale if known else None,
        output_name=target["name"],
        labels=context.labels if len(context.labels) == target["shape"][-1] else (),
    )


def integer_file(
    model: Any, calibration: "NDArray[np.generic]", *, mixed: bool = False, ends: tuple[Ends, Ends] | None = None
) -> bytes:
    """Convert a fake-quantised tf_keras model to int8.

    Args:
        model: Single-input, single-output model with fake quantisation.
        calibration: float32 model inputs of shape (n, ...): they give ranges to layers that training left in float.
        mixed: Some layers are meant to stay in float.
        ends: Types of input and output, see `convert_model`.

    Raises:
        ConversionError: An operation is no TFLite built-in.
    """
    from edgepack.keras_models.table import columns_of

    content = convert_model(model, "int8", ends=ends)
    if mixed or columns_of(model):  # the converter would calibrate what is to stay in float, too
        return content
    return convert_model(model, "int8", calibration, ends=ends) if float_operations(content) else content


def _require_columns_fit(columns: "Sequence[Column]", precision: Precision) -> None:
    """Refuse number formats that would spoil the layer for raw columns."""
    if precision == "int16x8":
        raise ConversionError(
            "int16x8 was asked for, but the first layer of a model of raw columns stays in float, and the converter "
            "makes int16 activations throughout",
            fix="export int8, float16 or dynamic_range, or set data.table to null",
        )
    if precision == "float16":
        for column in columns:
            exact = np.array([column.fill, column.mean, column.deviation])
            with np.errstate(over="ignore"):
                moved = np.abs(exact.astype(np.float16) - exact).max()
            if not moved <= SLIGHT * column.deviation:
                raise ConversionError(
                    f"float16 was asked for, which cannot hold the mean {column.mean:g} and the deviation "
                    f"{column.deviation:g} of the column {column.name!r}",
                    fix="export dynamic_range, int8 or float32, or give that column in another unit",
                )


def convert_model(
    model: Any,
    precision: Precision,
    calibration: "NDArray[np.generic] | None" = None,
    *,
    ends: tuple[Ends, Ends] | None = None,
) -> bytes:
    """Convert a single-input, single-output tf_keras model with batch size 1.

    Args:
        model: Float or fake-quantised model.
        precision: Number format of the file.
        calibration: float32 model inputs of shape (n, ...), for precisions whose ranges come from samples.
        ends: Types of input and output of an int8 file; None = int8, or float32 for an input of raw columns.

    Raises:
        ConversionError: An operation is no TFLite built-in, or has no form in that precision.
    """
    import tensorflow as tf

    from edgepack.keras_models.serving import serving
    from edgepack.keras_models.table import columns_of

    traced = serving(model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.concrete], traced.variables)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        first, last = ends or ("float32" if columns_of(model) else "int8", "int8")
        converter.inference_input_type, converter.inference_output_type = tf.as_dtype(first), tf.as_dtype(last)
    if precision in CALIBRATED and calibration is not None:
        converter.representative_dataset = lambda: _samples(calibration)
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, CALIBRATED[precision])]
    try:
        content = converter.convert()
    except Exception as error:
        if precision == "int16x8" and "HARD_SWISH" in str(error) and not _is_split(model):
            return convert_model(_with_split_swish(model), precision, calibration)
        raise ConversionError(
            _explain(error, model, precision), fix="replace the layer, or see `edgepack doctor MODEL`"
        ) from error
    return bytes(content)


def _is_split(model: Any) -> bool:
    return any(getattr(layer, "fused", True) is False for layer in model.layers)


def _with_split_swish(model: Any) -> Any:
    """The same function with its HARD_SWISH, which has no form in 16 bits, as additions and products."""
    from edgepack.keras_models.rewriting import rewrite

    rewritten = rewrite(model, quantisation=False).model
    for layer in rewritten.layers:
        if type(layer).__name__ == "HardSwish":
            layer.fused = False
    return rewritten


def _samples(calibration: "NDArray[np.generic]") -> Iterator[list[Any]]:
    for sample in calibration:
        yield [sample[None]]


def precision_of(path: Path) -> Precision | None:
    """The number format of a file that any tool may have made; None where it cannot be told.

    Raises:
        RecipeError: It is no ``.tflite`` file, or has operations that LiteRT does not have.
    """
    from edgepack.tflite_models.precision import precision_of

    content = path.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise RecipeError(f"{path.name} is no .tflite file", fix="make or copy it again")
    try:
        return precision_of(content)
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise RecipeError(
            f"{path.name} is no complete .tflite file: LiteRT says {_first_line(error)!r}", fix="make or copy it again"
        ) from error
    except RuntimeError as error:
        own = custom_operations(content)
        what = (
            f"has operations that LiteRT does not have: {', '.join(own)}"
            if own
            else f"is refused by LiteRT: {_first_line(error)}"
        )
        raise RecipeError(
            f"{path.name} {what}",
            fix="convert the model with built-in operations alone, TFLITE_BUILTINS, and without custom operations",
        ) from error


def adopt(source: Path, out: Path, *, input_shape: tuple[int, ...], layout: str | None = None) -> tuple[str, ...]:
    """Copy a file that another tool made; it says itself how it is fed.

    Raises:
        RecipeError: A layout is given, which ``.tflite`` files do not have.
    """
    if layout == "nchw":
        raise RecipeError(
            f"{source.name}: layout: nchw is for .onnx files; the images of a .tflite have their channels last",
            fix="leave layout out",
        )
    shutil.copyfile(source, out)
    return ()


def _explain(error: Exception, model: Any, precision: Precision) -> str:
    """Name the operation and the layer that the converter refused."""
    text = str(error)
    operations = sorted(set(re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", text)))
    layers = [layer.name for layer in model.layers if re.search(rf"\b{re.escape(layer.name)}\b", text)]
    if not operations:
        flex = re.search(
            r"Flex ops: ([\w, ]+)|Some ops are not supported by the native TFLite runtime.*?: ([\w, ]+)", text
        )
        operations = [group.strip() for group in (flex.groups() if flex else ()) if group]
    what = f"the operations {', '.join(operations)} are no TFLite built-ins" if operations else _first_line(error)
    # "Quantization to 16x8-bit not yet supported for op: 'HARD_SWISH'."
    unsupported = sorted(set(re.findall(r"not yet supported for op: '(\w+)'", text)))
    if unsupported:
        what = f"TensorFlow Lite has no {precision} form of {', '.join(unsupported)}"
    where = f" (layers: {', '.join(layers[:5])})" if layers else ""
    return f"TFLite conversion of {model.name!r} failed: {what}{where}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
