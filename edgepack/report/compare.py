"""What changed from one run to another: verdict, accuracy, parity, size, latency?"""

import math
from pathlib import Path

from edgepack.errors import MissingError, RecipeError
from edgepack.report.collect import collect
from edgepack.report.document import from_json
from edgepack.report.schema import Latency, Report, Row, Target, Verdict
from edgepack.report.schema.comparison import COMPARISON_SCHEMA, Change, Changed, ChangedTarget, Comparison
from edgepack.report.table import rows, shown_latency, verdicts

LEVEL_Z = 1.96
"""Standard deviations of a normal distribution between its middle and either end of a 95 % interval."""

SAME_MACHINE = ("cpu", "machine", "machine_model", "cores")
"""Facts of an environment that must not differ where two times are compared."""

FEWEST_PROCESSES, BETWEEN_PROCESSES = 3, 0.05
"""Two processes of the same file differ by more than the interval of either says; with fewer processes than these, a
change of the latency counts when it is beyond that, too. Times within 5 % are called equal in verdicts as well."""

ALIKE_BYTES = 0.0005
Key = tuple[str, str, str]


def load(path: Path) -> Report:
    """A report from a run's folder, or from a report.json that somebody kept.

    Raises:
        MissingError: There is neither.
        RecipeError: It is no report.
    """
    if path.is_dir():
        kept = path / "report.json"
        if not (path / "run.json").is_file() and kept.is_file():
            return load(kept)
        return collect(path)
    if not path.exists():
        raise MissingError(
            f"no {str(path)!r}; expected the folder of a run or a report.json",
            fix="name two runs, such as out/digits and the report.json of an earlier one",
        )
    try:
        return from_json(path.read_text())
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no text, expected a report.json", fix="name a report.json") from error


def compare(before: Report, after: Report) -> Comparison:
    """Hold one run against another, result by result.

    A latency counts as changed when the 95 % interval of the ratio of the medians leaves out 1; it is wider by
    5 % where either side was measured in fewer than three processes. It is not compared where the machine, the number
    of threads, or the kind of clock differs.
    """
    old, new = ({_key(row): row for row in rows(report)} for report in (before, after))
    keys = list(dict.fromkeys([*new, *old]))
    judged = ({v.target: v for v in verdicts(report)} for report in (before, after))
    shipped_before, shipped_after = judged
    names = list(dict.fromkeys([*shipped_after, *shipped_before]))
    hashes = (before.recipe_sha256, after.recipe_sha256)
    return Comparison(
        schema=COMPARISON_SCHEMA,
        before=before.name if before.folder == after.folder else before.folder,
        after=after.name if before.folder == after.folder else after.folder,
        same_recipe=None if None in hashes else hashes[0] == hashes[1],
        metric=after.metric,
        targets=tuple(
            _target(before, after, name, shipped_before.get(name), shipped_after.get(name)) for name in names
        ),
        rows=tuple(_row(before, after, key, old.get(key), new.get(key)) for key in keys),
    )


def _key(row: Row) -> Key:
    return row.target, row.artifact, row.runtime


def _find(report: Report, name: str) -> Target | None:
    return next((target for target in report.targets if target.name == name), None)


def _target(before: Report, after: Report, name: str, old: Verdict | None, new: Verdict | None) -> ChangedTarget:
    images = [target.image.size_mib if (target := _find(report, name)) else None for report in (before, after)]
    return ChangedTarget(
        target=name,
        before=old.headline if old else None,
        after=new.headline if new else None,
        same=bool(old and new and old.headline == new.headline),
        image_mib=_less_is_better(*images),
    )


