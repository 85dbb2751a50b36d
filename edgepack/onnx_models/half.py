"""How does a float32 graph become one whose weights and arithmetic are float16?"""

from typing import Any

from edgepack.errors import ConversionError


def halve(model: Any) -> Any:
    """Convert weights and operations to float16; inputs and outputs stay float32.

    Operations that have no float16 form in ONNX Runtime stay in float32, between casts (`DEFAULT_OP_BLOCK_LIST` of
    ONNX Runtime's converter).

    Args:
        model: `onnx.ModelProto` in float32.

    Returns:
        The new model.

    Raises:
        ConversionError: A weight is too large for float16, whose largest number is 65,504.
    """
    import numpy as np
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    limit = float(np.finfo(np.float16).max)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            largest = float(np.max(np.abs(onnx.numpy_helper.to_array(tensor)), initial=0))
            if largest > limit:
                raise ConversionError(
                    f"the weight {tensor.name!r} holds {largest:.4g}, float16 at most {limit:,.0f}",
                    fix="export float32 or int8",
                )
    return convert_float_to_float16(model, keep_io_types=True)
