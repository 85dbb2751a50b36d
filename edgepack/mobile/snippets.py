"""How does an app feed a model and read its answer, in Kotlin and in Swift?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import ConversionError
from edgepack.runner.tensors import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANDROID_PACKAGE = "com.google.ai.edge.litert:litert:2.1.4"
IOS_PACKAGE = "TensorFlowLiteC"
TEMPLATES = Path(__file__).parent / "templates"

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}

SWIFT = {"float32": "Float", "int8": "Int8", "uint8": "UInt8", "int16": "Int16"}
KOTLIN_PUT = {
    "float32": "putFloat({value})",
    "int8": "put({value}.toByte())",
    "uint8": "put({value}.toByte())",
    "int16": "putShort({value}.toShort())",
}
KOTLIN_NUMBER = {
    "float32": "getFloat()",
    "int8": "get().toInt()",
    "uint8": "get().toInt().and(0xFF)",
    "int16": "getShort().toInt()",
}


@dataclass(frozen=True)
class Facts:
    """What the code of a model is written from.

    Attributes:
        manifest: The bundle's manifest.
        artifact: The manifest's entry of the file.
        golden_input: A sample as the input tensor holds it, batch axis first.
        golden_output: The raw answer to it, batch axis first.
    """

    manifest: Mapping[str, Any]
    artifact: Mapping[str, Any]
    golden_input: "NDArray[np.generic]"
    golden_output: "NDArray[np.generic]"


def class_name(*words: str) -> str:
    """Words as the name of a class: ``("my-model", "int8")`` is ``MyModelInt8``."""
    parts = re.findall(r"[A-Za-z0-9]+", " ".join(words))
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return name if name[:1].isalpha() else f"Model{name}"


def render(facts: Facts) -> dict[str, str]:
    """The source files by name, and the notes on licences.

    Raises:
        ConversionError: The file has a tensor of a type that the code cannot fill.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - Kotlin and Swift; texts go through the filter below
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["kotlin_text"] = partial(_text, special={**ESCAPES, "$": "\\$"}, other="\\u{:04x}")
    environment.filters["swift_text"] = partial(_text, special=ESCAPES, other="\\u{{{:x}}}")
    values = _values(facts)
    name = values["name"]
    templates = {f"{name}.kt": "Model.kt.j2", f"{name}.swift": "Model.swift.j2", "LICENCES.md": "LICENCES.md.j2"}
    return {file: environment.get_template(template).render(values) for file, template in templates.items()}


def _values(facts: Facts) -> dict[str, Any]:
    manifest, artifact = facts.manifest, facts.artifact
    (input_spec, *_), (output_spec, *_) = (
        [TensorSpec.from_dict(item) for item in artifact[key]] for key in ("inputs", "outputs")
    )
    given = _tensor(input_spec, facts.golden_input.shape)
    answer = _tensor(output_spec, facts.golden_output.shape)
    scale, offset = (_number(manifest["preprocessing"][key]) for key in ("scale", "offset"))
    real = {"kotlin": f"value * {scale}f + {offset}f", "swift": f"$0 * {scale} + {offset}"}
    if (scale, offset) == ("1.0", "0.0"):
        real = {"kotlin": "value", "swift": "$0"}
    quantised = input_spec.quantised
    value = f"quantise({real['kotlin']})" if quantised else real["kotlin"]
    if not quantised and given["dtype"] != "float32":
        value = f"({value}).toInt()"
    number = KOTLIN_NUMBER[answer["dtype"]]
    back = f"(output.{number} {answer['minus_zero']}) * {answer['scale']}f"
    swift_back = f"(Float($0) {answer['minus_zero']}) * {answer['scale']}"
    anomaly = manifest["task"] == "anomaly"
    shape = " x ".join(map(str, facts.golden_input.shape[1:])) or "1"
    return {
        "title": _line(f"{manifest['name']}, {artifact['precision']}, recipe {manifest['recipe_sha256'][:12]}"),
        "name": class_name(manifest["name"], artifact["precision"]),
        "file": artifact["file"],
        "recipe_sha256": manifest["recipe_sha256"],
        "android_package": ANDROID_PACKAGE,
        "ios_package": IOS_PACKAGE,
        "threads": manifest["threads"],
        "purpose": "Gives back what the model takes for a normal sample; the score is the mean squared difference "
        "of both, preprocessed."
        if anomaly
        else "Gives one value for each label, the highest for the likeliest.",
        "sample": f"raw values of shape {shape}, channels last, as before preprocessing",
        "input": given,
        "output": answer,
        "resized": -1 in input_spec.shape,
        "labels": [] if anomaly or len(manifest["labels"]) != answer["size"] else manifest["labels"],
        "columns": [column["name"] for column in manifest["columns"] or ()],
        "tolerance": _number(_raw_tolerance(artifact, output_spec)),
        "kotlin_put": KOTLIN_PUT[given["dtype"]].format(value=value),
        "kotlin_get": back if output_spec.quantised else f"output.{number}",
        "kotlin_number": number,
        "swift_put": f"Self.quantise({real['swift']})" if quantised else f"{given['swift']}({real['swift']})",
        "swift_get": swift_back if output_spec.quantised else "Float($0)",
    }


def _tensor(spec: TensorSpec, shape: Sequence[int]) -> dict[str, Any]:
    if spec.dtype not in SWIFT:
        raise ConversionError(
            f"the tensor {spec.name!r} holds {spec.dtype}; expected one of: {', '.join(SWIFT)}",
            fix="export the model with float32 or int8 ends, or drop the mobile target",
        )
    limits = None if spec.dtype == "float32" else np.iinfo(spec.dtype)
    return {
        "dtype": spec.dtype,
        "shape": list(shape),
        "size": int(np.prod(shape)),
        "bytes": np.dtype(spec.dtype).itemsize,
        "swift": SWIFT[spec.dtype],
        "quantised": spec.quantised,
        "scale": None if spec.scale is None else _number(spec.scale),
        "plus_zero": _signed(spec.zero_point or 0),
        "minus_zero": _signed(-(spec.zero_point or 0)),
        "lowest": None if limits is None else int(limits.min),
        "highest": None if limits is None else int(limits.max),
    }


def _signed(value: int) -> str:
    """A number to be added, with its sign: ``- 128``."""
    return f"{'-' if value < 0 else '+'} {abs(value)}"


def _raw_tolerance(artifact: Mapping[str, Any], spec: TensorSpec) -> float:
    """What the manifest allows between machines, in steps of a quantised output."""
    real = float(artifact["tolerance"]["max_abs"])
    return real if spec.scale is None else float(np.ceil(real / spec.scale))


def _number(value: float) -> str:
    """A float32 in the fewest digits that give it back, with a point or an exponent in it."""
    text = str(np.float32(value))
    return text if set(".e") & set(text) else f"{text}.0"


def _text(value: str, *, special: Mapping[str, str], other: str) -> str:
    """A text as a literal: ``special`` characters escaped so, ``other`` ones that cannot be printed by their number."""
    whole = value.encode(errors="replace").decode()  # half of a character is none
    return '"' + "".join(special.get(c) or (c if c.isprintable() else other.format(ord(c))) for c in whole) + '"'


def _line(text: str) -> str:
    return " ".join(text.split())
