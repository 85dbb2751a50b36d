"""How does a .onnx file run under ONNX Runtime on an NVIDIA GPU, and never quietly on the CPU instead?"""

from pathlib import Path

from ..errors import RunnerError
from . import CPU
from ._common import NUMPY_EXCLUDE
from ._onnx import OnnxSession, version

__all__ = ["ACCELERATOR", "EXCLUDE", "FORMAT", "MODULE", "REQUIREMENTS", "Session", "version"]

FORMAT = "onnx"
ACCELERATOR: str | None = "NVIDIA GPU"
MODULE = "onnxruntime"
REQUIREMENTS = ("onnxruntime-gpu", "numpy")
EXCLUDE = (
    *NUMPY_EXCLUDE,
    "onnxruntime/backend/*",
    "onnxruntime/datasets/*",
    "onnxruntime/quantization/*",
    "onnxruntime/tools/*",
    "onnxruntime/transformers/*",
)

GPU_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")


class Session(OnnxSession):
    """A .onnx file on TensorRT or else CUDA; operators that neither has run on the CPU, see ``details``.

    Args:
        path: The model's file.
        threads: Threads inside one operator that stays on the CPU.
        allow_cpu: Run on the CPU alone where there is no usable GPU, instead of refusing.

    Raises:
        RunnerError: There is no usable GPU and ``allow_cpu`` is false; or ONNX Runtime refuses the file.
    """

    def __init__(self, path: Path | str, threads: int = 1, *, allow_cpu: bool = False) -> None:
        version()
        import onnxruntime

        built_in = onnxruntime.get_available_providers()
        wanted = [name for name in GPU_PROVIDERS if name in built_in]
        if not wanted and not allow_cpu:
            raise RunnerError(
                f"this ONNX Runtime has only {', '.join(built_in)}; expected {' or '.join(GPU_PROVIDERS)}: "
                "install onnxruntime-gpu, or let the target allow the CPU (allow_cpu: true)"
            )
        super().__init__(path, threads, [*wanted, CPU])
        # ONNX Runtime goes on with the CPU when a provider's libraries or its device are missing.
        used = self._session.get_providers()[0]
        if used not in GPU_PROVIDERS and not allow_cpu:
            self.close()
            raise RunnerError(
                f"no usable GPU: ONNX Runtime fell back to {used}; expected {' or '.join(wanted)}: "
                "check the driver and `docker run --gpus all`, or let the target allow the CPU (allow_cpu: true)"
            )
