"""What does a finished run hold, as frozen data that report.json keeps and gives back?"""

from dataclasses import dataclass
from typing import Any

from edgepack.report.formatting import metric_name
from edgepack.report.schema.latency import Scalar
from edgepack.report.schema.run import Gap, Selection, Stage, Step, Training
from edgepack.report.schema.target import Target

SCHEMA = "edgepack.report/1"


@dataclass(frozen=True)
class Report:
    """Everything found in one run folder."""

    schema: str
    name: str
    folder: str
    recipe_file: str | None
    recipe_sha256: str | None
    recipe: dict[str, Any]
    smoke: bool
    stages: tuple[Stage, ...]
    selection: Selection | None
    training: Training | None
    steps: tuple[Step, ...]
    environment: dict[str, Scalar]
    targets: tuple[Target, ...]
    gaps: tuple[Gap, ...]

    @property
    def metric(self) -> str:
        """The name, for people, of the figure of merit that all targets of a run share."""
        return metric_name(self.targets[0].metric) if self.targets else "accuracy"


@dataclass(frozen=True)
class Row:
    """One line of the final table: one artifact in one runtime for one target.

    `verdict` is ok, failed or not judged, and `reason` says why. Every value that is None has its own reason
    in `missing`, keyed by the field's name. Accuracies, or what else `metric` names, are fractions in [0, 1];
    `drop_points` is in percentage points, positive when accuracy was lost.
    """

    target: str
    artifact: str
    runtime: str
    size_kib: float | None
    accuracy_float: float | None
    accuracy: float | None
    drop_points: float | None
    p50_ms: float | None
    p90_ms: float | None
    where: str | None
    emulated: bool
    image_mib: float | None
    verdict: str
    reason: str
    missing: dict[str, str]
    metric: str = "accuracy"


@dataclass(frozen=True)
class Verdict:
    """What to do for one target: `status` is ship, failed or not judged; `row` is the chosen one."""

    target: str
    status: str
    headline: str
    why: str
    row: Row | None
    misses: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Document(Report):
    """report.json: the report, with its table and verdicts worked out for programs that only read."""

    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
