"""What does a finished run hold, as frozen data that report.json keeps and gives back?"""

from dataclasses import dataclass
from typing import Any

from edgepack.report.formatting import metric_name

SCHEMA = "edgepack.report/1"

Scalar = float | int | str | bool | None


@dataclass(frozen=True)
class Gap:
    """Something that a complete run would have left, and why it is not there."""

    where: str
    reason: str


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline as it went; `status` is ok, failed or skipped, `label` says on what it worked.

    `peak_mib` is the most memory that one of its processes held; None for what runs in edgepack's own process.
    """

    name: str
    label: str | None
    seconds: float | None
    cached: bool
    status: str
    reason: str | None
    peak_mib: float | None


@dataclass(frozen=True)
class Epoch:
    """One point of a learning curve; accuracies are fractions in [0, 1]."""

    epoch: int
    loss: float | None
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float | None


@dataclass(frozen=True)
class Layer:
    """What a compression step did to one layer of the model, and why."""

    layer: str
    kind: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Footprint:
    """What a model weighs as a .tflite file of its precision, or `reason` why there is no such file.

    `sparsity` is the share of zeros in convolution and dense kernels, in [0, 1]; `compressed_bytes` the size inside an
    APK or zip archive; `p50_ms` the median latency in LiteRT on the machine that made the file.
    """

    precision: str | None
    sparsity: float | None
    raw_bytes: int | None
    compressed_bytes: int | None
    p50_ms: float | None
    reason: str | None


@dataclass(frozen=True)
class Training:
    """The first training of the float model; its accuracy is a fraction in [0, 1]."""

    curve: tuple[Epoch, ...]
    seconds: float | None
    parameters: int | None
    layers: int | None
    val_accuracy: float | None
    footprint: Footprint | None


@dataclass(frozen=True)
class Step:
    """One compression step: its metrics before and after, its curve, its layers, and what it paid.

    `precision` is set for a post-training step; `rewrites` and `warnings` are sentences.
    """

    use: str
    seconds: float | None
    curve: tuple[Epoch, ...]
    metrics: dict[str, Scalar]
    layers: tuple[Layer, ...]
    precision: str | None
    rewrites: tuple[str, ...]
    warnings: tuple[str, ...]
    footprint: Footprint | None


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
    """Two ways of computing the same outputs, compared; a yardstick is what others are held against."""

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
class Latency:
    """One artifact in one runtime, timed in one place.

    `percentiles_ms` holds the 0th to the 100th percentile (101 values, or none): the raw samples stay in
    latency.json. `not_judged` says why these times decide nothing, or is None when they count.
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


@dataclass(frozen=True)
class Bench:
    """Where and how a set of latencies was measured, or why it was not; `where` is container or host."""

    where: str
    reason: str | None
    protocol: dict[str, Scalar]
    environment: dict[str, Scalar]


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


@dataclass(frozen=True)
class Feature:
    """One column of a table; `rank` counts from 1, the best; None: it costs more than the budget by itself."""

    name: str
    rank: int | None
    score: float | None
    cost: float | None
    chosen: bool

    @property
    def order(self) -> tuple[bool, int]:
        """Sorts the best first, and those without a rank last."""
        return self.rank is None, self.rank or 0


@dataclass(frozen=True)
class Selection:
    """Which columns of a table the model got, by which method, and what they cost together."""

    use: str
    budget: float | None
    cost: float | None
    features: tuple[Feature, ...]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the columns that the model got."""
        return tuple(feature.name for feature in self.features if feature.chosen)


@dataclass(frozen=True)
class Report:
    """Everything found in one run folder."""

    schema: str
    name: str
    folder: str
    recipe_file: str | None
    recipe_sha256: str | None
    recipe: dict[str, Any]
    smoke: bool
    stages: tuple[Stage, ...]
    selection: Selection | None
    training: Training | None
    steps: tuple[Step, ...]
    environment: dict[str, Scalar]
    targets: tuple[Target, ...]
    gaps: tuple[Gap, ...]

    @property
    def metric(self) -> str:
        """The name, for people, of the figure of merit that all targets of a run share."""
        return metric_name(self.targets[0].metric) if self.targets else "accuracy"


@dataclass(frozen=True)
class Row:
    """One line of the final table: one artifact in one runtime for one target.

    `verdict` is ok, failed or not judged, and `reason` says why. Every value that is None has its own reason
    in `missing`, keyed by the field's name. Accuracies, or what else `metric` names, are fractions in [0, 1];
    `drop_points` is in percentage points, positive when accuracy was lost.
    """

    target: str
    artifact: str
    runtime: str
    size_kib: float | None
    accuracy_float: float | None
    accuracy: float | None
    drop_points: float | None
    p50_ms: float | None
    p90_ms: float | None
    where: str | None
    emulated: bool
    image_mib: float | None
    verdict: str
    reason: str
    missing: dict[str, str]
    metric: str = "accuracy"


@dataclass(frozen=True)
class Verdict:
    """What to do for one target: `status` is ship, failed or not judged; `row` is the chosen one."""

    target: str
    status: str
    headline: str
    why: str
    row: Row | None
    misses: tuple[str, ...]


@dataclass(frozen=True)
class Document(Report):
    """report.json: the report, with its table and verdicts worked out for programs that only read."""

    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]
