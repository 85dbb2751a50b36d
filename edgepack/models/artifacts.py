"""Which finished files, made by whatever tool, are taken as they are?"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from edgepack import contracts, extensions, userfiles
from edgepack.config import Config as Plain
from edgepack.contracts import Precision
from edgepack.errors import RecipeError


def formats() -> Mapping[str, ModuleType]:
    """The formats whose files can be taken from elsewhere, by the suffix of the files."""
    known = (extensions.load("edgepack.formats", name) for name in extensions.names("edgepack.formats"))
    return {f".{module.SUFFIX}": module for module in known if hasattr(module, "adopt")}


class Artifact(Plain):
    """A finished file."""

    file: str = Field(description="path of the file")
    precision: Precision | None = Field(
        None, description="number format, for a file that does not tell it; absent = what the file tells"
    )
    layout: Literal["nhwc", "nchw"] | None = Field(
        None, description="axes of the images that an .onnx file takes; absent = those that the samples fit"
    )

    @field_validator("file")
    @classmethod
    def _is_of_a_known_kind(cls, value: str) -> str:
        if Path(value).suffix not in formats():
            raise ValueError(f"expected a file that ends in {' or '.join(sorted(formats()))}")
        return value


def _or_a_path(schema: dict[str, Any]) -> None:
    schema["items"] = {"anyOf": [schema["items"], {"type": "string"}]}


class Config(contracts.ModelConfig):
    """Finished ``.tflite`` and ``.onnx`` files: nothing is trained, compressed or exported, they are verified."""

    default_epochs: ClassVar[int] = 0
    finished: ClassVar[bool] = True
    artifacts: tuple[Artifact, ...] = Field(
        min_length=1,
        description="files, one of each format and number format: a path, or its keys",
        json_schema_extra=_or_a_path,
    )

    @field_validator("artifacts", mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"file": item} if isinstance(item, str) else item for item in value]


def identity(config: Config, base: Path) -> object:
    """Digests of the files."""
    return [userfiles.digest(find(artifact, base)) for artifact in config.artifacts]


def find(artifact: Artifact, base: Path) -> Path:
    """Where a file is.

    Raises:
        MissingError: There is nothing at that path.
        RecipeError: It is a folder.
    """
    path = userfiles.find(artifact.file, base, what="model.artifacts")
    if path.is_dir():
        raise RecipeError(f"model.artifacts: {path} is a folder; expected a file", fix="name the file in it")
    return path


def build(config: Config, base: Path, *, input_shape: tuple[int, ...], classes: int) -> Any:
    """There is no Keras model.

    Raises:
        RecipeError: Always.
    """
    raise RecipeError(
        "model.artifacts are finished files: there is no Keras model whose layers could be looked at or trained",
        fix="`edgepack plan RECIPE` says what each file is; for layers and training give the Keras model",
    )
