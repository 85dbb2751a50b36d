"""How does a stage run in a process of its own, with the right Keras and none of its noise?

The parent has one forked (`edgepack.forkserver`), writes one JSON request line to its standard input and reads JSON
events from its standard output. The pipe stays open while the parent lives: when it closes, the worker ends itself,
so that killing edgepack never leaves training behind.
"""

import json
import os
import resource
import shutil
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from edgepack import forkserver
from edgepack.errors import CLASSES, BugError, DeviceError, EdgepackError, MissingError
from edgepack.stages.request import Request
from edgepack.store import explain_os_errors
from edgepack.tf_environment import environment

FULL_BYTES = 64 * 1024

ENDING_S = 20  # room for the libraries of a worker that is done to end in good order


@dataclass(frozen=True)
class Done:
    """What a stage's process handed back: its figures, and the most memory that it or a child of it held, in MiB."""

    figures: dict[str, Any]
    peak_mib: float


def call(module: str, request: Request, *, log_path: Path) -> Done:
    """Run ``module.run(request)`` in a new process and return its figures.

    Args:
        module: Dotted name of a stage, e.g. ``edgepack.stages.train``.
        request: What to do; its ``progress`` is called in this process.
        log_path: File that receives everything that the libraries print.

    Raises:
        EdgepackError: Whatever class the stage raised; BugError with the traceback when it was no EdgepackError.
        DeviceError: The process died without a word.
    """
    payload = {
        "module": module,
        "recipe": request.recipe.resolved(),
        "base": str(request.base),
        "out": str(request.out),
        "inputs": {name: str(path) for name, path in request.inputs.items()},
        "smoke": request.smoke,
        "checkpoints": str(request.checkpoints) if request.checkpoints else None,
        "logs": str(request.logs) if request.logs else None,
        "options": dict(request.options),
    }
    imports = ["edgepack.recipe", module]
    last: dict[str, Any] = {}
    with log_path.open("ab") as log, forkserver.started(__name__, imports, env=environment(), stderr=log) as process:
        with suppress(BrokenPipeError):  # it died at once: the missing result below says so
            process.stdin.write(json.dumps(payload).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            last = json.loads(line)
            if "error" in last or "result" in last:
                with suppress(TimeoutError):
                    process.wait(ENDING_S)
                break
            request.progress(last)
        else:
            code = process.wait()
    if "result" in last:
        return Done(last["result"], last["peak_mib"])
    if "error" in last:
        _raise(last["error"], log_path)
    raise DeviceError(
        f"the process of {module.rsplit('.', 1)[-1]!r} ended without a result ({_explain_code(code)})",
        fix="a kill by signal 9 usually means that memory ran out, one by another that a file is damaged or a library "
        f"has a bug; {_last_words(log_path)}",
    )


def main() -> None:
    """The worker's side: one request on standard input, events on standard output."""
    # Libraries print to standard output as they like: give them the log, and keep the pipe for events.
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    payload = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()
    lock = threading.Lock()

    def send(event: Mapping[str, Any]) -> None:
        with lock:
            stdout.write(json.dumps(event) + "\n")
            stdout.flush()

    try:
        with explain_os_errors(Path(payload["out"])):
            result = _run(payload, send)
            send({"result": result, "peak_mib": _peak_mib()})
    except Exception as error:
        explained = _explain(error, Path(payload["out"]))
        send({"error": {"class": type(explained).__name__, "message": explained.message, "fix": explained.fix}})


def _explain(error: Exception, out: Path) -> EdgepackError:
    """The error to report for whatever a stage raised; a bug comes with its traceback."""
    if isinstance(error, EdgepackError):
        return error
    if isinstance(error, MemoryError):
        return MissingError("memory ran out", fix="use smaller batches or fewer samples")
    # NumPy and HDF5 raise errors without an errno where the disk is full: look at the disk itself.
    if "No space left on device" in str(error) or shutil.disk_usage(out).free < FULL_BYTES:
        return MissingError(
            f"no space left for {out} ({type(error).__name__}: {str(error)[:200]})",
            fix="free some space, or choose another folder with --out; then run again",
        )
    return BugError(traceback.format_exc())


def _run(payload: dict[str, Any], send: Any) -> dict[str, Any]:
    import importlib

    from edgepack.models import file
    from edgepack.recipe import Recipe

    request = Request(
        recipe=Recipe.model_validate(payload["recipe"]),
        base=Path(payload["base"]),
        out=Path(payload["out"]),
        inputs={name: Path(path) for name, path in payload["inputs"].items()},
        smoke=payload["smoke"],
        progress=send,
        checkpoints=Path(payload["checkpoints"]) if payload["checkpoints"] else None,
        logs=Path(payload["logs"]) if payload["logs"] else None,
        options=payload["options"],
    )
    if isinstance(request.recipe.model, file.Config):
        file.use_custom_objects(request.recipe.model, request.base)
    result: dict[str, Any] = importlib.import_module(payload["module"]).run(request)
    return result


def _peak_mib() -> float:
    """The most memory that this process, or the largest of its children, has held, MiB."""
    from edgepack.runner.measure import peak_rss_mib

    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return round(max(peak_rss_mib(), children), 1)


def _end_with_parent(descriptor: int) -> None:
    # The bare descriptor: a thread inside a buffered reader would keep the interpreter from ending.
    while os.read(descriptor, 4096):
        pass
    os._exit(1)


def _raise(error: dict[str, str], log_path: Path) -> NoReturn:
    if error["class"] == "BugError":
        raise BugError(error["message"], fix=f"please report it; the whole log is {log_path}")
    raise CLASSES[error["class"]](error["message"], fix=error["fix"])


def _last_words(log_path: Path) -> str:
    """What the libraries printed last."""
    lines = log_path.read_text(errors="replace").strip().splitlines()
    return f"the last line of {log_path}: {lines[-1][:300] if lines else 'nothing'}"


def _explain_code(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
