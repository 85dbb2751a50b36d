"""What is the one final table: target x artifact with its size, accuracy, latency, image and verdict?"""

from typing import Any

from edgepack.report.formatting import joined
from edgepack.report.judge import choose, verdict_of
from edgepack.report.schema import Check, Latency, Report, Row, Target, Verdict


def rows(report: Report) -> tuple[Row, ...]:
    """The final table, one row per target, artifact and runtime, in the order of the recipe."""
    return tuple(
        _row(report, target, file, runtime) for target in report.targets for file, runtime in results_of(target)
    )


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """What to ship to each target and why, or why nothing."""
    return choose(report, rows(report))


def results_of(target: Target) -> tuple[tuple[str, str], ...]:
    """Every (file, runtime) that any document of the target names, in the manifest's order first."""
    named = [(artifact.file, runtime) for artifact in target.artifacts for runtime in artifact.runtimes]
    named += [(check.file, check.runtime) for check in target.checks]
    named += [(latency.artifact, latency.runtime) for latency in target.latencies]
    known = {file for file, _ in named}
    named += [(artifact.file, "no runtime") for artifact in target.artifacts if artifact.file not in known]
    return tuple(dict.fromkeys(named))


def shown_latency(target: Target, file: str, runtime: str) -> Latency | None:
    """The latency that stands for a result: the container's when there is one, else the host's, else a device's.

    Where neither of the first two counts, since it is emulated or of another machine, a real device that does count
    comes first.
    """
    good = [x for x in target.latencies if (x.artifact, x.runtime, x.status) == (file, runtime, "ok")]
    own = next((x for x in good if x.where == "container"), good[0] if good else None)
    if own is not None and not own.not_judged:
        return own
    measured = [
        latency
        for device in target.devices
        for latency in device.latencies
        if (latency.artifact, latency.runtime, latency.status) == (file, runtime, "ok")
    ]
    real = [x for x in measured if not x.not_judged]
    fallback = [x for x in measured if not x.simulated]
    return next(iter(real), own or next(iter(fallback), None))


def _row(report: Report, target: Target, file: str, runtime: str) -> Row:
    artifact = next((x for x in target.artifacts if x.file == file), None)
    check = next((x for x in target.checks if (x.file, x.runtime) == (file, runtime)), None)
    shown = shown_latency(target, file, runtime)
    size_bytes = artifact.size_bytes if artifact else None
    verdict, reason = verdict_of(report, target, file, runtime, check, shown)
    values: dict[str, Any] = {
        "size_kib": None if size_bytes is None else size_bytes / 1024,
        "accuracy_float": target.baseline,
        "accuracy": check.accuracy if check else None,
        "drop_points": _drop_points(target, check),
        "p50_ms": shown.p50_ms if shown else None,
        "p90_ms": shown.p90_ms if shown else None,
        "image_mib": target.image.size_mib if target.image.status == "built" else None,
    }
    reasons = _reasons(target, file, runtime, shown)
    return Row(
        target=target.name,
        artifact=file,
        runtime=runtime,
        **values,
        where=shown.where if shown else None,
        emulated=bool(shown and shown.emulated),
        verdict=verdict,
        reason=reason,
        missing={field: reasons[field] for field, value in values.items() if value is None},
        metric=target.metric,
    )


def _drop_points(target: Target, check: Check | None) -> float | None:
    """Percentage points lost against the float model, which is what a user gives up."""
    if check is None:
        return None
    if check.accuracy is not None and target.baseline is not None:
        return 100 * (target.baseline - check.accuracy)
    return None if check.drop is None else 100 * check.drop


def _reasons(target: Target, file: str, runtime: str, shown: Latency | None) -> dict[str, str]:
    """Why each cell of a row would be empty."""
    gaps = {gap.where: gap.reason for gap in target.gaps}
    verify = gaps.get("verify", "verify.json does not say")
    failed = [x for x in target.latencies if (x.artifact, x.runtime, x.status) == (file, runtime, "error")]
    latency = "; ".join(
        [f"{x.where}: {x.reason}" for x in failed]
        or list(dict.fromkeys(bench.reason for bench in target.benches if bench.reason))
        or [gaps.get("latency", "latency.json does not name it")]
    )
    image = target.image.reason or (
        "image.json does not say its size" if target.image.status == "built" else f"image: {target.image.status}"
    )
    return {
        "size_kib": gaps.get("manifest", "manifest.json does not say"),
        "accuracy_float": target.no_baseline or verify,
        "accuracy": verify,
        "drop_points": target.no_baseline or verify,
        "p50_ms": latency,
        "p90_ms": latency if shown is None else "no 90th percentile was recorded",
        "image_mib": image,
    }


def footnotes(table: tuple[Row, ...]) -> tuple[str, ...]:
    """The different reasons of all empty cells, in order; a cell's mark is its place in this list, from 1."""
    return tuple(dict.fromkeys(reason for row in table for reason in row.missing.values()))


def remarks(table: tuple[Row, ...]) -> tuple[tuple[str, str, str], ...]:
    """(verdict, whom it concerns, reason) of every row with a reason, joined per target and reason."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for row in table:
        if row.reason:
            grouped.setdefault((row.target, row.verdict, row.reason), []).append(row.artifact)
    return tuple(
        (verdict, f"{target}, {joined(list(dict.fromkeys(files)))}", reason)
        for (target, verdict, reason), files in grouped.items()
    )
