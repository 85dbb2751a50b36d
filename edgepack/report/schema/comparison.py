"""What changed from one run to another, as frozen data?"""

from dataclasses import dataclass

COMPARISON_SCHEMA = "edgepack.report_comparison/1"


@dataclass(frozen=True)
class Change:
    """One quantity before and after; `word` is better, worse, same, unclear (within what is known), or incomparable.

    `ratio` is after by before, `interval` its 95 % bounds; `reason` says why nothing is said.
    """

    before: float | None
    after: float | None
    ratio: float | None
    interval: tuple[float, float] | None
    word: str
    reason: str | None


@dataclass(frozen=True)
class Changed:
    """One artifact in one runtime for one target; `presence` is both, added or removed.

    Accuracies are fractions in [0, 1], `agreement` the share of samples on which it answers as its source does.
    """

    target: str
    artifact: str
    runtime: str
    presence: str
    size_kib: Change
    accuracy: Change
    agreement: Change
    p50_ms: Change
    verdict_before: str | None
    verdict_after: str | None
    reason: str


@dataclass(frozen=True)
class ChangedTarget:
    """What to ship to one target, before and after, and its image in MiB."""

    target: str
    before: str | None
    after: str | None
    same: bool
    image_mib: Change


@dataclass(frozen=True)
class Comparison:
    """Two runs of a recipe, or of two recipes."""

    schema: str
    before: str
    after: str
    same_recipe: bool | None
    metric: str
    targets: tuple[ChangedTarget, ...]
    rows: tuple[Changed, ...]
