"""Which operations does a model file hold, how many bytes and which number format has each?"""

import hashlib
from pathlib import Path
from typing import Any

from edgepack.report.schema import Artifact, FileLayers, ModelLayer

LARGEST_FILE_BYTES = 512 * 2**20


def collect_layers(folder: Path, artifacts: tuple[Artifact, ...]) -> tuple[FileLayers, ...]:
    """Read the operations of each artifact that is there and is the one that the manifest means.

    Args:
        folder: A target's folder.
        artifacts: Those of its manifest.
    """
    return tuple(_read(folder / Path(artifact.file).name, artifact) for artifact in artifacts)


def _read(path: Path, artifact: Artifact) -> FileLayers:
    reader = {".tflite": _tflite, ".onnx": _onnx}.get(path.suffix)
    if reader is None:
        return FileLayers(artifact.file, (), f"{path.suffix or 'this kind of'} files are not looked into")
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            return FileLayers(artifact.file, (), "too large to be looked into")
        content = path.read_bytes()
    except OSError as error:
        return FileLayers(artifact.file, (), f"{path.name} cannot be read ({error.strerror})")
    if artifact.sha256 and hashlib.sha256(content).hexdigest() != artifact.sha256:
        return FileLayers(artifact.file, (), f"{path.name} is not the file that the manifest means")
    try:
        return FileLayers(artifact.file, reader(content), None)
    except Exception as error:  # a damaged file makes either library raise anything; a report never fails on one
        return FileLayers(artifact.file, (), f"{path.name} cannot be read ({type(error).__name__})")


def _tflite(content: bytes) -> tuple[ModelLayer, ...]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    types = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = code.customCode.decode(errors="replace") if code.customCode else names.get(builtin, str(builtin))
        inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
        made = graph.tensors[operator.outputs[0]]
        constants = [t for t in inputs if (data := model.buffers[t.buffer].data) is not None and len(data)]
        stored = [types.get(t.type, str(t.type)) for t in constants]
        found.append(
            ModelLayer(
                name=made.name.decode(errors="replace").split(";")[0] if made.name else "unnamed",
                operation=kind,
                weight_bytes=sum(len(model.buffers[t.buffer].data) for t in constants),
                precision=_precision(types.get(made.type, str(made.type)), stored),
                shape=tuple(int(axis) for axis in (made.shape if made.shape is not None else ())),
            )
        )
    return tuple(found)


def _onnx(content: bytes) -> tuple[ModelLayer, ...]:
    """The nodes that compute; what only changes the number format is told by the precision of its neighbours."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content)).graph
    types = {info.name: info.type.tensor_type for info in (*graph.value_info, *graph.input, *graph.output)}
    words = {value: name.lower() for name, value in onnx.TensorProto.DataType.items()}
    words |= {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.UNDEFINED: ""}
    stored = {tensor.name: (_bytes_of(tensor), words.get(tensor.data_type, "unknown")) for tensor in graph.initializer}
    integers: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            source, name = node.input[0], node.output[0]
            if source in stored:
                stored[name] = (sum(stored[part][0] for part in node.input if part in stored), stored[source][1])
            known = types.get(source)
            kind = stored[source][1] if source in stored else words.get(known.elem_type, "") if known else ""
            integers[name] = kind or "int8"
    found = []
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        made = types.get(node.output[0])
        own = [stored[name] for name in node.input if name in stored]
        computed = words.get(made.elem_type, "") if made is not None else ""
        computed = next((integers[name] for name in node.input if name in integers and name not in stored), computed)
        found.append(
            ModelLayer(
                name=(node.name or node.output[0] or "unnamed").split(";")[0],
                operation=node.op_type,
                weight_bytes=sum(size for size, _ in own),
                precision=_precision(computed, [kind for _, kind in own]),
                shape=tuple(axis.dim_value for axis in made.shape.dim) if made is not None else (),
            )
        )
    return tuple(found)


def _bytes_of(tensor: Any) -> int:
    return len(tensor.raw_data) or tensor.ByteSize()


def _precision(computed: str, stored: list[str]) -> str:
    """The format of what is made, and that of the weights where it differs: "float32, int8 weights"."""
    weights = next((kind for kind in stored if kind not in ("int32", "int64", "bool")), None)
    if weights is None or weights.lstrip("u") == computed.lstrip("u"):  # unsigned activations, signed weights
        return computed or "unknown"
    return f"{computed}, {weights} weights" if computed else f"{weights} weights"
