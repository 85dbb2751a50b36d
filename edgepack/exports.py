"""What must an export be like for the targets that take it, where the recipe leaves it open?"""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from edgepack import extensions
from edgepack.contracts import ExportConfig
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean
from edgepack.target import Target


def fitted(exports: Sequence[ExportConfig], targets: Sequence[Target]) -> tuple[ExportConfig, ...]:
    """The exports with what the targets' ``export`` says of their formats filled in.

    What the recipe says stays; all targets share one file of a format and precision, and so must agree on it.

    Raises:
        RecipeError: A target wants what the recipe or another target contradicts, or what the format does not have.
    """
    for target in targets:
        _check_names(target)
    return tuple(_fitted(config, [target for target in targets if _takes(target, config)]) for config in exports)


def suffix(config: ExportConfig) -> str:
    """What the files of an export end in: ``tflite``, ``onnx``."""
    return str(extensions.load("edgepack.formats", extensions.name_of(config)).SUFFIX)


def _check_names(target: Target) -> None:
    """Every format is known, even if no export is of it."""
    known = extensions.names("edgepack.formats")
    for name in target.export:
        if name not in known:
            raise RecipeError(
                f"target {target.name}: export.{name}: there is no such format; expected one of: {', '.join(known)}",
                fix=did_you_mean(name, known) or "use one of the names above",
            )


def _takes(target: Target, config: ExportConfig) -> bool:
    return suffix(config) in target.formats() and config.precision in target.precisions


def _fitted(config: ExportConfig, targets: Sequence[Target]) -> ExportConfig:
    name = extensions.name_of(config)
    said = config.model_dump(include=config.model_fields_set)
    wanted: dict[str, tuple[Any, str]] = {key: (value, "the recipe") for key, value in said.items()}
    for target in targets:
        for key, value in target.export.get(name, {}).items():
            other, who = wanted.setdefault(key, (value, f"target {target.name}"))
            if other != value:
                raise RecipeError(
                    f"target {target.name} wants {name} files with {key}: {value}, but {who} says {other}",
                    fix=f"leave {key} out of the recipe's export, or give the targets a recipe each",
                )
    try:
        return type(config).model_validate({key: value for key, (value, _) in wanted.items()})
    except ValidationError as error:
        (first, *_) = error.errors()
        key = str(first["loc"][0]) if first["loc"] else "precision"
        known = sorted(set(type(config).model_fields) - {"format", "precision"})
        who = wanted[key][1] if key in wanted else targets[0].name
        wrong = (
            f"{name}: unknown key {key!r}" if first["type"] == "extra_forbidden" else f"{name}.{key}: {first['msg']}"
        )
        raise RecipeError(
            f"{who}: export.{wrong}, got {first['input']!r}; keys of {name} are: {', '.join(known)}",
            fix=did_you_mean(key, known) or f"correct {key}",
        ) from error
