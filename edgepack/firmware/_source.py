"""How does a file become C++ source that TensorFlow Lite for Microcontrollers is given?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.contracts import FirmwareContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PER_LINE = 12
METHODS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM"}
"""Operations whose method of ``MicroMutableOpResolver`` is not their name in capitals and small letters."""
TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}


def write(
    out: Path, name: str, content: bytes, methods: Sequence[str], context: FirmwareContext, facts: Mapping[str, int]
) -> list[str]:
    """Write ``<name>.h``, ``<name>.cc`` and ``<name>_golden.h``.

    Args:
        out: Folder, which is there.
        name: Identifier in C, that of the array.
        content: The ``.tflite`` file.
        methods: Methods of ``MicroMutableOpResolver``, without ``Add``, one for each kind of operation.
        context: Names, tensors, a golden sample.
        facts: Numbers for the header, by the end of their macro's name: ``{"ARENA_BYTES": 55952}``.

    Returns:
        The names of the files.
    """
    files = {
        f"{name}.h": _header(name, len(content), methods, context, facts),
        f"{name}.cc": _array(name, content, context),
        f"{name}_golden.h": _golden(name, context),
    }
    for file, text in files.items():
        (out / file).write_text(text)
    return list(files)


def identifier(*words: str) -> str:
    """Words as one identifier of C: ``("my-model", "int8")`` is ``my_model_int8``."""
    joined = re.sub(r"\W", "_", "_".join(words), flags=re.ASCII).lower()
    return joined if not joined[:1].isdigit() else f"model_{joined}"


def method(operation: str) -> str:
    """The method of ``MicroMutableOpResolver`` that adds an operation, without ``Add``: ``CONV_2D`` is ``Conv2D``."""
    parts = operation.split("_")
    return METHODS.get(operation) or "".join(p if p[:1].isdigit() else p.capitalize() for p in parts)


def operations(content: bytes) -> list[tuple[str, str]]:
    """(kind, name of its first output) of each operation of a ``.tflite`` file; custom ones by their own name."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    found = []
    for operation in graph.operators:
        code = model.operatorCodes[operation.opcodeIndex]
        kind = code.customCode.decode() if code.customCode else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        found.append((kind, graph.tensors[operation.outputs[0]].name.decode()))
    return found


def _header(name: str, size: int, methods: Sequence[str], context: FirmwareContext, facts: Mapping[str, int]) -> str:
    macro = name.upper()
    adds = " ".join(f"(resolver).Add{word}();" for word in methods)
    return "\n".join(
        [
            f"// {context.title}: a model for TensorFlow Lite for Microcontrollers. Made by edgepack; do not edit.",
            "//",
            f"// tflite::MicroMutableOpResolver<{macro}_OPERATIONS> resolver;",
            f"// {macro}_ADD_OPERATIONS(resolver)",
            *(
                [f"// alignas(16) static uint8_t arena[{macro}_ARENA_BYTES];"]
                if "ARENA_BYTES" in facts
                else ["// alignas(16) static uint8_t arena[...];"]
            ),
            f"// tflite::MicroInterpreter interpreter(tflite::GetModel({name}), resolver, arena, sizeof arena);",
            f"#ifndef {macro}_H_",
            f"#define {macro}_H_",
            "",
            "#include <stddef.h>",
            "",
            f"extern const unsigned char {name}[];",
            f"extern const size_t {name}_size;",
            "",
            f"#define {macro}_BYTES {size}",
            *(f"#define {macro}_{key} {value}" for key, value in facts.items()),
            "",
            *_ends(macro, "INPUT", context.inputs),
            *_ends(macro, "OUTPUT", context.outputs),
            f"#define {macro}_OPERATIONS {len(methods)}",
            f"#define {macro}_ADD_OPERATIONS(resolver) {adds}",
            "",
            f"#endif  // {macro}_H_",
            "",
        ]
    )


def _ends(macro: str, end: str, tensors: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What goes in or comes out, as a comment and macros."""
    for index, tensor in enumerate(tensors):
        prefix = f"{macro}_{end}" if len(tensors) == 1 else f"{macro}_{end}_{index}"
        shape = "x".join(str(abs(size)) for size in tensor["shape"])
        yield f"// {end.lower()}: {tensor['dtype']} {shape}"
        if tensor["scale"] is not None:
            yield f"// real = ({end.lower()} - {prefix}_ZERO_POINT) * {prefix}_SCALE"
            yield f"#define {prefix}_SCALE {tensor['scale']:.9g}f"
            yield f"#define {prefix}_ZERO_POINT ({tensor['zero_point']})"
        yield ""


def _array(name: str, content: bytes, context: FirmwareContext) -> str:
    lines = "\n".join(
        "    " + ", ".join(f"0x{byte:02x}" for byte in content[start : start + PER_LINE]) + ","
        for start in range(0, len(content), PER_LINE)
    )
    return (
        f"// {context.title}. Made by edgepack; do not edit.\n"
        f'#include "{name}.h"\n\n'
        f"alignas(16) const unsigned char {name}[] = {{\n{lines}\n}};\n"
        f"const size_t {name}_size = sizeof {name};\n"
    )


def _golden(name: str, context: FirmwareContext) -> str:
    macro = f"{name.upper()}_GOLDEN_H_"
    return (
        f"// A real test sample and what {name} answers to it with the portable kernels of TensorFlow Lite for\n"
        "// Microcontrollers, number for number: a self-test for the device. Made by edgepack; do not edit.\n"
        f"#ifndef {macro}\n#define {macro}\n\n#include <stdint.h>\n\n"
        f"{_numbers(f'{name}_golden_input', context.golden_input)}\n"
        f"{_numbers(f'{name}_golden_output', context.golden_output)}\n"
        f"#endif  // {macro}\n"
    )


def _numbers(name: str, values: "NDArray[np.generic]") -> str:
    flat = values.ravel()
    words = [f"{value:.9g}" if flat.dtype.kind == "f" else str(int(value)) for value in flat]
    lines = "\n".join(
        "    " + ", ".join(words[start : start + PER_LINE]) + "," for start in range(0, len(words), PER_LINE)
    )
    return f"static const {TYPES[flat.dtype.name]} {name}[{flat.size}] = {{\n{lines}\n}};\n"
