"""Is a figure within the limits of the recipe and the target?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edgepack.errors import BudgetError, EdgepackError, VerificationError
from edgepack.recipe import Gates
from edgepack.target import Budgets, Target

KEPT = ("kept_sparsity", "kept_pattern", "kept_clusters")
"""What compression steps promised of the weights; see `edgepack.verify.weights`."""

PARITY = ("float_parity", "runtime_parity", "layer_parity")
"""Whether artifacts agree with their model and with each other."""

KERAS = "keras"
"""Stands for the runtime of a model that is no file."""

PLACEMENT = ("min_delegated", "min_integer_ops")
"""Where and how operations must run."""

NAMED = 5
"""How many operations a reason names."""

QUALITY = ("max_accuracy_drop", "min_accuracy", "min_top1_agreement", *PARITY, *PLACEMENT, *KEPT)


Status = Literal["ok", "failed", "not judged"]


@dataclass(frozen=True)
class Judgement:
    """One limit and the figure held against it.

    Attributes:
        gate: Name of the limit.
        artifact: File that was judged, with its runtime where that matters; "image" for the image.
        limit: The limit.
        value: The figure.
        status: ``ok``, ``failed`` or ``not judged``.
        reason: Why it was not judged, or which part of the artifact decided; None where there is nothing to say.
    """

    gate: str
    artifact: str
    limit: float
    value: float | None
    status: Status
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def at_most(
    gate: str, artifact: str, limit: float | None, value: float | None, *, unjudged: str | None = None
) -> list[Judgement]:
    """Judge an upper limit; no limit, no judgement. ``unjudged`` is why the figure must not be judged, or None."""
    # Accuracies are shares of a sample count: 0.02 must not fail by the last bit of a float.
    return _judge(gate, artifact, limit, value, unjudged, lambda figure, bound: figure <= bound + 1e-9)


def at_least(
    gate: str, artifact: str, limit: float | None, value: float | None, *, unjudged: str | None = None
) -> list[Judgement]:
    """Judge a lower limit; see `at_most`."""
    return _judge(gate, artifact, limit, value, unjudged, lambda figure, bound: figure >= bound - 1e-9)


def _judge(
    gate: str,
    artifact: str,
    limit: float | None,
    value: float | None,
    unjudged: str | None,
    holds: Callable[[float, float], bool],
) -> list[Judgement]:
    if limit is None:
        return []
    if value is None or unjudged:
        return [Judgement(gate, artifact, limit, value, "not judged", unjudged or "nothing was measured")]
    return [Judgement(gate, artifact, limit, value, "ok" if holds(value, limit) else "failed")]


def judge_artifact(
    gates: Gates,
    *,
    artifact: str,
    accuracy: float,
    drop: float | None,
    top1_agreement: float | None,
    unjudged: str | None,
    alone: str | None = None,
) -> list[Judgement]:
    """Hold an artifact's accuracy against the recipe; fractions in [0, 1].

    ``alone`` is why there is nothing that a loss or an agreement could be measured against, or None.
    """
    against = unjudged or alone
    return [
        *at_most("max_accuracy_drop", artifact, gates.max_accuracy_drop, drop, unjudged=against),
        *at_least("min_accuracy", artifact, gates.min_accuracy, accuracy, unjudged=unjudged),
        *at_least("min_top1_agreement", artifact, gates.min_top1_agreement, top1_agreement, unjudged=against),
    ]


def judge_placement(target: Target, *, artifact: str, precision: str, details: Mapping[str, Any]) -> list[Judgement]:
    """Hold what a runtime says of its operations against the target; the reason names those that are elsewhere."""
    judgements = []
    if target.min_delegated is not None and "nodes_delegated" in details:
        taken = _share(details["nodes_delegated"], details["nodes"])
        judgements += _with_names(
            at_least("min_delegated", artifact, target.min_delegated, taken), "not delegated", details["not_delegated"]
        )
    if target.min_integer_ops is not None and precision in ("int8", "int16x8"):
        integers, floats = details["integer_nodes"], details["float_nodes"]
        share = None if integers is None or floats is None else _share(integers, integers + floats)
        judgements += _with_names(
            at_least("min_integer_ops", artifact, target.min_integer_ops, share), "in float", details["in_float"]
        )
    return judgements


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else part / whole


def _with_names(judgements: list[Judgement], what: str, names: Sequence[str]) -> list[Judgement]:
    """Judgements that failed, with the operations that are to blame."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    reason = f"{what}: {', '.join(names[:NAMED])}{more}"
    return [replace(item, reason=reason) if item.status == "failed" else item for item in judgements]


def judge_size(gates: Gates, budgets: Budgets, *, artifact: str, size_bytes: int) -> list[Judgement]:
    """Hold a file's size against recipe and target."""
    size_kib = size_bytes / 1024
    return [
        *at_most("max_size_kib", artifact, gates.max_size_kib, size_kib),
        *at_most("artifact_kib", artifact, budgets.artifact_kib, size_kib),
    ]


def judge_latency(
    gates: Gates, budgets: Budgets, *, artifact: str, p90_ms: float | None, unjudged: str | None
) -> list[Judgement]:
    """Hold a measured p90 latency against recipe and target; ``unjudged`` says why they must not be judged."""
    return [
        *at_most("max_latency_p90_ms", artifact, gates.max_latency_p90_ms, p90_ms, unjudged=unjudged),
        *at_most("latency_p90_ms", artifact, budgets.latency_p90_ms, p90_ms, unjudged=unjudged),
    ]


def error_for(failed: list[Judgement], target: str, *, made_here: bool = True) -> EdgepackError | None:
    """The error that failed judgements amount to: quality before budgets; None when there is none.

    What can be done about files that were not ``made_here`` is done where they were made.
    """
    if not failed:
        return None
    lines = [
        f"{target}: {item.artifact} misses {item.gate}: {_figure(item.value)}, limit {_figure(item.limit)}"
        + (f" ({item.reason})" if item.reason else "")
        for item in failed
    ]
    if any(item.gate in QUALITY for item in failed):
        better = "train longer, compress less, use `qat` or `int8` with its `repair`" if made_here else "make it anew"
        return VerificationError("\n".join(lines), fix=f"{better}, or move the gate in the recipe")
    return BudgetError("\n".join(lines), fix="choose a smaller model or precision, or move the budget")


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"
