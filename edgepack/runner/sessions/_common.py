"""What do all sessions share: how they are fed, run and closed, and what of numpy they do without?"""

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import RunnerError, UsageError
from ..tensors import TensorSpec

# `import numpy`, npz files, percentiles and both runtimes work without these; measured on numpy 2.4.
NUMPY_EXCLUDE = (
    "*.pyi",
    "numpy/*/tests/*",
    "numpy/tests/*",
    "numpy/conftest.py",
    "numpy/_pyinstaller/*",
    "numpy/distutils/*",
    "numpy/f2py/*",
    "numpy/fft/*",
    "numpy/polynomial/*",
    "numpy/random/*",
    "numpy/testing/*",
    "numpy/_core/include/*",
    "numpy/_core/lib/*",
    "numpy/_core/_*tests*.so",
    "numpy/_core/_simd*.so",
)


class SessionBase:
    """The part of a session that is the same for every runtime: run, checks and closing."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    # An attribute, so that a session can put the runtime's own bound method here and a timed call passes
    # nothing of ours.
    invoke: Callable[[], object]

    def set_inputs(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays (batch axis first, the tensors' own dtypes) into the runtime; all inputs, by name."""
        raise NotImplementedError

    def get_outputs(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs of the last ``invoke``, by name, in their raw dtypes."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the model's memory back."""
        raise NotImplementedError

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Set the inputs, run the model once, return the outputs.

        Args:
            feed: One array for each input, by name: batch axis first, the tensor's own dtype.

        Raises:
            UsageError: A name, shape or dtype is not the model's.
        """
        self.set_inputs(feed)
        self.invoke()
        return self.get_outputs()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def not_set() -> None:
    """What stands for ``invoke`` before there are inputs."""
    raise RunnerError("no inputs were set; call set_inputs first")


def closed() -> None:
    """What stands for ``invoke`` afterwards."""
    raise RunnerError("the session is closed")


def with_recorded(plain: tuple[TensorSpec, ...], recorded: str | None) -> tuple[TensorSpec, ...]:
    """Tensors with the scales and the layout that the exporter recorded: ONNX itself has no place for them.

    Args:
        plain: The tensors as the runtime tells them.
        recorded: JSON from the file's metadata, or None.

    Raises:
        RunnerError: It cannot be read, or contradicts the file.
    """
    if not recorded:
        return plain
    try:
        by_name = {spec.name: spec for spec in map(TensorSpec.from_dict, json.loads(recorded))}
    except (ValueError, TypeError) as error:
        raise RunnerError(f"the file's metadata about its tensors cannot be read: {first_line(error)}") from error
    return tuple(_merged(spec, by_name.get(spec.name, spec)) for spec in plain)


def _merged(spec: TensorSpec, recorded: TensorSpec) -> TensorSpec:
    if recorded.dtype != spec.dtype:
        raise RunnerError(
            f"tensor {spec.name!r} is {spec.dtype}, but the file's metadata says {recorded.dtype}; export it again"
        )
    return TensorSpec(spec.name, spec.shape, spec.dtype, recorded.scale, recorded.zero_point, recorded.layout)


def check_feed(feed: Mapping[str, NDArray[Any]], specs: tuple[TensorSpec, ...]) -> None:
    """Refuse arrays that do not fit the model's inputs; a runtime would crash or convert silently.

    Raises:
        UsageError: A name, shape or dtype is not the model's.
    """
    expected = [spec.name for spec in specs]
    if sorted(feed) != sorted(expected):
        raise UsageError(f"inputs named {sorted(feed)}; expected {sorted(expected)}")
    for spec in specs:
        array = feed[spec.name]
        fits = len(array.shape) == len(spec.shape) and all(
            want in (-1, size) for size, want in zip(array.shape, spec.shape, strict=True)
        )
        if not fits or array.dtype != np.dtype(spec.dtype):
            raise UsageError(
                f"input {spec.name!r} got {array.dtype} {list(array.shape)}; "
                f"expected {spec.dtype} {list(spec.shape)} (-1: any size)"
            )


def first_line(error: BaseException) -> str:
    """An error as one line: its kind and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
