"""What is there for one target: files, checks, gates, measurements, image, firmware?"""

from dataclasses import dataclass

from edgepack.report.schema.latency import Bench, Device, Latency, Scalar
from edgepack.report.schema.layers import FileLayers
from edgepack.report.schema.past import Trend
from edgepack.report.schema.run import Gap


@dataclass(frozen=True)
class Tensor:
    """One input or output; -1 in `shape` is a free batch axis, `scale` is None for float tensors."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Artifact:
    """One model file of a target."""

    file: str
    format: str
    precision: str
    sha256: str | None
    size_bytes: int | None
    runtimes: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    lineage: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One artifact in one runtime against the Keras model it came from; fractions in [0, 1], `drop` too."""

    file: str
    runtime: str
    source: str | None
    accuracy: float | None
    source_accuracy: float | None
    drop: float | None
    top1_agreement: float | None
    max_abs_error: float | None
    sqnr_db: float | None
    status: str | None
    reasons: tuple[str, ...]
    placement: str


@dataclass(frozen=True)
class Side:
    """One side of a comparison of outputs; Keras' own models have their names instead of files'."""

    file: str
    runtime: str
    kernels: str | None
    accuracy: float | None


@dataclass(frozen=True)
class Layers:
    """Layers of two files, fed the same integers; `beyond` names the first that is off by more than rounding."""

    compared: int | None
    largest: int | None
    beyond: str | None


@dataclass(frozen=True)
class Pair:
    """Two ways of computing the same outputs, compared; a yardstick is what others are held against.

    `inside` says that it is one file on the host and in the container.
    """

    a: Side
    b: Side
    samples: int | None
    top1_agreement: float | None
    max_abs_difference: float | None
    max_lsb_difference: float | None
    sqnr_db: float | None
    yardstick: bool
    status: str | None
    layers: Layers | None
    inside: bool = False


@dataclass(frozen=True)
class Gate:
    """One limit of the recipe; `artifact` and `runtime` None mean all of them."""

    gate: str
    artifact: str | None
    runtime: str | None
    limit: float | None
    value: float | None
    status: str
    reason: str | None


@dataclass(frozen=True)
class ImageLayer:
    """One layer of a container image, unpacked size in MiB."""

    name: str
    size_mib: float | None


@dataclass(frozen=True)
class Package:
    """One Python package inside a container image."""

    name: str
    version: str | None
    size_bytes: int | None


@dataclass(frozen=True)
class Image:
    """The container image of a target; `status` is built, context only, failed or missing."""

    status: str
    reason: str | None
    tag: str | None
    id: str | None
    platform: str | None
    base_image: str | None
    base_digest: str | None
    size_mib: float | None
    layers: tuple[ImageLayer, ...]
    packages: tuple[Package, ...]
    command: str | None


@dataclass(frozen=True)
class Firmware:
    """Source of one artifact for firmware; figures of an NPU are its compiler's estimate, None without one."""

    artifact: str
    use: str
    files: tuple[str, ...]
    array_bytes: int | None
    arena_bytes: int | None
    delegate: str | None
    nodes: int | None
    nodes_delegated: int | None
    not_delegated: tuple[str, ...]
    cycles: int | None
    clock_mhz: float | None
    inference_ms: float | None
    sram_bytes: int | None
    flash_bytes: int | None


@dataclass(frozen=True)
class Target:
    """Everything found for one target.

    `stale` says why it does not belong to this run, `no_baseline` why there is no accuracy to lose any of; else None.
    """

    name: str
    platform: str | None
    threads: int | None
    task: str | None
    classes: int | None
    data_fingerprint: str | None
    stale: str | None
    samples: int | None
    metric: str
    baseline: float | None
    no_baseline: str | None
    artifacts: tuple[Artifact, ...]
    checks: tuple[Check, ...]
    pairs: tuple[Pair, ...]
    gates: tuple[Gate, ...]
    latencies: tuple[Latency, ...]
    benches: tuple[Bench, ...]
    identical: dict[str, bool]
    image: Image
    firmware: tuple[Firmware, ...]
    tools: dict[str, Scalar]
    gaps: tuple[Gap, ...]
    devices: tuple[Device, ...] = ()
    layers: tuple[FileLayers, ...] = ()
    history: tuple[Trend, ...] = ()
