"""How does a .onnx file run under OpenVINO on the CPU, and what of it in integers?"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunnerError
from ..tensors import TensorSpec
from ._common import NUMPY_EXCLUDE, SessionBase, check_feed, closed, first_line, not_set, with_recorded

FORMAT = "onnx"
ACCELERATOR: str | None = None
MODULE = "openvino"
# Of the wheel's declared dependencies (openvino-telemetry) inference imports none.
REQUIREMENTS = ("openvino", "numpy")
EXCLUDE = (
    *NUMPY_EXCLUDE,
    "openvino/include/*",
    "openvino/cmake/*",
    "openvino/libs/cache.json",
    "openvino/libs/libopenvino_auto*",
    "openvino/libs/libopenvino_c.so*",
    "openvino/libs/libopenvino_gguf_frontend*",
    "openvino/libs/libopenvino_hetero_plugin*",
    "openvino/libs/libopenvino_intel_gpu_plugin*",
    "openvino/libs/libopenvino_intel_npu_plugin*",
    "openvino/libs/libopenvino_jax_frontend*",
    "openvino/libs/libopenvino_paddle_frontend*",
    "openvino/libs/libopenvino_pytorch_frontend*",
    "openvino/libs/libopenvino_tensorflow*",
)

CPUINFO = Path("/proc/cpuinfo")
CAUTION = "this processor has no VNNI, and OpenVINO cuts off sums of two products that do not fit into 16 bits"
_WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")
_INTEGER = ("i8", "u8", "i4", "u4")
_NO_WORK = ("Const", "Input", "Output", "Reorder", "Reshape")


def version() -> str:
    """The runtime's version; imports the runtime.

    Raises:
        RunnerError: It is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise RunnerError(f"OpenVINO cannot be imported ({first_line(error)}); install openvino") from error
    return str(openvino.__version__)


class Session(SessionBase):
    """A .onnx file on OpenVINO's CPU device, in one stream, in the precision that the file has.

    Args:
        path: The model's file.
        threads: Threads that one inference may use.

    Raises:
        RunnerError: OpenVINO is not installed or refuses the file.
    """

    def __init__(self, path: Path | str, threads: int = 1) -> None:
        self._version = version()
        import openvino

        try:
            core = openvino.Core()
            model = core.read_model(str(path))
            if _cuts_products(CPUINFO):
                _compute_entrance_in_float(core, model)
            options = {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "INFERENCE_PRECISION_HINT": "f32",  # it would compute float32 in bfloat16 where the processor can
            }
            compiled = core.compile_model(model, "CPU", options)
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"OpenVINO {self._version} cannot load {Path(path).name}: {first_line(error)}") from error
        self._compiled: Any = compiled
        self._request: Any = compiled.create_infer_request()
        self.inputs = with_recorded(_specs(compiled.inputs), _recorded(model, "edgepack.inputs"))
        self.outputs = with_recorded(_specs(compiled.outputs), _recorded(model, "edgepack.outputs"))
        self._buffers: dict[str, NDArray[Any]] = {}
        self.invoke = not_set

    @property
    def details(self) -> dict[str, Any]:
        """Version, device, and how many operations compute in integers and in float after fusing, as OpenVINO tells.

        ``caution`` says where integers are not what the file says: on x86 processors without VNNI, OpenVINO adds
        products of 8 bits in 16 and cuts off what does not fit, and has no setting against it. There the layers that
        read the model's input compute in float: nowhere else are integers as large as those of a bright image.
        """
        nodes = [node for node in self._compiled.get_runtime_model().get_ops() if _told(node, "layerType")]
        working = [node for node in nodes if _told(node, "layerType") not in _NO_WORK]
        floats = [node for node in working if _told(node, "runtimePrecision") not in _INTEGER]
        integers = len(working) - len(floats)
        return {
            "version": self._version,
            "device": "CPU",
            "nodes_by": {"CPU": len(working)},
            "integer_nodes": integers,
            "float_nodes": len(floats),
            "caution": CAUTION if integers and _cuts_products(CPUINFO) else None,
            "in_float": [f"{_told(node, 'layerType')} {node.get_friendly_name()}" for node in floats]
            if integers
            else [],
        }

    def set_inputs(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into the runtime's memory; another batch size than the last binds anew.

        Raises:
            UsageError: A name, shape or dtype is not the model's.
        """
        import openvino

        check_feed(feed, self.inputs)
        for name, array in feed.items():
            if name not in self._buffers or self._buffers[name].shape != array.shape:
                self._buffers[name] = np.empty_like(array, order="C")
                self._request.set_tensor(name, openvino.Tensor(self._buffers[name], shared_memory=True))
            np.copyto(self._buffers[name], array)
        self.invoke = self._request.infer

    def get_outputs(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs of the last ``invoke``, by name, in their raw dtypes."""
        return {spec.name: np.array(self._request.get_tensor(spec.name).data) for spec in self.outputs}

    def close(self) -> None:
        """Give the model's memory back."""
        self._request = self._compiled = None
        self._buffers = {}
        self.invoke = closed


def _cuts_products(cpuinfo: Path) -> bool:
    """Whether the processor is an x86 without instructions that add products of 8 bits in 32."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and re.search(r"vnni|amx_int8", flags[1]) is None


def _compute_entrance_in_float(core: Any, model: Any) -> None:
    """Give the layers that read a model's input their weights as real numbers, so that they stay in float."""
    from openvino import op

    ahead = [output for parameter in model.get_parameters() for output in parameter.outputs()]
    seen: set[str] = set()
    while ahead:
        for reader in ahead.pop().get_target_inputs():
            node = reader.get_node()
            if node.get_type_name() in _WEIGHTED:
                weights = node.input_value(1)
                if reader.get_index() == 0 and _is_constant(weights.get_node()):
                    node.input(1).replace_source_output(op.Constant(_value(core, weights)).output(0))
            elif node.get_name() not in seen:
                seen.add(node.get_name())
                ahead += node.outputs()


def _is_constant(node: Any) -> bool:
    """Whether nothing that a tensor is made of comes from an input."""
    if node.get_type_name() == "Parameter":
        return False
    return all(_is_constant(value.get_node()) for value in node.input_values())


def _value(core: Any, output: Any) -> NDArray[Any]:
    """What a tensor that is made of constants holds."""
    import openvino

    compiled = core.compile_model(openvino.Model([output], [], "weights"), "CPU")
    return np.array(next(iter(compiled({}).values())))


def _told(node: Any, key: str) -> str:
    information = node.get_rt_info()
    return str(information[key].value) if key in information else ""


def _recorded(model: Any, key: str) -> str | None:
    """What the exporter left in the file's metadata."""
    try:
        return str(model.get_rt_info(["framework", key]).value)
    except RuntimeError:
        return None


def _specs(ports: Any) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=str(port.get_any_name()),
            shape=tuple(int(axis.get_length()) if axis.is_static else -1 for axis in port.get_partial_shape()),
            dtype=np.dtype(port.get_element_type().to_dtype()).name,
        )
        for port in ports
    )
