"""What does the text that ``benchmark_model`` prints say: times, memory, delegates, operators?

The program has changed its words over the years, and Android's log puts more in front of them; what is read here is
what TensorFlow Lite 1.12 to 2.20 and LiteRT 1 and 2 print:
https://github.com/google-ai-edge/LiteRT/tree/main/tflite/tools/benchmark and
https://github.com/google-ai-edge/LiteRT/tree/main/litert/tools. Times are microseconds unless a name says otherwise.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import delegates
from .errors import ProgramError
from .profile import Operator, operators

SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
LAST_WORDS = 3
LONGEST_WORDS = 200

_NUMBER = r"([0-9][0-9.]*(?:e[+-]?[0-9]+)?)"
_COUNT = re.compile(r"(?<!: )(?<!\w)count=(\d+)(.*)")
_FIELD = re.compile(rf"\b(first|curr|min|max|avg|std|p5|median|p95)={_NUMBER}", re.IGNORECASE)
_SUMMARY = re.compile(rf"timings in us: .*?\bInit: {_NUMBER}", re.IGNORECASE)
_FIRST = re.compile(rf"First inference: {_NUMBER}", re.IGNORECASE)
_OF_LITERT = re.compile(
    rf"(Model initialization|Warmup \((?:first|avg)\)|Inference \((?:avg|min|max|std)\)):\s+{_NUMBER}(.*)"
)
_RUNS = re.compile(r"\((\d+) runs\)")
_FOOTPRINT = re.compile(rf"emory footprint.*?\(MB\): init={_NUMBER} overall={_NUMBER}")
_PEAK = re.compile(rf"(?:Overall peak memory footprint \(MB\) via periodic monitoring|Peak memory):\s+{_NUMBER}")
_IGNORED = re.compile(r"Unconsumed cmdline flags: (.+)")
_LOG = re.compile(
    r"^(?:\d{2,4}-\d\d(?:-\d\d)? [\d:.]+ +\d+[ -]+\d+ +(?:[VDIWEF] )?.*?\s*: |[VDIWEF][ /]tflite\s*: "
    r"|(?:INFO|VERBOSE|WARNING|WARN|ERROR): (?:\[[\w.]+:\d+\] )?)"
)


@dataclass(frozen=True)
class Timing:
    """One row of inferences; `p5_us`, `median_us` and `p95_us` are None where the program is older than they are."""

    runs: int
    first_us: float | None
    min_us: float
    max_us: float
    mean_us: float
    stdev_us: float
    p5_us: float | None = None
    median_us: float | None = None
    p95_us: float | None = None


@dataclass(frozen=True)
class Output:
    """All that one run of the program said.

    Attributes:
        init_us: Loading the model and applying delegates.
        first_us: The first inference.
        warmup_runs: Inferences before the timed ones.
        inference: The timed ones.
        init_mib: Memory that loading took, where it was measured.
        overall_mib: The same for the whole run.
        peak_mib: The most memory, where the program was told to watch it.
        taken: What delegates took, in the order in which they were applied.
        applied: ``completely``, ``partially`` or ``not``, by the name of a delegate that was asked for.
        unsupported: Operations that a delegate refused, with its reason.
        operators: The profile by type of operator, where one was asked for.
        ignored: Options that this version of the program does not know.
    """

    init_us: float
    first_us: float | None
    warmup_runs: int
    inference: Timing
    init_mib: float | None
    overall_mib: float | None
    peak_mib: float | None
    taken: tuple[delegates.Taken, ...]
    applied: dict[str, str]
    unsupported: tuple[str, ...]
    operators: tuple[Operator, ...]
    ignored: tuple[str, ...]

    @property
    def nodes(self) -> dict[str, object] | None:
        """``total`` nodes of the graph and who runs how many of them; None where the program does not say."""
        return delegates.nodes(self.taken)


def parse(text: str, exit_code: int = 0) -> Output:
    """Read what one run printed, on its standard output and its standard error.

    Args:
        text: All of it; what Android's log puts before each line may be there.
        exit_code: As the phone's shell gave it.

    Raises:
        ProgramError: The program crashed, or ended without a result; its last words are in the message.
    """
    lines = [_LOG.sub("", line).rstrip() for line in text.replace("\r", "").split("\n")]
    if exit_code != 0:
        raise ProgramError(f"benchmark_model {ending(exit_code)}{last_words(lines)}", fix=_FIX)
    rows = [found for found in map(_timing, lines) if found is not None]
    init_us, first_us = _summary(lines)
    of_litert = _litert(lines)
    if of_litert is not None:
        init_us, first_us, *blocks = of_litert
        rows = rows or blocks  # the rows have percentiles besides
    if init_us is None or not rows:
        raise ProgramError(f"benchmark_model ended without a result{last_words(lines)}", fix=_FIX)
    warmup = rows[-2] if len(rows) > 1 else None
    footprint = _first(_FOOTPRINT, lines)
    peak = _first(_PEAK, lines)
    return Output(
        init_us=init_us,
        first_us=first_us if first_us is not None else warmup.first_us if warmup else None,
        warmup_runs=warmup.runs if warmup else 0,
        inference=rows[-1],
        init_mib=_number(footprint[1]) if footprint else None,
        overall_mib=_number(footprint[2]) if footprint else None,
        peak_mib=_number(peak[1]) if peak else None,
        taken=tuple(delegates.taken(lines)),
        applied=delegates.applied(lines),
        unsupported=tuple(delegates.unsupported(lines)),
        operators=operators(lines),
        ignored=tuple(word for line in lines if (found := _IGNORED.search(line)) for word in found[1].split()),
    )


_FIX = "look at the file, the delegate and the version of benchmark_model; `adb logcat` may say more"


def ending(exit_code: int) -> str:
    """How a program ended, by the exit code of the shell that ran it."""
    signal = exit_code - 128
    if 0 < signal < 65:
        return f"crashed ({SIGNALS.get(signal, f'signal {signal}')})"
    return f"ended with exit code {exit_code}"


def last_words(lines: Sequence[str]) -> str:
    """The last lines that say something, as the end of a sentence."""
    spoken = [line.strip() for line in lines if line.strip()][-LAST_WORDS:]
    return "; its last words: " + " | ".join(word[:LONGEST_WORDS] for word in spoken) if spoken else ", saying nothing"


def _number(text: str) -> float:
    """A number that the program printed.

    Raises:
        ProgramError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ProgramError(f"benchmark_model printed {text[:40]!r} where a number was expected", fix=_FIX)
    return value


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> re.Match[str] | None:
    return next((found for line in lines if (found := pattern.search(line))), None)


