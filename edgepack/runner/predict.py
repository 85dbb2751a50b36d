"""What do the artifacts of a bundle answer to the rows of a table?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import bundle, columns, infer, sessions
from .child import call
from .errors import RunnerError, UsageError

SCHEMA = "edgepack.predictions/1"


def predict(entries: Sequence[bundle.Entry], folder: Path, rows: Path, *, timeout_s: float = 600.0) -> dict[str, Any]:
    """Read raw values from a CSV file and run them through each artifact, in a process of its own.

    Args:
        entries: What to ask.
        folder: The bundle.
        rows: The CSV file; see `columns.read_csv`.
        timeout_s: Seconds for each artifact, after which its process counts as hung.

    Returns:
        The document of schema ``edgepack.predictions/1``: for each artifact and runtime ``labels``, one for each
        row, and ``outputs``, as real numbers.

    Raises:
        UsageError: The model is not one of a table, the columns are others, or a file is not what the manifest says.
        RunnerError: A runtime is not installed, refuses an artifact or ends its process.
    """
    labels, missing = bundle.table(folder)
    results = []
    for entry in entries:
        if not entry.columns:
            raise UsageError(f"the bundle {folder} names no columns: its model is not one of a table")
        reason = bundle.altered(entry)
        if reason is not None:
            raise UsageError(reason)
        columns.read_csv(rows, entry.columns, missing)  # what is wrong with the feed is said before a process starts
        job = {**entry.job(), "rows": str(rows), "missing": list(missing)}
        outputs = call("predict", job, timeout_s=timeout_s)["outputs"]
        places = [row.index(max(row)) for row in outputs]
        results.append(
            {
                "artifact": entry.name,
                "runtime": entry.runtime,
                "labels": [labels[place] if place < len(labels) else str(place) for place in places],
                "outputs": outputs,
            }
        )
    return {"schema": SCHEMA, "results": results}


def work(job: Mapping[str, Any], import_ms: float) -> dict[str, Any]:
    """Ask one artifact in this process; called in a process of its own.

    Args:
        job: An entry's job with ``rows``, the CSV file, and ``missing``, texts that stand for a missing value.
        import_ms: Not used here.

    Returns:
        ``outputs``: real numbers, one list for each row.
    """
    x = columns.read_csv(Path(job["rows"]), job["columns"], job["missing"])
    with sessions.open_job(job) as session:
        _, outputs = infer.predict(session, x)
    if outputs.ndim != 2 or not outputs.size or not np.isfinite(outputs).all():
        raise RunnerError(f"the outputs have the shape {list(outputs.shape)}; expected a list of numbers for each row")
    return {"outputs": [[float(value) for value in row] for row in outputs]}
