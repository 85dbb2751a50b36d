"""How much working memory must firmware set aside for a model? Found by trying, in a process that may die of it.

python -m edgepack.firmware._arena FILE START
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from edgepack import proc

STEP = 128
TRIALS = 512
TIMEOUT_S = 600


def sufficient_arena(artifact: Path, used_bytes: int) -> int | None:
    """The smallest arena, in bytes, from what is used on, with which a ``.tflite`` file loads and runs.

    While it plans, the interpreter needs more than what it keeps. Too small an arena may end its process.

    Args:
        artifact: The file.
        used_bytes: What the interpreter keeps, see `edgepack.runner.sessions.tflite_micro`.

    Returns:
        None where the interpreter is not installed, or no arena near that size suffices.
    """
    if find_spec("tflite_micro") is None:
        return None
    done = proc.run([sys.executable, "-m", __name__, str(artifact), str(used_bytes)], timeout_s=TIMEOUT_S)
    return int(done.stdout) if done.returncode == 0 else None


def _first_that_loads(content: bytes, start: int) -> int | None:
    from tflite_micro.python.tflite_micro import runtime

    for size in range(-(-start // 16) * 16, start + TRIALS * STEP, STEP):
        try:
            runtime.Interpreter.from_bytes(content, arena_size=size).invoke()
        except RuntimeError:
            continue
        return size
    return None


if __name__ == "__main__":
    found = _first_that_loads(Path(sys.argv[1]).read_bytes(), int(sys.argv[2]))
    sys.stdout.write(str(found))
    sys.exit(found is None)
