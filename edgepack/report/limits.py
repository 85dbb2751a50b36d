"""How near to its limits is a result, and by how much does it miss one?"""

from dataclasses import dataclass

from edgepack.report.formatting import limit_text, runtime_name, sentence_start
from edgepack.report.judge import gate_text
from edgepack.report.schema import Gate, Row, Target

AT_LEAST = ("min_", "kept_")
UNITS = ("_kib", "_mib", "_ms", "_s", "_db")


@dataclass(frozen=True)
class Limit:
    """One limit as a bar: how far the value reaches and where the limit stands, in percent of the bar's width."""

    name: str
    value: str
    limit: str
    filled: float
    mark: float
    failed: bool
    missed_by: str | None
    whose: str


def limits_of(target: Target, row: Row) -> tuple[Limit, ...]:
    """The limits that one result was held to and whose values are known."""
    return tuple(
        bar
        for gate in target.gates
        if gate.artifact in (None, row.artifact) and gate.runtime in (None, row.runtime)
        if (bar := _limit(gate)) is not None
    )


def missed(target: Target) -> tuple[Limit, ...]:
    """The limits of a target that were missed, whoever missed them."""
    bars = (_limit(gate) for gate in target.gates if gate.status == "failed")
    return tuple(bar for bar in bars if bar is not None)


def other_misses(target: Target, table: tuple[Row, ...]) -> tuple[str, ...]:
    """What else went wrong with a target's results, as sentences: whatever is no missed limit with a value."""
    told = {gate_text(gate) for gate in target.gates if _limit(gate) is not None}
    found = []
    for row in table:
        if row.target == target.name and row.verdict == "failed":
            reasons = [reason for reason in row.reason.split("; ") if reason not in told]
            if reasons:
                found.append(f"{row.artifact} in {runtime_name(row.runtime)}: {'; '.join(reasons)}")
    return tuple(found)


def gate_name(gate: str) -> str:
    """A gate's name for people: "max_latency_p90_ms" gives "Latency p90"."""
    name = gate.removeprefix("max_").removeprefix("min_")
    for unit in UNITS:
        name = name.removesuffix(unit)
    return sentence_start(name.replace("_", " "))


def _limit(gate: Gate) -> Limit | None:
    if gate.value is None or gate.limit is None or gate.status not in ("ok", "failed"):
        return None
    value, limit = max(gate.value, 0.0), max(gate.limit, 0.0)
    # What is only asked to be enough is full when it is; a limit from above stands a little before the end.
    full = max(value, 1.15 * limit) or 1.0
    least = gate.gate.startswith(AT_LEAST) or "agreement" in gate.gate
    failed = gate.status == "failed"
    whose = " in ".join(filter(None, [gate.artifact, runtime_name(gate.runtime) if gate.runtime else None]))
    return Limit(
        name=gate_name(gate.gate),
        value=limit_text(gate.gate, gate.value),
        limit=f"{'at least' if least else 'at most'} {limit_text(gate.gate, gate.limit)}",
        filled=round(100 * value / full, 1),
        mark=round(100 * limit / full, 1),
        failed=failed,
        missed_by=limit_text(gate.gate, abs(gate.value - gate.limit)) if failed else None,
        whose=whose,
    )