def _row(before: Report, after: Report, key: Key, old: Row | None, new: Row | None) -> Changed:
    target, artifact, runtime = key
    sides = (_find(before, target), _find(after, target))
    times = [shown_latency(side, artifact, runtime) if side else None for side in sides]
    agreements = [_agreement(side, artifact, runtime) for side in sides]
    known = new or old
    return Changed(
        target=target,
        artifact=artifact,
        runtime=runtime,
        presence="both" if old and new else "added" if new else "removed",
        size_kib=_less_is_better(old.size_kib if old else None, new.size_kib if new else None),
        accuracy=_more_is_better(old.accuracy if old else None, new.accuracy if new else None),
        agreement=_more_is_better(*agreements),
        p50_ms=_latency(times[0], times[1], _incomparable(sides, times)),
        verdict_before=old.verdict if old else None,
        verdict_after=new.verdict if new else None,
        reason=known.reason if known else "",
    )


def _agreement(target: Target | None, artifact: str, runtime: str) -> float | None:
    checks = target.checks if target else ()
    return next((x.top1_agreement for x in checks if (x.file, x.runtime) == (artifact, runtime)), None)


def _one_side(before: float | None, after: float | None) -> Change:
    why = "not known before" if after is not None else "not known any more" if before is not None else "not known"
    return Change(before, after, None, None, "incomparable", why)


def _less_is_better(before: float | None, after: float | None) -> Change:
    if before is None or after is None:
        return _one_side(before, after)
    ratio = after / before if before else None
    same = before == after or (ratio is not None and abs(ratio - 1) < ALIKE_BYTES)
    return Change(before, after, ratio, None, "same" if same else "better" if after < before else "worse", None)


def _more_is_better(before: float | None, after: float | None) -> Change:
    if before is None or after is None:
        return _one_side(before, after)
    word = "same" if before == after else "better" if after > before else "worse"
    return Change(before, after, None, None, word, None)


def _incomparable(sides: tuple[Target | None, Target | None], times: list[Latency | None]) -> str | None:
    """Why two times must not be held against each other, or None when they may."""
    one, other = times
    if one is None or other is None:
        return None  # said by what is missing
    if one.where != other.where:
        return f"measured in different places: {one.where} and {other.where}"
    if (one.simulated, one.emulated) != (other.simulated, other.emulated):
        return "one of them is no time of a real machine"
    if one.threads != other.threads:
        return f"{one.threads} and {other.threads} threads"
    facts = [_environment(side, time.where) if side else {} for side, time in zip(sides, (one, other), strict=True)]
    for name in SAME_MACHINE:
        if facts[0].get(name) != facts[1].get(name):
            return f"another machine: {name} was {facts[0].get(name)}, is {facts[1].get(name)}"
    return None


def _environment(target: Target, where: str) -> dict[str, object]:
    found = [bench.environment for bench in target.benches if bench.where == where]
    found += [device.environment for device in target.devices if device.name == where]
    return dict(found[0]) if found else {}


def _latency(before: Latency | None, after: Latency | None, why_not: str | None) -> Change:
    old, new = (side.p50_ms if side else None for side in (before, after))
    if old is None or new is None:
        return _one_side(old, new)
    if why_not:
        return Change(old, new, None, None, "incomparable", why_not)
    ratio = new / old if old > 0 and new > 0 else None
    bounds = [(side.interval_ms or {}).get("p50") for side in (before, after) if side]
    if ratio is None or any(both is None or both[0] <= 0 for both in bounds):
        return Change(
            old, new, ratio, None, "unclear", "no interval was recorded, so a change cannot be told from chance"
        )
    widths = [(math.log(both[1]) - math.log(both[0])) / (2 * LEVEL_Z) for both in bounds if both]
    reach = LEVEL_Z * math.hypot(*widths)
    few = min(side.processes for side in (before, after) if side) < FEWEST_PROCESSES
    reach += math.log1p(BETWEEN_PROCESSES) if few else 0.0
    interval = (ratio * math.exp(-reach), ratio * math.exp(reach))
    word = "unclear" if interval[0] <= 1 <= interval[1] else "better" if ratio < 1 else "worse"
    reason = "no significant difference" if word == "unclear" else None
    return Change(old, new, ratio, interval, word, reason)