def _timing(line: str) -> Timing | None:
    """A row such as ``count=50 first=9 curr=8 min=7 max=9 avg=8 std=1``; those of the profile stand behind a colon."""
    found = _COUNT.search(line)
    runs = int(found[1][:18]) if found else 0
    if found is None or runs == 0 or "(bytes)" in line or "(microseconds)" in line:
        return None
    values = {key.lower(): _number(value) for key, value in _FIELD.findall(found[2])}
    same = values.get("curr")  # all that is printed of inferences that took equally long
    if same is None:
        return None
    first = values.get("first", same)
    return Timing(
        runs,
        first,
        values.get("min", same),
        values.get("max", same),
        values.get("avg", same),
        values.get("std", 0.0),
        values.get("p5"),
        values.get("median"),
        values.get("p95"),
    )


def _summary(lines: Sequence[str]) -> tuple[float | None, float | None]:
    """Load time and first inference of the last summary that there is."""
    for line in reversed(lines):
        found = _SUMMARY.search(line)
        if found:
            first = _FIRST.search(line)
            return _number(found[1]), _number(first[1]) if first else None
    return None, None


def _litert(lines: Sequence[str]) -> tuple[float, float | None, Timing, Timing] | None:
    """Load time, first inference, warm-up and timing of the block that LiteRT 2 prints in place of a line."""
    values: dict[str, float] = {}
    runs: dict[str, int] = {}
    for line in lines:
        found = _OF_LITERT.search(line)
        if found:
            values[found[1]] = _number(found[2]) * 1e3  # they are milliseconds
            counted = _RUNS.search(found[3])
            runs[found[1]] = int(counted[1][:18]) if counted else 0
    if "Model initialization" not in values or runs.get("Inference (avg)", 0) == 0:
        return None
    first, mean = values.get("Warmup (first)"), values["Inference (avg)"]
    lowest, highest = (values.get(f"Inference ({key})", mean) for key in ("min", "max"))
    timing = Timing(runs["Inference (avg)"], None, lowest, highest, mean, values.get("Inference (std)", 0.0))
    warm = values.get("Warmup (avg)", mean)
    return (
        values["Model initialization"],
        first,
        Timing(runs.get("Warmup (avg)", 0), first, warm, warm, warm, 0),
        timing,
    )
