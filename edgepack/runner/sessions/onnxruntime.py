"""How does a .onnx file run under ONNX Runtime on the CPU?"""

from pathlib import Path

from . import CPU
from ._common import NUMPY_EXCLUDE
from ._onnx import OnnxSession, version

__all__ = ["ACCELERATOR", "EXCLUDE", "FORMAT", "MODULE", "REQUIREMENTS", "Session", "version"]

FORMAT = "onnx"
ACCELERATOR: str | None = None
MODULE = "onnxruntime"
# Of the wheel's declared dependencies (flatbuffers, packaging, protobuf) an inference session imports none.
REQUIREMENTS = ("onnxruntime", "numpy")
# libonnxruntime.so is for C programs: the Python module carries the same code inside itself.
EXCLUDE = (
    *NUMPY_EXCLUDE,
    "onnxruntime/backend/*",
    "onnxruntime/datasets/*",
    "onnxruntime/quantization/*",
    "onnxruntime/tools/*",
    "onnxruntime/transformers/*",
    "onnxruntime/capi/libonnxruntime.so*",
)


class Session(OnnxSession):
    """A .onnx file on ONNX Runtime's CPU provider.

    Args:
        path: The model's file.
        threads: Threads inside one operator; operators run one after the other.

    Raises:
        RunnerError: ONNX Runtime is not installed or refuses the file.
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        super().__init__(path, threads, [CPU])
