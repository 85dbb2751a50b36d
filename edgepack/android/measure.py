"""How fast is each ``.tflite`` file of a bundle on a phone, as the document that the runner writes elsewhere?

``benchmark_model`` prints statistics and no single times, so it is started several times over: each start is a process
of its own with its own warm-up, and how they differ says how sure the figures are. A last start, which is not timed,
says where the time goes.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgepack.runner import bundle, sampling

from . import combine, facts, golden, output, program
from .adb import Adb
from .address import Settings
from .errors import ProgramError
from .files import FOLDER, Store, check_library, check_program
from .subjects import Subject
from .turns import turn

SCHEMA = "edgepack.latency/1"
PROGRAM = "benchmark_model"
WINDOWS = 5
KEPT_TEXT = 20_000
"""Characters of each run's output that a result keeps."""


@dataclass(frozen=True)
class Protocol(sampling.Protocol):
    """How long to measure each file: warm-up of each run, and inferences and seconds of all runs together."""

    @property
    def runs(self) -> int:
        """How often the program is started: more often than once, unless it only has to show that it works."""
        return self.processes if self.quick else max(self.processes, WINDOWS)

    @property
    def each(self) -> program.Length:
        """The length of one run."""
        share = self.runs
        return program.Length(
            self.warmup_s, -(-self.min_runs // share), self.min_time_s / share, max(self.max_time_s / share, 0.1)
        )


@dataclass(frozen=True)
class _Bench:
    """Everything that stays the same from one file to the next."""

    adb: Adb
    phone: facts.Phone
    store: Store
    settings: Settings
    protocol: Protocol
    remote: PurePosixPath
    sha256: str
    cores: tuple[int, ...]
    folder: Path

    def run(
        self,
        model: PurePosixPath,
        threads: int,
        length: program.Length,
        sample: program.Sample | None,
        *extra: str,
    ) -> tuple[output.Output, str]:
        """One run of the program; raises ProgramError when it fails."""
        words = [*program.words(self.settings, model, threads, length, sample), *extra]
        limit_s = self.protocol.start_timeout_s + length.warmup_s + length.max_time_s
        timed = "timeout" in self.phone.tools
        said = program.run(self.adb, self.remote, words, cores=self.cores, timed=timed, limit_s=limit_s)
        return output.parse(said.text, said.exit_code), said.text

    def answer(self, said: output.Output) -> list[bytes]:
        """The output that the last run left, of a program that can leave one; else nothing."""
        if any(word.startswith(("--input_layer", "--output_filepath")) for word in said.ignored):
            return []
        local = self.folder / program.ANSWER
        return [local.read_bytes()] if self.adb.pull(FOLDER / program.ANSWER, local) else []


def bench(
    adb: Adb,
    found: Sequence[Subject],
    settings: Settings,
    protocol: Protocol,
    *,
    address: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure files on a phone, one after the other.

    Args:
        adb: The phone.
        found: What to measure.
        settings: How.
        protocol: How long.
        address: What the document calls the phone.
        say: Called with one line before each thing that takes a while.

    Returns:
        The document of schema ``edgepack.latency/1``. A file on which the program fails has the status ``"error"`` and
        a reason; the others go on.

    Raises:
        AndroidError: The phone was lost, or cannot run the program.
        AbsentError: The program is not there, or the phone has no room.
    """
    with turn(f"the phone {adb.serial}", say):
        phone = facts.identify(adb)
        sha256 = check_program(settings.program, settings.sha256, phone.abis)
        cores = facts.chosen_cores(phone, settings.cores)
        store = Store(adb, hashes="sha256sum" in phone.tools)
        say(f"looking at what {phone.name} has")
        remote = store.put(settings.program, PROGRAM, executable=True)
        for library in settings.libraries:
            store.put(check_library(library), Path(library).name)
        start = facts.state(adb, cores)
        with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
            measuring = _Bench(adb, phone, store, settings, protocol, remote, sha256, cores, Path(folder))
            results = []
            for subject in found:
                say(f"measuring {subject.entry.name} on {phone.name}")
                results.append(_result(measuring, subject))
    return {
        "schema": SCHEMA,
        "device": {"address": address, "name": phone.name, "simulated": False},
        "protocol": {
            "threads": max((subject.entry.threads for subject in found), default=1),
            **asdict(protocol),
            "processes": protocol.runs,
            "clock": "wall",
            "timed": "benchmark_model's call of the interpreter, inputs set before it, outputs not read",
            "percentiles": combine.PERCENTILES,
            "intervals": "95%, Student's t over the runs' medians",
            "stable": f"the runs lie within {combine.UNSTABLE_SHARE:.0%} of one another",
            "input": _input(found, results),
            "delegate": settings.delegate,
            "cores": list(cores) or None,
        },
        "environment": facts.environment(phone, start),
        "results": results,
    }


def _result(measuring: _Bench, subject: Subject) -> dict[str, Any]:
    entry = subject.entry
    known = {
        "artifact": entry.name,
        "sha256": bundle.sha256(entry.path) if entry.path.is_file() else None,
        "runtime": entry.runtime,
        "threads": entry.threads,
    }
    try:
        reason = bundle.altered(entry)
        if reason is not None:
            raise ProgramError(reason, fix="a wrong model has no latency")
        return {**known, "status": "ok", **_measured(measuring, subject)}
    except ProgramError as error:
        return {**known, "status": "error", **dict.fromkeys(_MEASURED), "reason": str(error)}


_MEASURED = (
    "runtime_version", "details", "import_ms", "load_ms", "first_inference_ms", "latency_ms", "interval_ms", "windows",
    "stable", "flags", "machine", "energy_mj", "energy_source", "nodes", "processes", "reference_ms", "elapsed_s",
    "runs", "warmup_runs", "samples_ns", "samples_stride", "peak_rss_mib",
)  # fmt: skip


def _measured(measuring: _Bench, subject: Subject) -> dict[str, Any]:
    entry, protocol = subject.entry, measuring.protocol
    model = measuring.store.put(entry.path, entry.name)
    samples = _send_samples(measuring, subject)
    before = facts.state(measuring.adb, measuring.cores)
    runs, answers = [], []
    for number in range(protocol.runs):
        sample = samples[number % len(samples)] if samples else None
        runs.append(measuring.run(model, entry.threads, protocol.each, sample))
        instead = program.fell_back(measuring.settings.delegate, runs[-1][0])
        if instead is not None and not entry.allow_cpu:
            raise ProgramError(instead, fix="choose another delegate, or let the target allow it (allow_cpu)")
        if number < len(samples):
            answers += measuring.answer(runs[-1][0])
    after = facts.state(measuring.adb, measuring.cores)
    checked = golden.check(subject, answers)
    wrong = checked["reason"] if checked and checked["status"] == "failed" else None
    if wrong and measuring.settings.delegate == "cpu":
        raise ProgramError(f"{wrong}, of {len(answers)} golden samples", fix="a wrong model has no latency")
    outputs = [found for found, _ in runs]
    first = outputs[0]
    apart = combine.spread(outputs)
    cold = [found.first_us for found in outputs if found.first_us is not None]
    peak_mib, operators = _profile(measuring, model, subject, samples)
    return {
        "runtime_version": None,
        "details": {
            **_details(measuring, first, samples, [text for _, text in runs]),
            "golden": checked,
            "operators": operators,
        },
        "reason": program.fell_back(measuring.settings.delegate, first) or wrong,
        "import_ms": None,
        "load_ms": statistics.median(found.init_us for found in outputs) / 1e3,
        "first_inference_ms": statistics.median(cold) / 1e3 if cold else None,
        "latency_ms": combine.latency_ms(outputs),
        "interval_ms": combine.interval_ms(outputs),
        "windows": combine.windows(outputs),
        "stable": None if apart is None else apart <= combine.UNSTABLE_SHARE,
        "flags": combine.flags(
            outputs,
            before,
            after,
            quick=protocol.quick,
            min_runs=protocol.min_runs,
            emulated=measuring.phone.emulated,
        ),
        "machine": {"before": before, "after": after},
        "energy_mj": None,
        "energy_source": None,
        "nodes": first.nodes,
        "processes": combine.processes(outputs),
        "reference_ms": None,
        "elapsed_s": sum(found.inference.runs * found.inference.mean_us for found in outputs) / 1e6,
        "runs": sum(found.inference.runs for found in outputs),
        "warmup_runs": sum(found.warmup_runs for found in outputs),
        "samples_ns": [],
        "samples_stride": 1,
        "peak_rss_mib": peak_mib,
    }


def _send_samples(measuring: _Bench, subject: Subject) -> list[program.Sample]:
    """Golden samples as files on the phone, one for each run."""
    sent = []
    for number, sample in enumerate(subject.samples(measuring.protocol.runs)):
        local = measuring.folder / f"{number}.bin"
        local.write_bytes(sample.content)
        remote = measuring.store.put(local, f"{subject.entry.name}.{number}.bin")
        sent.append(program.Sample(remote, sample.shape))
    return sent


def _profile(
    measuring: _Bench, model: PurePosixPath, subject: Subject, samples: Sequence[program.Sample]
) -> tuple[float | None, list[dict[str, Any]] | None]:
    """Peak memory in MiB and operators, of a run that is slower for being watched; None where it does not tell."""
    watched = ("--enable_op_profiling=true", "--report_peak_memory_footprint=true", "--use_profiler=true")
    try:
        found, _ = measuring.run(model, subject.entry.threads, program.PROFILED, next(iter(samples), None), *watched)
    except ProgramError:
        return None, None
    return found.peak_mib, [asdict(operator) for operator in found.operators] or None


def _details(
    measuring: _Bench, first: output.Output, samples: Sequence[program.Sample], texts: Sequence[str]
) -> dict[str, Any]:
    return {
        "version": None,
        "benchmark_model": {"file": str(measuring.settings.program), "sha256": measuring.sha256},
        "delegate": measuring.settings.delegate,
        "applied": first.applied,
        "taken": [asdict(item) for item in first.taken],
        "unsupported": list(first.unsupported),
        "ignored": list(first.ignored),
        "real_input": bool(samples) and not any("input_layer" in word for word in first.ignored),
        "init_mib": first.init_mib,
        "overall_mib": first.overall_mib,
        "output": [text[:KEPT_TEXT] for text in texts],
    }


def _input(found: Sequence[Subject], results: Sequence[Mapping[str, Any]]) -> str:
    if any((result.get("details") or {}).get("real_input") for result in results):
        return "golden samples of the bundle, another one for each run"
    if any(subject.entry.golden for subject in found):
        return "benchmark_model's own random numbers, as it takes no files (real samples were given)"
    return "benchmark_model's own random numbers"


def failed(document: Mapping[str, Any]) -> bool:
    """Whether a result of a document says that its file could not be measured."""
    return any(result["status"] == "error" for result in document["results"])
