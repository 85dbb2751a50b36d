"""Which trackers are to be told of a run?

Each is told once of each result: ``tracked.json`` in the run's folder has the keys of those that were told. A tracker
that could not be reached is told by the next run, which finds everything else done.
"""

import json
import time
from pathlib import Path
from typing import Any

from edgepack import extensions, store, worker
from edgepack.errors import EdgepackError
from edgepack.execution import Execution
from edgepack.stages.request import Request

RECORD = "tracked.json"


def track(work: Execution) -> list[EdgepackError]:
    """Tell the trackers of a recipe of the run, whose results and report are complete.

    Returns:
        What went wrong; the run's results do not hang on it.
    """
    plan, errors = work.plan, []
    path = plan.run_folder / RECORD
    told = _read(path)
    manifests = [plan.run_folder / target.name / "manifest.json" for target in plan.targets]
    result = [store.file_digest(manifest) for manifest in manifests]
    for index, config in enumerate(plan.recipe.tracking):
        name = extensions.name_of(config)
        key = store.key_of(config.model_dump(mode="json"), result)
        if key in told:
            work.observer.finished("track", name, seconds=0.0, cached=True)
            continue
        work.worked = True
        work.observer.started("track", name)
        begun = time.monotonic()
        try:
            with store.explain_os_errors(plan.run_folder):
                done = _call(work, index, name)
                told[key] = {"use": name, **done.figures}
                store.write_json(path, told)
        except EdgepackError as error:
            errors.append(error)
            work.observer.failed("track", name, error.message)
            continue
        seconds = time.monotonic() - begun
        where = str(done.figures["where"])
        work.observer.finished("track", name, seconds=seconds, cached=False, peak_mib=done.peak_mib, note=where)
    return errors


def _call(work: Execution, index: int, name: str) -> worker.Done:
    """Log in a process of its own: what trackers import, print and set in the environment stays there."""
    plan = work.plan
    folder = plan.run_folder.resolve()
    request = Request(
        recipe=plan.recipe,
        base=plan.base.resolve(),
        out=folder,
        inputs={"run": folder},
        smoke=plan.smoke,
        progress=lambda event: work.observer.progress("track", event),
        options={"tracker": index},
    )
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    return worker.call("edgepack.stages.track", request, log_path=logs / f"track-{name}.log")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
