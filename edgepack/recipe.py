"""What is to be done: data, model, training, compression, exports, targets, gates?"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from edgepack import yamlfile
from edgepack.config import Config, Extension, validate
from edgepack.contracts import DataConfig, ExportConfig, ModelConfig, TaskConfig, TechniqueConfig, TrackerConfig
from edgepack.errors import MissingError, RecipeError
from edgepack.tasks import classification
from edgepack.training.config import Training
from edgepack.yamlfile import Location

MAKING = ("training", "compress", "export")
"""Sections that say how files are made, which a recipe of finished files does not have."""

STAGES = ("data", "train", "compress", "export", "verify", "image", "bench", "report")


class Verify(Config):
    """How much data proves an artifact."""

    samples: PositiveInt | None = Field(None, description="test samples for accuracy; absent = all of them")
    golden: PositiveInt = Field(32, le=1024, description="samples stored with their outputs in golden.npz")
    pair_samples: PositiveInt = Field(1000, description="samples on which runtimes and kernels are compared")
    layer_samples: PositiveInt = Field(
        8, description="samples on which the layers of the int8 .onnx are held against those of the .tflite"
    )


class Gates(Config):
    """Limits on every artifact; accuracy gates give exit code 5, size and latency budgets 7."""

    max_accuracy_drop: NonNegativeFloat | None = Field(
        None, le=1, description="largest loss of test accuracy against the trained float model, as a fraction"
    )
    min_accuracy: NonNegativeFloat | None = Field(None, le=1, description="smallest test accuracy, as a fraction")
    min_top1_agreement: NonNegativeFloat | None = Field(
        None,
        le=1,
        description="smallest share of samples with the same top-1 class as the Keras model it came from",
    )
    max_size_kib: PositiveFloat | None = Field(None, description="largest artifact file, KiB")
    max_latency_p90_ms: PositiveFloat | None = Field(None, description="slowest p90 latency, milliseconds")


class Bench(Config):
    """How long each latency measurement goes on."""

    warmup_s: NonNegativeFloat = Field(1.0, description="seconds of inference before the first sample counts")
    min_runs: PositiveInt = Field(50, description="smallest number of timed inferences")
    min_time_s: NonNegativeFloat = Field(10.0, description="shortest time over which inferences are timed, seconds")
    max_time_s: PositiveFloat = Field(60.0, description="longest time in any case, seconds")

    @model_validator(mode="after")
    def _longest_after_shortest(self) -> Self:
        if self.max_time_s < self.min_time_s:
            raise ValueError(f"max_time_s is {self.max_time_s:g} s, below min_time_s, which is {self.min_time_s:g} s")
        return self


class Recipe(Config):
    """One recipe; every default is visible in `edgepack plan`."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"model": {"required": ["artifacts"]}}},
            "then": {"properties": dict.fromkeys(MAKING, False)},
            "else": {"required": ["export"]},
        }
    )

    name: str = Field("", pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$|^$", description="default: the recipe's folder name")
    seed: NonNegativeInt = Field(0, lt=2**31, description="seed of weights, shuffling and splits")
    data: Annotated[DataConfig, Extension("edgepack.data")]
    task: Annotated[TaskConfig, Extension("edgepack.tasks", by="use")] = Field(
        default_factory=classification.Config, description="what the samples are for: a name, or its keys"
    )
    model: Annotated[ModelConfig, Extension("edgepack.models")]
    training: Training = Field(default_factory=Training)
    compress: tuple[Annotated[TechniqueConfig, Extension("edgepack.techniques", by="use")], ...] = Field(
        (), description="steps, in order"
    )
    export: tuple[Annotated[ExportConfig, Extension("edgepack.formats", by="format")], ...] = Field(
        (), description="files to make; at least one unless the model is finished files"
    )
    targets: tuple[str, ...] = Field(min_length=1, description="names from `edgepack targets`, or paths of .yaml files")
    gates: Gates = Field(default_factory=Gates)
    verify: Verify = Field(default_factory=Verify)
    bench: Bench = Field(default_factory=Bench)
    tracking: tuple[Annotated[TrackerConfig, Extension("edgepack.trackers", by="use")], ...] = Field(
        (), description="where finished runs are logged, besides the folder of results"
    )

    @field_validator("export", mode="before")
    @classmethod
    def _something_is_made(cls, value: Any, info: ValidationInfo) -> Any:
        model = info.data.get("model")  # absent where it is wrong itself
        if model is not None and not model.finished and value in ((), []):
            kind = "missing" if value == () else "too_short"
            raise PydanticCustomError(kind, "expected at least one item")
        return value

    def resolved(self) -> dict[str, Any]:
        """The recipe as plain JSON data with every default filled in; that of finished files has nothing of making."""
        document = self.model_dump(mode="json", serialize_as_any=True)
        return {key: value for key, value in document.items() if not (self.model.finished and key in MAKING)}

    def essence(self) -> dict[str, Any]:
        """What decides the results, and is shipped with them: `resolved` without `tracking`."""
        return {key: value for key, value in self.resolved().items() if key != "tracking"}

    def sha256(self) -> str:
        """Digest of `essence`; two files that ask for the same have the same digest."""
        return hashlib.sha256(json.dumps(self.essence(), sort_keys=True).encode()).hexdigest()


Stage = Literal["data", "train", "compress", "export", "verify", "image", "bench", "report"]


def load(path: Path, *, overrides: Sequence[str] = (), targets: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: The YAML file. Relative paths in it are read against its folder.
        overrides: ``KEY=VALUE`` with a dotted key (``training.epochs=3``, ``compress.0.sparsity=0.8``).
        targets: Replaces the recipe's targets when not empty.

    Raises:
        MissingError: There is no such file.
        RecipeError: It is wrong; the message has a line per problem.
    """
    document = yamlfile.read(path)
    for override in overrides:
        _override(document.content, override)
    if targets:
        document.content["targets"] = list(targets)
    if not document.content.get("name"):
        document.content["name"] = path.resolve().parent.name if path.stem == "recipe" else path.stem
    recipe = validate(Recipe, document)
    if recipe.training.epochs is None and not recipe.model.finished:
        training = recipe.training.model_copy(update={"epochs": recipe.model.default_epochs})
        recipe = recipe.model_copy(update={"training": training})
    return recipe


def only_model(model: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe for stages that look at its model, or at its data, alone.

    Args:
        model: The content of its ``model`` section.
        data: The content of its ``data`` section; None where nobody looks at it.

    Raises:
        RecipeError: It is wrong.
    """
    export = [{"format": "tflite", "precision": "float32"}]
    content = {"data": data or {"npz": "none"}, "model": model, "export": export, "targets": ["none"]}
    return validate(Recipe, yamlfile.Document("edgepack", content, {}))


@contextmanager
def located(path: Path, location: Location) -> Iterator[None]:
    """Put ``file:line`` of a recipe's key before whatever turns out to be wrong with its value."""
    try:
        yield
    except (RecipeError, MissingError) as error:
        where = yamlfile.read(path).where(location)
        raise type(error)(f"{where}: {error.message}", fix=error.fix) from error


def _override(content: dict[str, Any], override: str) -> None:
    key, parsed = yamlfile.parse_pair(override, example="training.epochs=3")
    node: Any = content
    *parents, last = key.split(".")
    for part in parents:
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            raise RecipeError(f"--set {override!r}: there is no key {part!r} to set", fix="see `edgepack plan RECIPE`")
    if isinstance(node, list) and last.isdigit() and int(last) < len(node):
        node[int(last)] = parsed
    elif isinstance(node, dict):
        node[last] = parsed
    else:
        raise RecipeError(f"--set {override!r}: there is no key {last!r} to set", fix="see `edgepack plan RECIPE`")
