"""What does each kind of extension promise: data source, model source, technique, format?

An extension is a module in a folder; its file name is the name in the recipe. The protocols below say which names
the module must hold. `tests/unit/test_contracts.py` holds every file of each folder to them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field, NonNegativeFloat, model_validator

from edgepack.columns import Matrix, Ranking, SelectionConfig, SourceColumn, TableConfig
from edgepack.config import Config, Extension
from edgepack.errors import RecipeError
from edgepack.training.checkpoints import Places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgepack.dataset import Dataset
    from edgepack.training.config import Training

    Array = NDArray[np.generic]

Precision = Literal["float32", "float16", "dynamic_range", "int8", "int16x8"]
"""``dynamic_range`` = int8 weights and float activations; ``int16x8`` = int16 activations and int8 weights."""

Progress = Callable[[Mapping[str, Any]], None]
"""Called with small JSON-ready events: ``{"text": ...}`` or ``{"step": 3, "steps": 10, "text": ...}``."""


class Split(Config):
    """Shares of the samples held out where the source brings no split of its own."""

    validation: NonNegativeFloat = Field(0.15, lt=1, description="share of samples for validation, as a fraction")
    test: NonNegativeFloat = Field(0.15, lt=1, description="share of samples for the final test, as a fraction")

    @model_validator(mode="after")
    def _leaves_training_samples(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must be below 1")
        return self


class Preprocessing(Config):
    """What is done to raw values before the model sees them: ``x * scale + offset``, in float32."""

    scale: float = Field(1.0, description="factor, e.g. 0.00392156862745098 for bytes to [0, 1]")
    offset: float = Field(0.0, description="added after scaling")


class DataConfig(Config):
    """Keys that every data source shares."""

    preprocessing: Preprocessing = Field(default_factory=Preprocessing, description="raw value -> model input")
    split: Split = Field(default_factory=Split, description="how samples without a split are divided")
    labels: tuple[str, ...] | None = Field(None, description="class names in label order; absent = the source's own")
    table: TableConfig | None = Field(None, description="samples are rows of a table, and the model takes raw columns")
    select_features: Annotated[SelectionConfig, Extension("edgepack.features", by="use")] | None = Field(
        None, description="which columns of a table the model gets; absent = all"
    )

    @model_validator(mode="after")
    def _columns_are_raw(self) -> "DataConfig":
        if (self.table or self.select_features) and self.preprocessing != Preprocessing():
            raise ValueError("preprocessing does not go with the columns of a table: the model scales them itself")
        return self


@dataclass(frozen=True)
class Samples:
    """Raw samples ``x`` of shape (n, ...) in the source's dtype with integer class labels ``y`` of shape (n,)."""

    x: "Array"
    y: "Array"


@dataclass(frozen=True)
class RawData:
    """What a data source returns.

    Attributes:
        train: All samples, or the training ones when the source has a split of its own.
        validation: The source's own validation samples, or None.
        test: The source's own test samples, or None.
        labels: Class names in label order.
        columns: For a table, what stands in each column of ``x``, which is float32 of shape (n, columns) with NaN for
            missing values; None where the source knows no names.
    """

    train: Samples
    validation: Samples | None
    test: Samples | None
    labels: tuple[str, ...]
    columns: tuple[SourceColumn, ...] | None = None


class DataSource(Protocol):
    """A module in ``edgepack/data``."""

    Config: type[DataConfig]

    def identity(self, config: Any, base: Path) -> object:
        """JSON-ready value that changes when the data may have changed; quick, reads no sample."""

    def load(self, config: Any, base: Path) -> RawData:
        """Read all samples. Relative paths are read against ``base``, the recipe's folder."""


class FeatureSelection(Protocol):
    """A module in ``edgepack/features``."""

    Config: type[SelectionConfig]

    def rank(self, config: Any, matrix: Matrix, *, seed: int) -> Ranking:
        """Order the columns of a table by what they are worth; costs and budget are not its concern."""


