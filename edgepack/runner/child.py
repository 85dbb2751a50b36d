"""How does work run in a fresh process, so that its start is really cold and its crash is only its own?"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import RunnerError

SAY = "EDGEPACK_RUNNER_SAY"
"""Environment variable of the child: the file descriptor of the parent's standard error."""

# Not from __name__, which is "__main__" in the child itself.
PACKAGE = __package__ or "runner"


def call(task: str, job: Mapping[str, Any], *, timeout_s: float, pass_fds: Sequence[int] = ()) -> dict[str, Any]:
    """Do one piece of work in a process of its own and return its answer.

    Args:
        task: The module of this package whose ``work(job, import_ms)`` is called there: ``measure``, ``compare``,
            ``verify`` or ``predict``.
        job: What to do, as JSON values; its ``runtime`` is imported first, and timed.
        timeout_s: Seconds after which the process is killed.
        pass_fds: File descriptors that the process has, too, under the same numbers.

    Raises:
        RunnerError: The process crashed, hung, or says what is wrong.
    """
    question = json.dumps({"task": task, "parent": os.getpid(), "job": job})
    with tempfile.TemporaryFile() as complaints, os.fdopen(os.dup(2), "wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{PACKAGE}.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={**os.environ, "PYTHONPATH": _search_path(), SAY: str(told.fileno())},
            pass_fds=(told.fileno(), *pass_fds),
            text=True,
        )
        try:
            answer, _ = process.communicate(question, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise RunnerError(f"the process hung: no result within {timeout_s:g} s, so it was killed") from error
        finally:
            process.kill()
            process.wait()
        complaints.seek(0)
        said = complaints.read().decode(errors="replace").strip().splitlines()
    if process.returncode != 0 or not answer:
        raise RunnerError(f"the process {_end(process.returncode)}{f'; its last words: {said[-1]}' if said else ''}")
    result: dict[str, Any] = json.loads(answer)
    if "error" in result:
        raise RunnerError(result["error"])
    return result


def say(text: str) -> None:
    """Tell whoever started the runner something at once, on one line of standard error."""
    os.write(int(os.environ.get(SAY, "2")), f"runner: {text}\n".encode(errors="replace"))


def _search_path() -> str:
    """PYTHONPATH for the child: the folder that holds this package's root, then what the parent was given."""
    root = Path(__file__).resolve().parents[PACKAGE.count(".") + 1]
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(root), given] if given else [str(root)])


def _end(returncode: int) -> str:
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return f"was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with exit code {returncode} and no result"


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent is gone: a killed run leaves no work behind."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _limit_memory() -> None:
    """Let a file that asks for more memory than the machine has end its own process before it ends another."""
    if sys.platform != "linux":
        return
    import resource

    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (there if most == resource.RLIM_INFINITY else min(there, most), most))


def main() -> None:
    """The child's side: a job on standard input, an answer on standard output."""
    # Native libraries print to file descriptor 1 whenever they like; only the answer may arrive there.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    try:
        start_ns = time.perf_counter_ns()
        sessions = importlib.import_module(f"{PACKAGE}.sessions")
        runtime = sessions.load(asked["job"]["runtime"])
        runtime.version()
        import_ms = (time.perf_counter_ns() - start_ns) / 1e6
        die_with(asked["parent"])
        if getattr(runtime, "ACCELERATOR", None) is None:  # drivers reserve more than there is
            _limit_memory()
        result = importlib.import_module(f"{PACKAGE}.{asked['task']}").work(asked["job"], import_ms)
    except RunnerError as error:
        result = {"error": str(error)}
    except Exception as error:  # whatever a runtime throws becomes this artifact's reason, and the others go on
        text = str(error).strip().splitlines()
        result = {"error": f"{type(error).__name__}: {text[0] if text else 'no message'}"}
    with answer:
        json.dump(result, answer, allow_nan=False)


if __name__ == "__main__":
    main()
