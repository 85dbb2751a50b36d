"""How does a .onnx file run under ONNX Runtime, whatever the execution provider?"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RunnerError
from ..tensors import TensorSpec
from ._common import SessionBase, check_feed, closed, first_line, not_set, with_recorded

# What ONNX Runtime calls an element type, where numpy calls it otherwise.
_DTYPES = {"float": "float32", "double": "float64"}


def version() -> str:
    """The runtime's version; imports the runtime.

    Raises:
        RunnerError: It is not installed.
    """
    # A device reports to its owner alone.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise RunnerError(f"ONNX Runtime cannot be imported ({first_line(error)}); install onnxruntime") from error
    return str(onnxruntime.__version__)


class OnnxSession(SessionBase):
    """A .onnx file in ONNX Runtime, its inputs and outputs bound to memory of the host.

    Args:
        path: The model's file.
        threads: Threads inside one operator; operators run one after the other.
        providers: Execution providers, the most wanted first.

    Raises:
        RunnerError: ONNX Runtime is not installed or refuses the file.
    """

    def __init__(self, path: Path | str, threads: int, providers: Sequence[str]) -> None:
        self._version = version()
        self._session = _load(Path(path), threads, list(providers), self._version)
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.inputs = _specs(self._session.get_inputs(), metadata.get("edgepack.inputs"))
            self.outputs = _specs(self._session.get_outputs(), metadata.get("edgepack.outputs"))
        except UnicodeDecodeError as error:  # ONNX Runtime takes any bytes for a name
            raise RunnerError(
                f"{Path(path).name} has names or metadata that are no text: {first_line(error)}"
            ) from error
        self._buffers: dict[str, NDArray[Any]] = {}
        self._binding: Any = None
        self.invoke = not_set

    @property
    def details(self) -> dict[str, Any]:
        """Version, the providers really in use, and how many nodes each runs (None where not told)."""
        by_provider = _assignment(self._session)
        return {
            "version": self._version,
            "provider": self._session.get_providers()[0],
            "providers": list(self._session.get_providers()),
            "nodes": sum(by_provider.values()) if by_provider is not None else None,
            "nodes_by_provider": by_provider,
            "nodes_by": by_provider,
        }

    def set_inputs(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into bound memory; another batch size than the last binds anew.

        Raises:
            UsageError: A name, shape or dtype is not the model's.
        """
        check_feed(feed, self.inputs)
        if any(name not in self._buffers or self._buffers[name].shape != feed[name].shape for name in feed):
            self._bind({name: np.empty_like(array, order="C") for name, array in feed.items()})
        for name, array in feed.items():
            np.copyto(self._buffers[name], array)

    def _bind(self, buffers: dict[str, NDArray[Any]]) -> None:
        import onnxruntime

        binding = self._session.io_binding()
        for name, buffer in buffers.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        for spec in self.outputs:
            binding.bind_output(spec.name, "cpu")
        self._buffers, self._binding = buffers, binding
        self.invoke = partial(self._session.run_with_iobinding, binding)

    def get_outputs(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs of the last ``invoke``, by name, in their raw dtypes."""
        arrays = self._binding.copy_outputs_to_cpu()
        return {spec.name: np.array(array) for spec, array in zip(self.outputs, arrays, strict=True)}

    def close(self) -> None:
        """Give the model's memory back."""
        self._binding = self._session = None
        self._buffers = {}
        self.invoke = closed


def _load(path: Path, threads: int, providers: list[str], version: str) -> Any:
    """Open the file with exact products of 8 bits, or where ONNX Runtime cannot do that for it, as it does by itself.

    Without VNNI, x86 processors add two products of unsigned activations and signed weights in 16 bits, which overflow
    silently. ONNX Runtime makes the weights unsigned there if asked to, and fails at weights that share a zero point.
    """
    import onnxruntime

    for exact in ("1", "0"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # what is an error is raised; warnings are not for whoever measures a graph
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.add_session_config_entry("session.x64quantprecision", exact)
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors share no narrower class
            failure = error
    raise RunnerError(f"ONNX Runtime {version} cannot load {path.name}: {first_line(failure)}") from failure


def _specs(nodes: Sequence[Any], recorded: str | None) -> tuple[TensorSpec, ...]:
    """Tensors as ONNX Runtime tells them, with the scales that the exporter recorded in the file's metadata.

    ONNX itself has no scale for a graph's inputs and outputs.
    """
    plain = tuple(
        TensorSpec(
            name=str(node.name),
            shape=tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape),
            dtype=_dtype(node),
        )
        for node in nodes
    )
    return with_recorded(plain, recorded)


def _dtype(node: Any) -> str:
    element = str(node.type).removeprefix("tensor(").removesuffix(")")
    try:
        return np.dtype(_DTYPES.get(element, element)).name
    except TypeError as error:
        raise RunnerError(f"tensor {node.name!r} has type {node.type}; expected a tensor of numbers") from error


def _assignment(session: Any) -> dict[str, int] | None:
    try:
        subgraphs = session.get_provider_graph_assignment_info()
    except Exception:  # not in every version or provider
        return None
    counts: dict[str, int] = {}
    for subgraph in subgraphs:
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts
