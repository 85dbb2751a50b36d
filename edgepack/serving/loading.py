"""How does an artifact of a bundle become a model that answers, checked and warmed up?"""

import json
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..runner import bundle, sessions
from ..runner.errors import RunnerError, UsageError
from ..runner.sessions import Session
from . import pictures, processors
from .batching import Run
from .model import Model, servable
from .options import Options

VERSION = "1"
QUICK_S = 0.0002
"""About what handing an inference to another thread and back costs, with both sides busy."""


@dataclass(frozen=True)
class Loaded:
    """A model with its open sessions, one for each instance, and how long it takes for one row."""

    model: Model
    sessions: tuple[Session, ...]
    threads: int
    row_s: float

    @property
    def quick_rows(self) -> int:
        """Rows that one inference is done with in `QUICK_S`."""
        return int(QUICK_S / self.row_s)

    @property
    def runs(self) -> tuple[Run, ...]:
        """What runs an inference on each instance."""
        return tuple(session.run for session in self.sessions)

    def close(self) -> None:
        """Give the memory back."""
        for session in self.sessions:
            session.close()


def load(options: Options) -> Loaded:
    """Open what the options name, once for each instance, and run each once.

    Raises:
        UsageError: The bundle is none, holds no such artifact, or is not what its manifest says.
        RunnerError: The runtime is not installed, or refuses the file.
    """
    entry, manifest = choose(options)
    reason = bundle.altered(replace(entry, golden=None))
    if reason is not None:
        raise UsageError(reason)
    threads, instances = processors.split(
        processors.available(), recorded=entry.threads, threads=options.threads, instances=options.instances
    )
    job = {**entry.job(), "threads": threads}
    opened: list[Session] = []
    try:
        for _ in range(instances):
            opened.append(sessions.open_job(job))  # noqa: PERF401 - closed below
        first = opened[0]
        problem = servable((*first.inputs, *first.outputs))
        if problem:
            raise RunnerError(f"{entry.name} cannot be served: {problem}")
        rows = options.max_batch if _takes_batches(first, entry.name) else 1
        for session in opened[1:]:
            _run_zeros(session, 1)
        row_s = statistics.median(_timed(first) for _ in range(5))
    except BaseException:
        for session in opened:
            session.close()
        raise
    preprocessing = _preprocessing(manifest)
    model = Model(
        name=str(manifest.get("name", entry.path.stem)),
        version=VERSION,
        platform=f"{entry.runtime}_{entry.path.suffix.lstrip('.')}",
        inputs=first.inputs,
        outputs=first.outputs,
        max_rows=rows,
        preprocessing=preprocessing,
        pictures=_takes_pictures(first, preprocessing is not None),
        facts=_facts(entry, manifest),
    )
    return Loaded(model, tuple(opened), threads, row_s)


def choose(options: Options) -> tuple[bundle.Entry, Mapping[str, Any]]:
    """The artifact and runtime to serve, and the manifest.

    Raises:
        UsageError: The bundle is none or has nothing of what was asked for.
    """
    wanted = [options.artifact] if options.artifact else []
    entries = bundle.read(options.bundle, artifacts=wanted, runtime=options.runtime)
    # bundle.read has made sure that it can be read and is an object.
    manifest: dict[str, Any] = json.loads((options.bundle / "manifest.json").read_text(encoding="utf-8"))
    chosen = manifest.get("choice")
    if isinstance(chosen, dict):
        best = chosen.get("artifact"), chosen.get("runtime")
        entries.sort(key=lambda entry: (entry.name, entry.runtime) != best)
    return entries[0], manifest


def _takes_batches(session: Session, name: str) -> bool:
    """Run the model on one row, and on two where its axes say that it takes any number: do two come out?

    Raises:
        RunnerError: It does not run.
    """
    _run_zeros(session, 1)
    if any(spec.shape[:1] != (-1,) for spec in (*session.inputs, *session.outputs)):
        return False
    try:
        return _run_zeros(session, 2)
    except Exception:
        # The axis is free in name only: some converters leave a size of one inside the graph. One row must still run.
        _run_zeros(session, 1)
        return False


def _timed(session: Session) -> float:
    began = time.perf_counter()
    _run_zeros(session, 1)
    return time.perf_counter() - began


def _run_zeros(session: Session, rows: int) -> bool:
    feed = {}
    for spec in session.inputs:
        shape = [max(size, 1) for size in spec.shape]
        if spec.shape[:1] == (-1,):
            shape[0] = rows
        feed[spec.name] = np.full(shape, spec.zero_point or 0, dtype=spec.dtype)
    outputs = session.run(feed)
    return all(array.shape[:1] == (rows,) for array in outputs.values())


def _preprocessing(manifest: Mapping[str, Any]) -> tuple[float, float] | None:
    told = manifest.get("preprocessing")
    if told is None:
        return None
    try:
        scale, offset = float(told["scale"]), float(told["offset"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the manifest's preprocessing is {str(told)[:100]}; expected scale and offset") from error
    if not math.isfinite(scale) or not math.isfinite(offset):
        raise UsageError(f"the manifest's preprocessing is {str(told)[:100]}; expected finite numbers")
    return scale, offset


def _takes_pictures(session: Session, preprocessed: bool) -> bool:
    return (
        preprocessed
        and len(session.inputs) == 1
        and pictures.fit(session.inputs[0].sample_shape)
        and pictures.available()
    )


def _facts(entry: bundle.Entry, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a client may want to know besides the tensors."""
    told = {key: manifest.get(key) for key in ("target", "task", "labels", "preprocessing", "recipe_sha256")}
    columns = [column["name"] for column in entry.columns]
    facts = {
        "file": entry.name,
        "sha256": entry.sha256,
        "runtime": entry.runtime,
        "runtime_version": sessions.load(entry.runtime).version(),
        **told,
        "edgepack": (manifest.get("tools") or {}).get("edgepack"),
        "columns": columns or None,
    }
    return {key: value for key, value in facts.items() if value is not None}
