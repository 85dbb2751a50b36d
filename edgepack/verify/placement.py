"""What does ONNX Runtime really run of a file: which operations after fusing, in integers or in float?"""

import tempfile
from pathlib import Path
from typing import Any

from edgepack.errors import ConversionError

INTEGER = frozenset(
    (
        *("ConvInteger", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "QAttention", "QGemm"),
        *("QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool"),
        *("QLinearLeakyRelu", "QLinearMatMul", "QLinearMul", "QLinearReduceMean", "QLinearSigmoid", "QLinearSoftmax"),
        *("QLinearWhere",),
    )
)
"""Operations of ONNX and ONNX Runtime that compute in integers."""

EDGES = frozenset(("DequantizeLinear", "QuantizeLinear"))
MOVES = frozenset(
    (
        *("Cast", "Clip", "Concat", "Flatten", "Gather", "Identity", "MaxPool", "NhwcMaxPool", "Pad", "Reshape"),
        *("Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
    )
)
"""Operations that keep what they are given: they count as what they read."""


def onnxruntime_nodes(path: Path) -> dict[str, Any]:
    """Count what ONNX Runtime's CPU provider makes of a graph.

    Returns:
        ``integer_nodes``, ``float_nodes``: how many operations compute in each; ``in_float``: the latter by name, where
        there are any in integers.

    Raises:
        ConversionError: ONNX Runtime refuses the file.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(optimised)
        options.log_severity_level = 4  # it warns that such a file is for this machine alone
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no narrower class
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise ConversionError(
                f"{path.name} cannot be loaded by ONNX Runtime: {reason}", fix="make the file again, or copy it again"
            ) from error
        graph = onnx.load(optimised).graph
    kinds: dict[str, bool] = {}
    integer, floats = 0, []
    for value in graph.input:
        kinds[value.name] = value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT
    for tensor in graph.initializer:
        kinds[tensor.name] = tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    for node in graph.node:
        if node.op_type in EDGES:
            own = node.op_type == "QuantizeLinear"
        elif node.op_type in MOVES:
            own = kinds.get(node.input[0], False)
        else:
            own = node.op_type in INTEGER
        kinds |= dict.fromkeys(node.output, own)
        if node.op_type in EDGES:
            continue
        if own:
            integer += 1
        else:
            floats.append(f"{node.op_type} {node.output[0]}")
    return {"integer_nodes": integer, "float_nodes": len(floats), "in_float": floats if integer else []}
