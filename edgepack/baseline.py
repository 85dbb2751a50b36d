"""Did an artifact become slower than it was, or is it the machine, or chance?

A process that measures itself for long is sure of its median, and the next process of the same file finds another one.
So a baseline holds the medians of several fresh processes, as many are measured again, and the interval of the ratio
comes from how both differ (Welch's t on logarithms). What else may have made the difference widens it:

- Other programs make some inferences slower, a slower model all of them. Beside the median stands the fastest tenth,
  and the interval holds that of both.
- Beside each median stands the time of a fixed piece of work in the same process. Where that changed surely, nobody
  knows how much of it the model felt, between nothing and all.

The gate fails where the whole interval lies above the limit, passes where all of it lies below, and else says that it
cannot tell.
"""

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

from edgepack import __version__
from edgepack.errors import BudgetError, MissingError, RecipeError
from edgepack.store import explain_os_errors, write_json

SCHEMA = "edgepack.baseline/1"
LEVEL = 0.95
PROCESSES, FEWEST = 5, 3
"""Fresh processes by default, and at least."""
AGAIN = 2
"""How often as many processes are measured once more before the gate says that it cannot tell."""
SIMULATED_SHARE = 0.005
"""Counted instructions differ by less than this from one boot to the next: docs/measuring.md."""

SAME = ("cpu", "machine_model", "cores", "machine", "container", "emulated")
"""Facts of the environment that have to be the same."""


@dataclass(frozen=True)
class Judgement:
    """One artifact, then and now.

    Attributes:
        artifact: File name.
        runtime: Which runtime.
        before_ms: Median over processes of the median latency, in the baseline.
        after_ms: The same now.
        ratio: How many times as long it takes now.
        interval: Of the ratio, 95 %.
        limit: The largest ratio that is allowed.
        verdict: ``"slower"`` than allowed, ``"ok"``, or ``"cannot tell"``.
        note: What else there is to know, as a sentence; may be empty.
    """

    artifact: str
    runtime: str
    before_ms: float
    after_ms: float
    ratio: float
    interval: tuple[float, float]
    limit: float
    verdict: Literal["slower", "ok", "cannot tell"]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "interval": list(self.interval)}

    def sentence(self) -> str:
        """What was found."""
        word = {"slower": "became slower", "ok": "is as fast as it was", "cannot tell": "cannot be told apart"}
        found = "became faster" if self.verdict == "ok" and self.interval[1] < 1 else word[self.verdict]
        return (
            f"{self.artifact} with {self.runtime} {found}: {self.after_ms:.4g} ms, baseline {self.before_ms:.4g} ms, "
            f"{self.ratio:.3f} times (95 % interval {self.interval[0]:.3f} to {self.interval[1]:.3f}), "
            f"allowed {self.limit:.3f}{f'; {self.note}' if self.note else ''}"
        )


