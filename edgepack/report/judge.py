"""Did an artifact pass in a runtime, and which one should be shipped to a target?"""

from edgepack.choice import Candidate, equally_fast, ranked
from edgepack.report.formatting import joined, limit_text, metric_name, percent, points, runtime_name, significant
from edgepack.report.schema import Check, Gate, Latency, Report, Row, Target, Verdict

EMPTY_TARGET = "the target has no artifact yet"


def gate_text(gate: Gate) -> str:
    """One gate as a sentence: its value, its limit, and by how much it was missed."""
    if gate.status not in ("ok", "failed"):
        why = gate.reason or ("nothing was measured" if gate.value is None else "no reason was given")
        return f"{gate.gate} (limit {limit_text(gate.gate, gate.limit)}) is open: {why}"
    sentence = f"{gate.gate}: {limit_text(gate.gate, gate.value)}, limit {limit_text(gate.gate, gate.limit)}"
    if gate.status == "failed" and gate.value is not None and gate.limit is not None:
        sentence += f", missed by {limit_text(gate.gate, abs(gate.value - gate.limit))}"
    return sentence


def verdict_of(
    report: Report, target: Target, file: str, runtime: str, check: Check | None, shown: Latency | None
) -> tuple[str, str]:
    """Judge one artifact in one runtime.

    Args:
        report: The whole report: a smoke run judges nothing.
        target: Its target, with the gates as the pipeline decided them.
        file: The artifact's file name.
        runtime: The runtime's name.
        check: Its accuracy check, None when it has none.
        shown: The latency that the table shows, None when there is none.

    Returns:
        "ok", "failed" or "not judged", and the reason ("" when there is nothing to add).
    """
    failures, pending = _gates(target, file, runtime)
    failures += _other_failures(target, file, runtime, check, shown, gates_failed=bool(failures))
    if failures:
        return "failed", "; ".join(failures)
    if target.stale:
        return "not judged", target.stale
    if report.smoke:
        return "not judged", "smoke run: a moment's work on a few samples, its numbers mean nothing"
    if check is None:
        missing = next((gap.reason for gap in target.gaps if gap.where == "verify"), "verify.json does not name it")
        return "not judged", f"not verified: {missing}"
    if check.status != "ok":
        return "not judged", "; ".join(check.reasons) or "verify.json gives no verdict"
    if pending:
        return "not judged", "; ".join(pending)
    return "ok", (shown.not_judged or "") if shown else ""


def _gates(target: Target, file: str, runtime: str) -> tuple[list[str], list[str]]:
    """The gates of one artifact that failed, and those that could not be judged."""
    failures: list[str] = []
    pending: list[str] = []
    for gate in target.gates:
        if gate.artifact not in (None, file) or gate.runtime not in (None, runtime):
            continue
        if gate.status == "failed":
            failures.append(gate_text(gate))
        elif gate.status != "ok":
            pending.append(gate_text(gate))
    return failures, pending


def _other_failures(
    target: Target, file: str, runtime: str, check: Check | None, shown: Latency | None, *, gates_failed: bool
) -> list[str]:
    """What went wrong besides the gates: the check, another runtime, a crash, another result inside."""
    failures: list[str] = []
    if check is not None and check.status == "failed" and not gates_failed:
        failures.append("; ".join(check.reasons) or "verification failed without a reason")
    failures += [
        f"disagrees with {pair.a.file} in {runtime_name(pair.a.runtime)}"
        for pair in target.pairs  # the first side is what the second is held to
        if pair.status == "failed" and (file, runtime) == (pair.b.file, pair.b.runtime)
    ]
    crashed = next(
        (x for x in target.latencies if (x.artifact, x.runtime) == (file, runtime) and x.status == "error"),
        None,
    )
    # A failure on the host does not matter when the container, which is what ships, ran.
    if crashed is not None and (shown is None or crashed.where == "container"):
        failures.append(f"did not run in the {crashed.where}: {crashed.reason}")
    if target.identical.get(f"{file}@{runtime}") is False and not (shown and shown.not_judged):
        failures.append("the container's outputs differ from the host's")
    return failures


def choose(report: Report, rows: tuple[Row, ...]) -> tuple[Verdict, ...]:
    """Say for every target which artifact to ship and why, or why none.

    The fastest artifact that passed is chosen; among those within 5 % of it, the smallest. Where no time
    counts, the smallest that passed.
    """
    return tuple(_choose(report, t, tuple(row for row in rows if row.target == t.name)) for t in report.targets)


def _choose(report: Report, target: Target, rows: tuple[Row, ...]) -> Verdict:
    misses = tuple(
        f"{row.artifact} in {runtime_name(row.runtime)}: {row.reason}" for row in rows if row.verdict == "failed"
    )
    passed = [row for row in rows if row.verdict == "ok"]
    if passed:
        best, rule = _best(target, passed)
        headline = f"Ship {best.artifact} in {runtime_name(best.runtime)}"
        return Verdict(target.name, "ship", headline, f"{rule}: {_figures(best)}.", best, misses)
    waiting = list(dict.fromkeys(row.reason for row in rows if row.verdict == "not judged"))
    if not rows or waiting:
        why = "; ".join(waiting) or "; ".join(gap.reason for gap in target.gaps) or EMPTY_TARGET
        return Verdict(target.name, "not judged", "Not judged", f"{why}.", None, misses)
    noun = "The only artifact" if len(rows) == 1 else f"All {len(rows)} artifacts"
    return Verdict(target.name, "failed", "Nothing to ship", f"{noun} failed.", None, misses)


def _best(target: Target, passed: list[Row]) -> tuple[Row, str]:
    measured = [*target.latencies, *(latency for device in target.devices for latency in device.latencies)]
    counted = {(x.artifact, x.runtime, x.where) for x in measured if x.status == "ok" and not x.not_judged}
    timed = [row for row in passed if (row.artifact, row.runtime, row.where) in counted]
    # Times of different places are not compared, and what ships is the container.
    places = [row.where for row in timed]
    place = "container" if "container" in places else max(places, key=places.count, default=None)
    timed = [row for row in timed if row.where == place]
    among = "the only one that passed" if len(passed) == 1 else f"of the {len(passed)} that passed"
    rows = {(row.artifact, row.runtime): row for row in timed or passed}
    order = ranked([Candidate(*key, row.size_kib, row.p50_ms if timed else None) for key, row in rows.items()])
    best = rows[order[0].artifact, order[0].runtime]
    if len(passed) == 1:
        return best, "The only one that passed"
    if not timed:
        return best, f"The smallest {among}; none has a latency that counts"
    close = len(equally_fast(sorted(order, key=lambda item: item.p50_ms or 0.0)))
    return best, f"The fastest {among}" if close == 1 else f"The smallest of the {close} fastest {among}"


def _figures(row: Row) -> str:
    parts = []
    if row.p50_ms is not None:
        place = {"container": "in the container", "host": "on the host"}.get(row.where or "", f"on {row.where}")
        parts.append(f"{significant(row.p50_ms)} ms median {place}{' (emulated)' if row.emulated else ''}")
    if row.size_kib is not None:
        parts.append(f"{significant(row.size_kib)} KiB")
    if row.accuracy is not None:
        parts.append(f"{percent(row.accuracy)} % {metric_name(row.metric)}{_against(row.drop_points)}")
    return joined(parts)


def _against(drop_points: float | None) -> str:
    if drop_points is None:
        return ""
    if round(abs(drop_points), 2) == 0:
        return ", the same as the float model"
    return f", {points(abs(drop_points))} points {'below' if drop_points > 0 else 'above'} the float model"
