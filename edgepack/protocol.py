"""How long does a latency measurement go on?"""

from dataclasses import dataclass

from edgepack.recipe import Bench


@dataclass(frozen=True)
class Protocol:
    """One measurement's length; how it is judged stable lies with the runner, see `edgepack.runner.measure`.

    Attributes:
        warmup_s: Seconds of inference before the first sample counts.
        min_runs: Timed inferences at least.
        min_time_s: Seconds of timing at least.
        max_time_s: Seconds of timing at most, however slow the model is.
        quick: The measurement only shows that measuring works, and its results say so.
        processes: Fresh processes over which runs and time are divided.
    """

    warmup_s: float
    min_runs: int
    min_time_s: float
    max_time_s: float = 60.0
    quick: bool = False
    processes: int = 1

    @classmethod
    def of(cls, bench: Bench, *, quick: bool) -> "Protocol":
        """The recipe's protocol, or a short one that only shows that measuring works."""
        if quick:
            return cls(0.1, 10, 0.1, quick=True)
        return cls(bench.warmup_s, bench.min_runs, bench.min_time_s, bench.max_time_s)

    def arguments(self) -> list[str]:
        """The runner's command-line options."""
        return [
            "--warmup-s",
            str(self.warmup_s),
            "--min-runs",
            str(self.min_runs),
            "--min-time-s",
            str(self.min_time_s),
            "--max-time-s",
            str(self.max_time_s),
            *(["--processes", str(self.processes)] if self.processes > 1 else []),
            *(["--quick"] if self.quick else []),
        ]