def share(text: str) -> float:
    """A share as a user writes it, ``5%``, as a fraction.

    Raises:
        RecipeError: It is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if found is None:
        raise RecipeError(f"got {text!r} as a share; expected a number and a percent sign", fix="write it as 5%")
    return float(found[1]) / 100


def save(path: Path, documents: Sequence[Mapping[str, Any]]) -> None:
    """Write what later measurements are held against.

    Args:
        path: The file; what it held is replaced.
        documents: Measurements of schema ``edgepack.latency/1``, of several processes.

    Raises:
        RecipeError: They are of too few processes, or emulated.
        MissingError: The file cannot be written.
    """
    items = [item for document in documents for item in _items(document)]
    with explain_os_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"schema": SCHEMA, "results": items})


def read(path: Path) -> list[dict[str, Any]]:
    """The artifacts of a baseline.

    Raises:
        MissingError: There is no such file.
        RecipeError: It is no baseline.
    """
    try:
        document = json.loads(path.read_text())
        items = document["results"] if document["schema"] == SCHEMA else None
        fits = isinstance(items, list) and all(_is_item(item) for item in items)
    except FileNotFoundError as error:
        raise MissingError(
            f"there is no baseline {path}", fix="write one first: the same command with --save-baseline"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise RecipeError(f"{path} is no baseline of schema {SCHEMA}", fix="write it anew with --save-baseline")
    return list(items or ())


def judge(path: Path, document: Mapping[str, Any], *, fail_above: float) -> list[Judgement]:
    """Hold a measurement against a baseline.

    Args:
        path: The baseline.
        document: A measurement of schema ``edgepack.latency/1``, of several processes.
        fail_above: Share by which an artifact may be slower.

    Raises:
        MissingError: There is no baseline.
        RecipeError: The two are not comparable: another machine, other threads, another runtime, simulated and real.
    """
    before = {_key(item): item for item in read(path)}
    found = []
    for item in _items(document):
        old = before.get(_key(item))
        if old is None:
            _refuse_unknown(item, before.values(), path)
        _check(old, item, path)
        found.append(_judgement(old, item, 1 + fail_above))
    return found


def gate(
    path: Path, first: Mapping[str, Any], again: Callable[[], Mapping[str, Any]], *, fail_above: float
) -> list[Judgement]:
    """Judge a measurement, and measure again where that cannot tell: more processes make the interval narrower.

    Args:
        path: The baseline.
        first: A measurement of schema ``edgepack.latency/1``, of several processes.
        again: Makes another one like it.
        fail_above: Share by which an artifact may be slower.

    Returns:
        What was found by all measurements together.

    Raises:
        MissingError, RecipeError: As `judge` does.
    """
    together, found = first, judge(path, first, fail_above=fail_above)
    for _ in range(AGAIN):
        if all(judgement.verdict != "cannot tell" for judgement in found):
            break
        together = _together(together, again())
        found = judge(path, together, fail_above=fail_above)
    return found


def _together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A measurement with the processes of two."""
    more = {_key(result): result for result in other["results"] if result["status"] == "ok"}
    results = [
        {**result, "processes": [*result["processes"], *more[_key(result)]["processes"]]}
        if result["status"] == "ok" and result.get("processes") and more.get(_key(result), {}).get("processes")
        else result
        for result in one["results"]
    ]
    return {**one, "results": results}


def error_for(judgements: Sequence[Judgement], document: Mapping[str, Any]) -> BudgetError | None:
    """The failure of a gate, with everything that one needs to believe it; None when nothing became slower."""
    slower = [judgement for judgement in judgements if judgement.verdict == "slower"]
    if not slower:
        return None
    facts = document["environment"]
    where = (document.get("device") or {}).get("address", "local")
    processes = max(len(item["p50_ms"]) for item in _items(document))
    machine = f"{facts.get('machine_model') or facts.get('cpu')}, {facts.get('cores')} cores, {facts.get('kernel')}"
    lines = [judgement.sentence() for judgement in slower]
    return BudgetError(
        "\n".join([*lines, f"measured on {where}: {machine}; {processes} fresh processes"]),
        fix="find out what changed; if it is meant, save a new baseline with --save-baseline",
    )


