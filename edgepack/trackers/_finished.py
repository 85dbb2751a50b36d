"""What of a finished run is worth comparing with other runs?"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgepack.contracts import FinishedRun

REPORTS = ("report.html", "report.json", "run.json")
STEP = "compress_step"
"""Figure of each epoch beside those of training: 0 in the training itself, then the number of the compression step."""


def finished_run(folder: Path) -> FinishedRun:
    """Read ``run.json`` and ``report.json`` of a run's folder."""
    run = json.loads((folder / "run.json").read_text())
    report = json.loads((folder / "report.json").read_text())
    recipe_file = Path(run["recipe_file"])
    files = [*(folder / name for name in REPORTS), *([recipe_file] if recipe_file.is_file() else [])]
    return FinishedRun(
        name=run["name"],
        recipe_sha256=run["recipe_sha256"],
        parameters=dict(flat({key: value for key, value in run["recipe"].items() if key != "tracking"})),
        curves=_curves(run),
        figures=_figures(report),
        tags={
            "smoke": json.dumps(run["smoke"]),
            "recipe_sha256": run["recipe_sha256"],
            **{f"verdict.{verdict['target']}": verdict["status"] for verdict in report["verdicts"]},
            **{f"environment.{key}": str(value) for key, value in run["environment"].items()},
        },
        files={path.name: path for path in files},
        models={
            f"{target['name']}/{artifact['file']}": folder / target["name"] / artifact["file"]
            for target in report["targets"]
            for artifact in target["artifacts"]
        },
        folder=folder,
    )


def flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Plain JSON data as (key, text): ``{"a": [{"b": 1}]}`` gives ``a.0.b`` and ``1``; lists of values stay whole."""
    nested = isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    if nested or (isinstance(value, dict) and value):
        for name, item in enumerate(value) if nested else value.items():
            yield from flat(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value if isinstance(value, str) else json.dumps(value)


def _curves(run: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    epoch = 0
    for number, part in enumerate([run["training"] or {"curve": ()}, *run["steps"]]):  # finished files were not trained
        for entry in part["curve"]:
            epoch += 1
            for name, value in {**entry, STEP: number}.items():
                if name != "epoch":
                    found.setdefault(name, []).append((epoch, float(value)))
    return found


def _figures(report: Mapping[str, Any]) -> dict[str, float]:
    steps = [(f"{number}-{step['use']}", step) for number, step in enumerate(report["steps"], 1)]
    parts = [
        (label, {**part, **part.get("metrics", {}), **(part["footprint"] or {})})
        for label, part in [*([("train", report["training"])] if report["training"] else []), *steps]
    ]
    parts += [("/".join((row["target"], row["artifact"], row["runtime"])), row) for row in report["rows"]]
    return {
        f"{label}/{name}": float(value)
        for label, part in parts
        for name, value in part.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
