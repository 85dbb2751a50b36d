"""What is known of a measurement: where, how, how long, how sure, and does it count?"""

from dataclasses import dataclass

Scalar = float | int | str | bool | None


@dataclass(frozen=True)
class Window:
    """One stretch of the steady state: its median and its number of runs."""

    p50_ms: float | None
    runs: int | None


@dataclass(frozen=True)
class Flag:
    """Something that a reader of the number has to know; `text` is one sentence.

    `kind` is contention, throttling, unstable, short, emulated, simulated or quick.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Machine:
    """The state of the machine at one moment; None for what it does not tell."""

    governor: str | None
    frequency_khz: float | None
    temperature_c: float | None
    load_average: float | None


@dataclass(frozen=True)
class Nodes:
    """How many of a model's nodes ran, and how many of them by whom, such as {"XNNPACK": 9}."""

    total: int | None
    by: dict[str, int]


@dataclass(frozen=True)
class Profiled:
    """One kind of operation in a profile: how many there are, their time in one inference, their share in [0, 1]."""

    kind: str
    count: int | None
    mean_ms: float | None
    share: float | None


@dataclass(frozen=True)
class Latency:
    """One artifact in one runtime, timed in one place.

    `percentiles_ms` holds the 0th to the 100th percentile (101 values, or none): the raw samples stay in
    latency.json. `interval_ms` has the bounds of the 95 % interval of p50, p90 and p99, as far as they are known.
    The interval holds what differs between processes only where there are several. `not_judged` says why these times
    decide nothing, or is None when they count.
    """

    artifact: str
    runtime: str
    where: str
    status: str
    reason: str | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float | None
    stdev_ms: float | None
    import_ms: float | None
    load_ms: float | None
    first_inference_ms: float | None
    peak_rss_mib: float | None
    runs: int | None
    threads: int | None
    runtime_version: str | None
    details: dict[str, Scalar]
    percentiles_ms: tuple[float, ...]
    emulated: bool
    not_judged: str | None
    interval_ms: dict[str, tuple[float, float]] | None = None
    windows: tuple[Window, ...] = ()
    stable: bool | None = None
    flags: tuple[Flag, ...] = ()
    before: Machine | None = None
    after: Machine | None = None
    energy_mj: float | None = None
    nodes: Nodes | None = None
    simulated: bool = False
    profile: tuple[Profiled, ...] = ()
    processes: int = 1


@dataclass(frozen=True)
class Bench:
    """Where and how a set of latencies was measured, or why it was not; `where` is container or host."""

    where: str
    reason: str | None
    protocol: dict[str, Scalar]
    environment: dict[str, Scalar]


@dataclass(frozen=True)
class Device:
    """What a device that is neither this host nor a container on it has measured of a target's files.

    `address` says how it was reached; `reason` why there is nothing to show of it.
    """

    name: str
    address: str | None
    simulated: bool
    emulated: bool
    reason: str | None
    protocol: dict[str, Scalar]
    environment: dict[str, Scalar]
    latencies: tuple[Latency, ...]
