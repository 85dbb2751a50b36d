"""What did a run do before any target came into it: stages, training, compression steps, chosen columns?"""

from dataclasses import dataclass

from edgepack.report.schema.latency import Scalar


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
