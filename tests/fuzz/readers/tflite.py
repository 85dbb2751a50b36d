"""What does edgepack do with a ``.tflite`` file?"""

import random
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgepack import dataset
from edgepack.errors import EdgepackError
from edgepack.models.artifacts import Artifact, formats
from edgepack.runner import measure, verify
from edgepack.stages import adopt
from edgepack.tflite_models import contents
from edgepack.verify import layers, weights

from ..mutations import flip as changed
from . import Flip, Part

SUFFIX = ".tflite"

PROTOCOL = {"warmup_s": 0.0, "min_runs": 1, "min_time_s": 0.0, "max_time_s": 1.0, "start_timeout_s": 10.0}
BUNDLE = "run/linux-amd64-cpu"


def prepare(made: Path) -> None:
    """See `readers`."""
    with tempfile.TemporaryDirectory() as work:
        for path in sorted((made / BUNDLE).glob("*.tflite")):
            for part in parts(path, made, Path(work)):
                with suppress(EdgepackError):  # a file of another precision is no bad file
                    part.run()


def seeds(made: Path) -> list[bytes]:
    """See `readers`."""
    return [path.read_bytes() for path in sorted((made / BUNDLE).glob("*.tflite"))]


def mutate(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    """See `readers`: words of four bytes, which is what a FlatBuffer is made of, or bytes anywhere."""
    deed = rng.randrange(3)
    if deed == 0:
        return flip(content)
    if deed == 1:
        return changed(content, rng)
    words = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if len(words) < 8:
            break
        place = rng.randrange(len(words) // 4) * 4
        value = int.from_bytes(words[place : place + 4], "little", signed=True)
        value = rng.choice(
            (value + 1, value - 1, value + 4, value - 4, -value, value * 2, 0, 1, 2**30, rng.randrange(64))
        )
        words[place : place + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(words)


def parts(path: Path, made: Path, work: Path) -> Iterator[Part]:
    """See `readers`."""
    content = path.read_bytes()
    yield Part("contents.tensor_specs", lambda: contents.tensor_specs(content))
    yield Part("contents.tensor_names", lambda: contents.tensor_names(content))
    yield Part("contents.float_operations", lambda: contents.float_operations(content))
    yield Part("contents.sparsity", lambda: contents.sparsity(content))
    for precision in ("int8", "int16x8", "dynamic_range"):
        yield Part(f"contents.require {precision}", lambda chosen=precision: contents.require(content, chosen))
    yield Part("contents.require front", lambda: contents.require(content, "int8", float_front=True))
    yield Part("weights", lambda: weights.summary(weights.weights(path)))
    yield Part("bench", lambda: measure.work(_job(path, None), 0.0), explained=True)
    yield Part("adopt", lambda: adopted(path, made, work))
    golden = made / BUNDLE / "golden.npz"
    yield Part("verify", lambda: verify.work(_job(path, golden), 0.0), explained=True)
    onnx = made / BUNDLE / "model.int8.onnx"
    x = np.zeros((1, 8, 8, 1), np.int8)
    yield Part("layers", lambda: layers.compare_layers(path, onnx, x))


def adopted(path: Path, made: Path, work: Path) -> None:
    """What `stages.adopt` does with a file that another tool made, as ``model.artifacts`` names it."""
    out = work / f"adopted{path.suffix}"
    adopt._look(Artifact(file=str(path)), path)
    formats()[path.suffix].adopt(path, out, input_shape=(8, 8, 1))
    (data,) = (made / "run/cache").glob("data-*")
    adopt._try(out, path.name, dataset.load(data))


def _job(path: Path, golden: Path | None) -> dict[str, Any]:
    return {
        "artifact": "model.int8.tflite",
        "path": str(path),
        "runtime": "litert",
        "threads": 1,
        "golden": golden and str(golden),
        "tolerance": {"max_abs": 0.1, "top1": 0.5},
        "columns": [],
        "task": "classification",
        "protocol": PROTOCOL,
    }


def command(path: Path, made: Path, work: Path) -> list[str]:
    """See `readers`."""
    return ["bench", str(path)]
