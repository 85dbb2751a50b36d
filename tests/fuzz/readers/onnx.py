"""What does edgepack do with an ``.onnx`` file?"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgepack.onnx_models import canonical, clips, ends, files, half, integer, unsigned
from edgepack.runner import measure, verify
from edgepack.verify import layers, placement

from ..mutations import mutate_json_text
from . import Flip, Part
from .tflite import BUNDLE, PROTOCOL

SUFFIX = ".onnx"


def prepare(made: Path) -> None:
    """See `readers`."""
    import onnx
    import onnxruntime

    assert onnx.checker, onnxruntime.InferenceSession
    import onnxruntime.transformers.float16


def seeds(made: Path) -> list[bytes]:
    """See `readers`."""
    return [path.read_bytes() for path in sorted((made / BUNDLE).glob("*.onnx"))]


def mutate(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    """See `readers`: a field of the graph, or bytes anywhere."""
    import onnx
    from google.protobuf.message import DecodeError

    if rng.random() < 0.3:
        return flip(content)
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        return flip(content)
    try:
        for _ in range(rng.choice((1, 1, 2, 4))):
            _change(model, rng)
    except UnicodeDecodeError:  # a name that was flipped before
        return flip(content)
    return bytes(model.SerializeToString())


def _change(model: Any, rng: random.Random) -> None:
    graph = model.graph
    nodes, tensors, values = list(graph.node), list(graph.initializer), [*graph.input, *graph.output]
    names = [name for node in nodes for name in (*node.input, *node.output)] + ["", "a"]
    operations = (
        "Conv",
        "Relu",
        "Clip",
        "QuantizeLinear",
        "DequantizeLinear",
        "Reshape",
        "Transpose",
        "MatMul",
        "Concat",
    )
    deed = rng.randrange(11)
    if deed < 6 and nodes:
        node = rng.choice(nodes)
        if deed == 0:
            graph.node.remove(node)
        elif deed == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif deed == 2 and node.input:
            del node.input[rng.randrange(len(node.input)) :]
        elif deed == 3:
            node.op_type = rng.choice((*operations, *(other.op_type for other in nodes)))
        elif deed == 4:
            graph.node.append(node)
        elif node.output:
            node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif deed == 6 and tensors:
        tensor = rng.choice(tensors)
        tensor.dims[:] = [rng.choice((0, 1, 3, -1, 2**31, 2**62)) for _ in range(rng.randrange(5))]
    elif deed == 7 and tensors:
        rng.choice(tensors).data_type = rng.randrange(24)
    elif deed == 8 and values:
        kind = rng.choice(values).type.tensor_type
        kind.elem_type = rng.randrange(24)
        for axis in kind.shape.dim:
            if rng.random() < 0.3:
                axis.dim_value = rng.choice((-1, 0, 1, 7, 100_000, 2**40))
    elif deed == 9 and model.metadata_props:
        entry = rng.choice(model.metadata_props)
        entry.value = (mutate_json_text(entry.value, rng) or b"[").decode()
    elif nodes:
        node = rng.choice(nodes)
        if node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = rng.choice((-1, 0, 5, 2**40))
            attribute.ints[:] = [rng.choice((-1, 0, 1, 2, 2**40)) for _ in range(rng.randrange(6))]


def parts(path: Path, made: Path, work: Path) -> Iterator[Part]:
    """See `readers`."""
    from .tflite import _job, adopted

    job = _job(path, None) | {"runtime": "onnxruntime", "artifact": "model.int8.onnx"}
    yield Part("bench", lambda: measure.work(job, 0.0), explained=True)
    yield Part("adopt", lambda: adopted(path, made, work))
    golden = {"golden": str(made / BUNDLE / "golden.npz")}
    yield Part("verify", lambda: verify.work(job | golden, 0.0), explained=True)
    for name, change in {
        "canonical": canonical.canonicalise,
        "clips": clips.move_clips,
        "unsigned": unsigned.make_unsigned,
        "half": half.halve,
        "int8 weights": integer.require_int8_weights,
        "zero points": integer.own_zero_points,
        "ends": _describe,
    }.items():
        yield Part(name, lambda chosen=change: chosen(files.read(path)))
    yield Part("placement", lambda: placement.onnxruntime_nodes(path))
    tflite = made / BUNDLE / "model.int8.tflite"
    x = np.zeros((1, 8, 8, 1), np.int8)
    yield Part("layers", lambda: layers.compare_layers(tflite, path, x))


def _describe(model: Any) -> None:
    specs = [
        {"name": f"t{i}", "dtype": "int8", "zero_point": 0, "scale": 1.0, "shape": [1]}
        for i in range(len(model.graph.input) + len(model.graph.output))
    ]
    count = len(model.graph.input)
    ends.describe(model, specs[:count], specs[count:])


def command(path: Path, made: Path, work: Path) -> list[str]:
    """See `readers`."""
    assert PROTOCOL
    return ["bench", str(path)]
