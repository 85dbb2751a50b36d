"""What do the artifacts of a bundle answer to the rows of a table?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import bundle, columns, infer, sessions
from .errors import UsageError

SCHEMA = "edgepack.predictions/1"


def predict(entries: Sequence[bundle.Entry], folder: Path, rows: Path) -> dict[str, Any]:
    """Read raw values from a CSV file and run them through each artifact, in this process.

    Args:
        entries: What to ask.
        folder: The bundle.
        rows: The CSV file; see `columns.read_csv`.

    Returns:
        The document of schema ``edgepack.predictions/1``: for each artifact and runtime ``labels``, one for each
        row, and ``outputs``, as real numbers.

    Raises:
        UsageError: The model is not one of a table, the columns are others, or a file is not what the manifest says.
        RunnerError: A runtime is not installed or refuses an artifact.
    """
    labels, missing = bundle.table(folder)
    results = []
    for entry in entries:
        if not entry.columns:
            raise UsageError(f"the bundle {folder} names no columns: its model is not one of a table")
        reason = bundle.altered(entry)
        if reason is not None:
            raise UsageError(reason)
        x = columns.read_csv(rows, entry.columns, missing)
        with sessions.open_session(entry.runtime, entry.path, entry.threads) as session:
            _, outputs = infer.predict(session, x)
        results.append(
            {
                "artifact": entry.name,
                "runtime": entry.runtime,
                "labels": [labels[place] if place < len(labels) else str(place) for place in outputs.argmax(axis=-1)],
                "outputs": [[float(value) for value in row] for row in outputs],
            }
        )
    return {"schema": SCHEMA, "results": results}
