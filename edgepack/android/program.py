"""With which words is ``benchmark_model`` started, and how is it held to cores and to a time?

Its options: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/benchmark/README.md, and of LiteRT 2
https://github.com/google-ai-edge/LiteRT/blob/main/litert/tools/benchmark_litert_model.h. What a version does not know
it names and goes on without.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from .adb import Adb, Said, quoted
from .address import Settings
from .errors import ProgramError
from .facts import mask
from .files import FOLDER
from .output import Output

INPUT = "sample"
"""What the input is called here; the program needs a name and does not compare it with the model's own."""

ANSWER = "answer.bin"
"""File for the output of a run; one of an earlier run is never taken for it."""

GRACE_S = 20.0
KILLED = (137, 124)


@dataclass(frozen=True)
class Sample:
    """An input that the phone has: its file and its shape."""

    path: PurePosixPath
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Length:
    """How long one run goes on: warm-up seconds, then so many inferences and seconds at least, and seconds at most."""

    warmup_s: float
    min_runs: int
    min_time_s: float
    max_time_s: float


PROFILED = Length(0.0, 10, 0.0, 20.0)
"""Enough to see which operators take the time; what is measured here is not timed for the result."""


def words(
    settings: Settings,
    model: PurePosixPath,
    threads: int,
    length: Length,
    sample: Sample | None,
) -> list[str]:
    """The options of one run.

    Args:
        settings: How it is measured.
        model: The file on the phone.
        threads: Threads of one inference.
        length: How long.
        sample: What the model is given, for an answer that is kept; None for random numbers.
    """
    found = [
        f"--graph={model}",
        f"--num_threads={threads}",
        "--warmup_runs=1",
        f"--warmup_min_secs={length.warmup_s:g}",
        f"--num_runs={length.min_runs}",
        f"--min_secs={length.min_time_s:g}",
        f"--max_secs={length.max_time_s:g}",
    ]
    if sample is not None:
        shape = ",".join(str(size) for size in sample.shape)
        found += [
            f"--input_layer={INPUT}",
            f"--input_layer_shape={shape}",
            f"--input_layer_value_files={INPUT}:{sample.path}",
            f"--output_filepath={FOLDER / ANSWER}",
        ]
    if settings.delegate != "cpu":
        found.append(f"--use_{settings.delegate}=true")
    if settings.accelerator is not None:
        found.append(f"--nnapi_accelerator_name={settings.accelerator}")
    if settings.delegate == "npu":
        found += [f"--dispatch_library_path={FOLDER}", f"--compiler_plugin_library_path={FOLDER}"]
    return [*found, *settings.arguments]


def run(
    adb: Adb, program: PurePosixPath, options: Sequence[str], *, cores: Sequence[int], timed: bool, limit_s: float
) -> Said:
    """Run the program on the phone to its end.

    Args:
        adb: The phone.
        program: Where it is there.
        options: Its words.
        cores: Those that it is held to; empty = any.
        timed: Whether the phone has ``timeout``, which ends it there when nobody listens any more.
        limit_s: Seconds that it may take.

    Raises:
        ProgramError: The program did not end.
        AndroidError: The phone was lost.
    """
    line = quoted([program, *options])
    if cores:
        line = f"taskset {mask(cores)} {line}"
    if timed:
        line = f"timeout -s KILL {limit_s:.0f} {line}"
    places = f"LD_LIBRARY_PATH={quoted([FOLDER])} ADSP_LIBRARY_PATH={quoted([FOLDER])}"
    script = f"cd {quoted([FOLDER])} && rm -f {ANSWER} && export {places}"
    begin_s = time.monotonic()
    said = adb.shell(f"{script}\n{line}", timeout_s=limit_s + GRACE_S)
    if timed and said.exit_code in KILLED and time.monotonic() - begin_s >= limit_s:
        raise ProgramError(
            f"benchmark_model did not end within {limit_s:.0f} s on the phone {adb.serial}",
            fix="measure a smaller model, or look at the phone: `adb logcat`",
        )
    return said


def fell_back(delegate: str, said: Output) -> str | None:
    """Why a run is not what was asked for, as a sentence; None when it is, as far as the program tells.

    Args:
        delegate: What was asked for.
        said: What the program said.
    """
    if delegate != "cpu" and any(word.lstrip("-").startswith(f"use_{delegate}") for word in said.ignored):
        return f"this benchmark_model has no delegate for {delegate}: it ran on the processor"
    # Those that the target's arguments ask for are among these, such as EXTERNAL.
    idle = [name for name, extent in said.applied.items() if extent == "not" and name != "XNNPACK"]
    if idle:
        return f"the {idle[0]} delegate took nothing of the model: it ran on the processor"
    # LiteRT 2 does not say so: where an accelerator refuses a model, XNNPACK gets it.
    if delegate != "cpu" and said.taken and {item.delegate for item in said.taken if item.nodes} <= {"XNNPACK"}:
        return f"nothing but XNNPACK took a part of the model, and {delegate} was asked for: it ran on the processor"
    return None