def _items(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a baseline holds of a measurement."""
    facts, device = document["environment"], document.get("device") or {}
    if facts.get("emulated"):
        raise RecipeError("this was measured under emulation: its times mean nothing", fix="measure on a real machine")
    simulated = bool(device.get("simulated"))
    items = []
    for result in document["results"]:
        if result["status"] != "ok":
            continue
        processes = result.get("processes") or [{"p50_ms": result["latency_ms"]["p50"]}]
        if len(processes) < FEWEST and not simulated:
            raise RecipeError(
                f"{result['artifact']} was measured in {len(processes)} processes; a baseline takes {FEWEST} or more",
                fix=f"measure with --processes {PROCESSES}",
            )
        columns = {key: [process.get(key) for process in processes] for key in ("p50_ms", "p10_ms", "reference_ms")}
        items.append(
            {
                **{key: result[key] for key in ("artifact", "sha256", "runtime", "runtime_version", "threads")},
                "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "edgepack": __version__,
                "device": device.get("address", "local"),
                "simulated": simulated,
                "quick": bool(document["protocol"].get("quick")),
                **{key: facts.get(key) for key in (*SAME, "kernel", "python", "numpy")},
                **{key: None if None in values else values for key, values in columns.items()},
            }
        )
    return items


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item["artifact"]), str(item["runtime"])


def _refuse_unknown(item: Mapping[str, Any], before: Iterable[Mapping[str, Any]], path: Path) -> NoReturn:
    held = list(before)
    same = [old for old in held if old["artifact"] == item["artifact"]]
    known = ", ".join(f"{old['artifact']} with {old['runtime']}" for old in (same or held)) or "nothing"
    raise RecipeError(
        f"the baseline {path} holds no {item['artifact']} with {item['runtime']}; it holds {known}",
        fix="measure what the baseline holds (--runtime), or save a new one with --save-baseline",
    )


def _check(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> None:
    """Refuse two measurements that say nothing about one another."""
    if old["simulated"] != new["simulated"]:
        kinds = {True: "simulated (counted instructions)", False: "real"}
        raise RecipeError(
            f"the baseline {path} is {kinds[old['simulated']]} and this measurement {kinds[new['simulated']]}: "
            "the two are never compared",
            fix="keep a baseline for each device",
        )
    other = [
        f"{key} {old.get(key)!r}, now {new.get(key)!r}" for key in (*SAME, "threads") if old.get(key) != new.get(key)
    ]
    if other:
        raise RecipeError(
            f"the baseline {path} is of something else: {'; '.join(other)}",
            fix="measure where and as the baseline was measured, or save a new one with --save-baseline",
        )


def _judgement(old: Mapping[str, Any], new: Mapping[str, Any], limit: float) -> Judgement:
    middle, low, high = _logarithms(old["p50_ms"], new["p50_ms"])
    notes = []
    if old["p10_ms"] and new["p10_ms"]:
        fastest, least, most = _logarithms(old["p10_ms"], new["p10_ms"])
        if least <= math.log(limit) < low:
            notes.append(f"its fastest tenth takes {math.exp(fastest):.3f} times as long: other programs are at work")
        low, high = min(low, least), max(high, most)
    if old["simulated"]:
        low, high = min(low, middle - SIMULATED_SHARE), max(high, middle + SIMULATED_SHARE)
    elif old["reference_ms"] and new["reference_ms"] and (old["python"], old["numpy"]) == (new["python"], new["numpy"]):
        speed, least, most = _logarithms(old["reference_ms"], new["reference_ms"])
        if least > 0:
            low -= most
            notes.append(f"the machine itself is slower than it was then ({math.exp(speed):.2f} times)")
        elif most < 0:
            high -= least
            notes.append(f"the machine itself is faster than it was then ({math.exp(speed):.2f} times)")
    if old["runtime_version"] != new["runtime_version"]:
        notes.append(f"{new['runtime']} was {old['runtime_version']} and is {new['runtime_version']}")
    if old["quick"] or new["quick"]:
        notes.append("measured quickly")
    interval = (math.exp(low), math.exp(high))
    verdict: Literal["slower", "ok", "cannot tell"] = "cannot tell"
    if interval[0] > limit:
        verdict = "slower"
    elif interval[1] <= limit:
        verdict = "ok"
    return Judgement(
        artifact=str(new["artifact"]),
        runtime=str(new["runtime"]),
        before_ms=statistics.median(old["p50_ms"]),
        after_ms=statistics.median(new["p50_ms"]),
        ratio=math.exp(middle),
        interval=interval,
        limit=limit,
        verdict=verdict,
        note="; ".join(notes),
    )


def _logarithms(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """The difference of the mean logarithms of two sets of times, and its interval."""
    from edgepack.runner.statistics import difference_interval

    old, new = [math.log(value) for value in before], [math.log(value) for value in after]
    if min(len(old), len(new)) < 2:
        return (middle := statistics.mean(new) - statistics.mean(old)), middle, middle
    return difference_interval(old, new, level=LEVEL)


def _is_item(item: Any) -> bool:
    def times(values: Any) -> bool:
        return isinstance(values, list) and bool(values) and all(isinstance(v, int | float) and v > 0 for v in values)

    return (
        isinstance(item, dict)
        and {"artifact", "runtime", "runtime_version", "threads", "python", "numpy", "p10_ms", "reference_ms", *SAME}
        <= set(item)
        and all(isinstance(item.get(key), bool) for key in ("simulated", "quick"))
        and times(item.get("p50_ms"))
        and all(item[key] is None or times(item[key]) for key in ("p10_ms", "reference_ms"))
    )