class ModelConfig(Config):
    """Keys that every model source shares.

    ``finished`` is true where the source is no Keras model but files that are verified as they are.
    """

    default_epochs: ClassVar[int] = 10
    finished: ClassVar[bool] = False


class ModelSource(Protocol):
    """A module in ``edgepack/models``.

    One more name may stand in the module: ``start``, with the arguments of ``build``, which says too where the model's
    weights are from (`edgepack.models._start.Start`).
    """

    Config: type[ModelConfig]

    def identity(self, config: Any, base: Path) -> object:
        """JSON-ready value that changes when the model may have changed."""

    def build(self, config: Any, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
        """Return a tf_keras model; ``input_shape`` is without the batch axis."""


class TaskConfig(Config):
    """Keys that every task shares."""


class Task(Protocol):
    """A module in ``edgepack/tasks``; ``edgepack/runner/tasks`` has one of the same name that judges answers.

    ``METRICS`` are tf_keras metrics that measure the figure of merit while a model trains; where there are none, the
    judge measures it after each epoch.
    """

    Config: type[TaskConfig]
    METRICS: tuple[str, ...]

    def problems(self, recipe: Any) -> Iterator[tuple[tuple[str | int, ...], RecipeError]]:
        """What does not go with this task, each with its place in the recipe."""

    def prepare(self, config: Any, data: "Dataset") -> "Dataset":
        """Turn classes into the labels of the task, and leave in the training split what is trained on."""

    def learnable(self, data: "Dataset", split: str) -> Samples:
        """The samples of a split on which the loss is measured."""

    def targets(self, inputs: Any, labels: Any) -> Any:
        """What the outputs for a batch are held against: tensors or arrays, batch axis first."""

    def loss(self, model: Any, training: "Training") -> Any:
        """The tf_keras loss of outputs and targets."""

    def check_outputs(self, name: str, shape: tuple[int | None, ...], data: "Dataset") -> None:
        """Refuse, by RecipeError, a model whose outputs, ``shape`` without the batch axis, are no answers."""


class ScheduleConfig(Config):
    """Keys that every learning rate schedule shares."""


Course = Callable[[int], float]
"""A value for each training step, counted from 0."""


@dataclass(frozen=True)
class Span:
    """How long a training is.

    Attributes:
        epochs: Passes over the training samples, at least 1.
        steps_per_epoch: Batches in a pass, at least 1.
    """

    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """Batches in the whole training."""
        return self.epochs * self.steps_per_epoch


class Schedule(Protocol):
    """A module in ``edgepack/schedules``.

    One more name may stand in the module: ``momentum(config, span)``, the course of the momentum (Adam: of beta_1) or
    None.
    """

    Config: type[ScheduleConfig]

    def rate(self, config: Any, peak: float, span: Span) -> Course:
        """The course of the learning rate, whose largest value is ``peak``."""


class TechniqueConfig(Config):
    """Keys that every compression step shares."""


@dataclass(frozen=True)
class LayerNote:
    """What a technique did to one layer, and why.

    ``narrowed``: channels were removed. ``passed through``: it stays as it is and costs nothing. ``blocked``: it should
    have been changed and could not be.
    """

    layer: str
    class_name: str
    status: Literal["quantised", "pruned", "clustered", "narrowed", "passed through", "blocked", "skipped"]
    reason: str = ""


@dataclass(frozen=True)
class Promise:
    """What a step left in one kernel, and what every later step and file must still hold.

    Attributes:
        layer: Name of the layer that has the kernel.
        shape: Shape of the kernel in a ``.tflite`` file, output channels first, axes of size 1 left out.
        zeros: Number of zero weights at least; None = nothing is said, 0 = earlier zeros are given up.
        pattern: (m, n): at least m zeros in every n consecutive input channels; None = nothing is said.
        clusters: Distinct weights in one output channel at most; None = nothing is said.
    """

    layer: str
    shape: tuple[int, ...]
    zeros: int | None = None
    pattern: tuple[int, int] | None = None
    clusters: int | None = None


@dataclass(frozen=True)
class Int8:
    """How int8 files are made, beyond that ranges come from samples or from training.

    Attributes:
        in_float: Layers that compute in float.
        correct_bias: Whether biases make up for the mean error of their channels (1906.04721, section 4.2); nothing for
            a model that was trained quantised.
    """

    in_float: tuple[str, ...] = ()
    correct_bias: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"in_float": list(self.in_float), "correct_bias": self.correct_bias}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Int8":
        """Read the form that ``to_dict`` writes."""
        return cls(tuple(values["in_float"]), bool(values["correct_bias"]))


