"""How does a float32 graph get int8 weights, and activations that are quantised while it runs?"""

import tempfile
from pathlib import Path
from typing import Any

KERNELS = ("Conv", "MatMul", "Gemm")
"""Operations whose weights become int8: the same that TensorFlow Lite's dynamic range quantises."""


def quantise_dynamically(model: Any) -> Any:
    """Quantise weights to int8 with ONNX Runtime's `quantize_dynamic`; inputs, outputs and biases stay float32.

    Args:
        model: `onnx.ModelProto` in float32.

    Returns:
        The new model.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=list(KERNELS),
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(path)
