"""How does a comparison of two runs read: in a terminal, in a pull request?"""

import dataclasses
import json
from typing import TYPE_CHECKING

from edgepack.report.formatting import MINUS, percent, points, runtime_name, significant, unit_of
from edgepack.report.markdown import code, escape
from edgepack.report.schema.comparison import Change, Changed, ChangedTarget, Comparison

if TYPE_CHECKING:
    from rich.console import Group

MARKS = {"better": "▲", "worse": "▼", "same": "", "unclear": "~", "incomparable": ""}
STYLES = {"better": "green", "worse": "red", "same": "dim", "unclear": "yellow", "incomparable": "dim"}
HEADINGS = ("KiB", "{metric}", "agree %", "p50 ms", "verdict")


def to_json(comparison: Comparison) -> str:
    """The comparison for programs, strict JSON."""
    return json.dumps(dataclasses.asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(comparison: Comparison) -> str:
    """A comment for a pull request: what to ship, then every result."""
    lines = [f"## edgepack: {escape(comparison.after)} against {escape(comparison.before)}", ""]
    lines += [f"- {escape(sentence)}" for sentence in headlines(comparison)]
    lines += ["", "| target | artifact | runtime | " + " | ".join(_headings(comparison)) + " |"]
    lines.append("| --- | --- | --- |" + " ---: |" * 4 + " --- |")
    for row in comparison.rows:
        cells = [
            escape(row.target),
            code(row.artifact),
            escape(runtime_name(row.runtime)),
            *(text for text, _ in cells_of(row)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "▲ better, ▼ worse, ~ no significant difference; in brackets the 95 % interval of the change.", ""]
    notes = remarks(comparison)
    lines += [f"- {escape(note)}" for note in notes]
    return "\n".join([*lines, ""] if notes else lines)


def rich_comparison(comparison: Comparison) -> "Group":
    """The same for a terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tables: list[Text | Table] = []
    for target in comparison.targets:
        grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        for heading in ("artifact", *_headings(comparison)):
            right = heading not in ("artifact", "verdict")
            grid.add_column(heading, justify="right" if right else "left", overflow="fold")
        for row in comparison.rows:
            if row.target == target.target:
                cells = [Text(text, style=STYLES.get(word, "")) for text, word in cells_of(row)]
                grid.add_row(Text(f"{row.artifact.removeprefix('model.')}\n{row.runtime}"), *cells)
        tables += [Text(""), Text(target.target, style="bold"), grid]
    above = [Text(sentence) for sentence in headlines(comparison)]
    below = [Text(f" {note}", style="dim") for note in remarks(comparison)]
    return Group(*above, *tables, *below)


def headlines(comparison: Comparison) -> tuple[str, ...]:
    """What to ship to each target and whether that changed, then the recipe."""
    found = [_headline(target) for target in comparison.targets]
    if comparison.same_recipe is False:
        found.append("The recipe is another one.")
    return tuple(found)


def remarks(comparison: Comparison) -> tuple[str, ...]:
    """Why a time is not compared, once for each reason."""
    grouped: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.p50_ms.word == "incomparable" and row.p50_ms.reason and row.presence == "both":
            grouped.setdefault(row.p50_ms.reason, []).append(f"{row.artifact} in {runtime_name(row.runtime)}")
        if row.p50_ms.word == "unclear" and row.p50_ms.interval is None and row.p50_ms.reason:
            grouped.setdefault(row.p50_ms.reason, []).append(f"{row.artifact} in {runtime_name(row.runtime)}")
    return tuple(f"latency of {', '.join(dict.fromkeys(who))}: {reason}" for reason, who in grouped.items())


def _headings(comparison: Comparison) -> list[str]:
    merit = "accuracy %" if comparison.metric == "accuracy" else unit_of(comparison.metric)
    return [heading.format(metric=merit) for heading in HEADINGS]


def _headline(target: ChangedTarget) -> str:
    image = ""
    if target.image_mib.word in ("better", "worse") and target.image_mib.ratio:
        image = f"; the image has {significant(target.image_mib.after or 0)} MiB ({_relative(target.image_mib.ratio)})"
    if target.before is None:
        return f"{target.target}: new. {target.after}{image}"
    if target.after is None:
        return f"{target.target}: gone. It was: {target.before}"
    if target.same:
        return f"{target.target}: {target.after}, as before{image}"
    return f"{target.target}: {target.after}. It was: {target.before}{image}"


def cells_of(row: Changed) -> tuple[tuple[str, str], ...]:
    """(text, word) of each quantity of a row and of its verdict."""
    if row.presence != "both":
        word = row.presence
        return (("", ""), ("", ""), ("", ""), ("", ""), (f"{word}: {row.verdict_after or row.verdict_before}", ""))
    turned = row.verdict_before != row.verdict_after
    verdict = f"{row.verdict_before} → {row.verdict_after}" if turned else row.verdict_after or ""
    judged = {"ok": "better", "failed": "worse"}.get(row.verdict_after or "", "unclear") if turned else "same"
    return (
        _ratio_cell(row.size_kib),
        _share_cell(row.accuracy),
        _share_cell(row.agreement),
        _ratio_cell(row.p50_ms),
        (f"{verdict} {MARKS[judged]}".strip(), judged),
    )


def _ratio_cell(change: Change) -> tuple[str, str]:
    if change.after is None or change.before is None:
        return "–", "incomparable"
    text = significant(change.after)
    if change.word == "same":
        return text, "same"
    if change.ratio is None:
        return f"{significant(change.before)} → {text}", change.word
    between = ""
    if change.interval:
        low, high = (_relative(bound).removesuffix(" %") for bound in change.interval)
        between = f" [{low}, {high}]"
    return f"{text} {_relative(change.ratio)}{between} {MARKS[change.word]}".strip(), change.word


def _share_cell(change: Change) -> tuple[str, str]:
    if change.after is None or change.before is None:
        return "–", "incomparable"
    text = percent(change.after)
    if change.word == "same":
        return text, "same"
    gained = 100 * (change.after - change.before)
    sign = "+" if gained > 0 else ""
    return f"{text} ({sign}{points(gained)}) {MARKS[change.word]}", change.word


def _relative(ratio: float) -> str:
    """A ratio as a change: 1.123 gives "+12.3 %"."""
    change = 100 * (ratio - 1)
    digits = 1 if abs(change) < 99.95 else 0
    text = f"{abs(change):,.{digits}f}"
    if not text.strip("0."):
        return "±0 %"
    return f"{'+' if change > 0 else MINUS}{text} %"