@dataclass(frozen=True)
class TechniqueContext:
    """What a technique may use besides the model, the data and its own configuration.

    Attributes:
        training: The recipe's training section: batch size, optimizer, augmentation.
        seed: Seed of the recipe.
        progress: Receives small events while the technique works.
        base: The recipe's folder; relative paths in a configuration start there.
        float_model: File of the trained float model, before any step; the teacher that distillation takes by default.
        smoke: True for a quick pass whose figures mean nothing.
        places: Where the step's trainings keep what they go on from after they were stopped.
        made: What is made once for the step and used again, e.g. a trained teacher.
        max_accuracy_drop: The recipe's gate, as a fraction; None = there is none.
    """

    training: "Training"
    seed: int
    progress: Progress
    base: Path = Path()
    float_model: Path | None = None
    smoke: bool = False
    places: Places = field(default_factory=Places)
    made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    max_accuracy_drop: float | None = None


@dataclass(frozen=True)
class TechniqueResult:
    """A new tf_keras model and what happened to it.

    Attributes:
        model: The model after the step.
        quantised: True when the model carries fake-quantisation nodes from here on.
        layers: One note per layer.
        metrics: Figures to report, e.g. ``{"sparsity": 0.5}``; fractions in [0, 1].
        curve: One entry per epoch, as in Keras' ``History``.
        precision: The number format that a post-training step stands for; None for every other step.
        rewrites: What was rewritten in the model before the step, one sentence each.
        warnings: Sentences for the person who runs the recipe.
        promises: What the ``.tflite`` files are held to, one entry per pruned or clustered kernel.
        int8: How int8 files are made from here on; None = the step says nothing of that.
    """

    model: Any
    quantised: bool
    layers: Sequence[LayerNote] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    curve: Sequence[Mapping[str, float]] = ()
    precision: Precision | None = None
    rewrites: Sequence[str] = ()
    warnings: Sequence[str] = ()
    promises: Sequence[Promise] = ()
    int8: Int8 | None = None


class Technique(Protocol):
    """A module in ``edgepack/techniques``.

    Three more names may stand in the module: ``PRECISION``, the number format of a post-training step; ``QUANTISES =
    True`` where the model carries fake quantisation from here on; ``identity(config, base)``, a JSON-ready value that
    changes when files that the technique reads have changed.
    """

    Config: type[TechniqueConfig]

    def apply(self, model: Any, data: "Dataset", config: Any, *, context: TechniqueContext) -> TechniqueResult:
        """Compress a tf_keras model and return the new one."""


class TrackerConfig(Config):
    """Keys that every tracker shares."""


@dataclass(frozen=True)
class FinishedRun:
    """What a tracker is told of a run.

    Attributes:
        name: The recipe's name.
        recipe_sha256: Digest of what decides the results: runs that have the same asked for the same.
        parameters: The resolved recipe as text; the keys of sections and the numbers of items are joined by dots.
        curves: Figures of each epoch as (number of the epoch, value), counted from 1 through training and all steps.
        figures: What came out: of each step, and of each artifact in each runtime of each target.
        tags: Versions, machine and verdicts.
        files: Reports and the recipe, by the path at which they are to be found with the tracker.
        models: Model files, by such a path.
        folder: The run's folder; what a tracker keeps on this machine is in a folder of its own name there.
    """

    name: str
    recipe_sha256: str
    parameters: Mapping[str, str]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    figures: Mapping[str, float]
    tags: Mapping[str, str]
    files: Mapping[str, Path]
    models: Mapping[str, Path]
    folder: Path


