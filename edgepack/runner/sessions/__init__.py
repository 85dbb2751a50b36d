"""Which runtimes can the runner use? One file each in this folder; the file's name is the runtime's name.

A session module has the constants ``FORMAT`` (extension of the files it runs), ``ACCELERATOR`` (hardware without
which it does not start, or None), ``REQUIREMENTS`` (package
names that an image needs: complete, to be resolved without dependencies), ``EXCLUDE`` (what of their files an
image can do without: ``fnmatch`` patterns for the path relative to ``site-packages``, ``*`` also crossing
``/``), a function ``version()`` that imports the runtime, and a class ``Session``.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self, cast

from numpy.typing import NDArray

from ..child import say
from ..errors import RunnerError, UsageError
from ..tensors import TensorSpec

CPU = "CPUExecutionProvider"
"""What ONNX Runtime calls the processor that every machine has."""


class Session(Protocol):
    """A loaded model, ready to run; a context manager, closing it twice is safe.

    ``set_inputs``, ``invoke`` and ``get_outputs`` are the parts of ``run``, so that ``invoke`` can be timed
    alone: from inputs that are in the runtime's buffers to outputs that are there.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def details(self) -> dict[str, Any]:
        """What really runs: version, delegate or provider, nodes where the runtime tells."""

    def set_inputs(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays (batch axis first, the tensors' own dtypes) into the runtime; all inputs, by name."""

    def invoke(self) -> object:
        """Run the model once on the inputs that were set."""

    def get_outputs(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs of the last ``invoke``, by name, in their raw dtypes."""

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Set the inputs, run the model once, return the outputs."""

    def close(self) -> None:
        """Give the model's memory back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def names() -> tuple[str, ...]:
    """The runtimes, by folder listing; none of them is imported."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str) -> ModuleType:
    """The session module of a runtime; the runtime itself is not imported yet.

    Raises:
        UsageError: There is no such runtime.
    """
    if name not in names():
        raise UsageError(f"unknown runtime {name!r}; expected one of: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")


def for_file(path: Path) -> str:
    """The runtime for a bare file: the first one of its format that is installed here.

    Raises:
        UsageError: No runtime reads files with this extension.
        RunnerError: Runtimes do, and none is installed.
    """
    extension = path.suffix.lstrip(".").lower()
    fitting = [name for name in names() if extension == load(name).FORMAT]
    if not fitting:
        formats = sorted({str(load(name).FORMAT) for name in names()})
        raise UsageError(f"no runtime for {path.name!r}; expected a file that ends in one of: {', '.join(formats)}")
    for name in fitting:
        if importlib.util.find_spec(load(name).MODULE) is not None:
            return name
    raise RunnerError(
        f"{path.name} needs one of the runtimes {', '.join(fitting)} and none is installed; "
        f"install {' or '.join(load(name).REQUIREMENTS[0] for name in fitting)}"
    )


def open_job(job: Mapping[str, Any]) -> Session:
    """The session of an entry's job, see `bundle.Entry`; one on an accelerator is announced with what it really uses.

    Raises:
        UsageError, RunnerError: As `open_session` does.
    """
    accelerator = getattr(load(job["runtime"]), "ACCELERATOR", None)
    options = {"allow_cpu": True} if accelerator and job.get("allow_cpu") else {}
    session = open_session(job["runtime"], job["path"], job["threads"], **options)
    if accelerator:
        provider = session.details["provider"]
        instead = f": there is no usable {accelerator}, and the target allows the CPU" if provider == CPU else ""
        say(f"{Path(job['path']).name} with {job['runtime']} runs on {provider}{instead}")
    return session


def open_session(runtime: str, path: Path | str, threads: int = 1, **options: Any) -> Session:
    """Load a model with a runtime.

    Args:
        runtime: A name from ``names()``.
        path: The model's file.
        threads: Threads that one inference may use; at least 1.
        options: What the session's constructor takes besides, e.g. ``kernels="reference"`` for ``litert``.

    Raises:
        UsageError: The runtime or an option is unknown, or ``threads`` is below 1.
        RunnerError: The runtime is not installed or cannot load the file.
    """
    module = load(runtime)
    if threads < 1:
        raise UsageError(f"threads={threads}; expected at least 1")
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}; expected a .{module.FORMAT} file")
    return cast(Session, module.Session(path, threads, **options))