class Tracker(Protocol):
    """A module in ``edgepack/trackers``. It runs in a process of its own, when everything else is done."""

    Config: type[TrackerConfig]

    def track(self, config: Any, run: FinishedRun) -> str:
        """Log a run and say where; MissingError when that needs something that is not there."""


class ExportConfig(Config):
    """Keys that every export shares."""

    precision: Precision = Field(description="number format of weights and activations")


@dataclass(frozen=True)
class ExportContext:
    """What a format may use.

    Attributes:
        float_model: Folder-independent path of the last float tf_keras model (``.keras``).
        quantised_model: Path of the fake-quantised model, or None when the recipe has no QAT step.
        calibration: float32 model inputs of shape (n, ...) for post-training quantisation.
        other: Makes (once) and returns the file of another format and precision, for formats derived from it.
        name: The model's name, for metadata inside the file.
        labels: Names of the classes in the order of the outputs, for the same.
        preprocessing: How raw values become inputs, for the same; None = it is not known.
        int8: How int8 files are made, beyond that ranges come from samples.
    """

    float_model: Path
    quantised_model: Path | None
    calibration: "Array"
    other: Callable[[str, Precision], Path]
    name: str
    _: KW_ONLY
    labels: Sequence[str] = ()
    preprocessing: Preprocessing | None = None
    int8: Int8 = Int8()


class Format(Protocol):
    """A module in ``edgepack/formats``.

    Two more names may stand in the module, so that a recipe takes files of the format that another tool made:
    ``precision_of(path)``, the number format of such a file or None where it cannot be told, and ``adopt(source, out,
    *, input_shape, layout)``, which copies it and says, a sentence each, what it wrote into the copy because the file
    does not say it and the runner must know. RecipeError where the file cannot be taken.
    """

    Config: type[ExportConfig]
    SUFFIX: str

    def convert(self, config: Any, out: Path, *, context: ExportContext) -> None:
        """Write the artifact to ``out``; ConversionError names the layer and operation that cannot be carried."""


class FirmwareConfig(Config):
    """Keys that every kind of source package for firmware shares."""


@dataclass(frozen=True)
class FirmwareContext:
    """What is known of an artifact that is built into firmware.

    Attributes:
        name: The recipe's name.
        precision: The artifact's number format.
        inputs: Tensors as the manifest has them: ``name``, ``shape`` (batch axis first), ``dtype``, ``scale``,
            ``zero_point``.
        outputs: The same of what comes out.
        arena_bytes: Working memory that TensorFlow Lite for Microcontrollers keeps for it here; None = not known.
        golden_input: One sample as the input tensor takes it, batch axis first.
        golden_output: What the artifact answers to it, raw, batch axis first.
    """

    name: str
    precision: str
    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    arena_bytes: int | None
    golden_input: "Array"
    golden_output: "Array"

    @property
    def title(self) -> str:
        """For the head of a source file."""
        return f"{self.name}, {self.precision}"


class Firmware(Protocol):
    """A module in ``edgepack/firmware``."""

    Config: type[FirmwareConfig]

    def make(self, config: Any, artifact: Path, out: Path, *, context: FirmwareContext) -> dict[str, Any]:
        """Write source files into a folder and tell of them, JSON-ready: ``files``, ``array_bytes``, ``arena_bytes``.

        Where a compiler decided what runs where: ``delegate``, ``nodes``, ``nodes_delegated``, ``not_delegated``.
        """
