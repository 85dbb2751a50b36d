"""Which architectures are in the zoo, what do they take, and what do they cost?"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgepack import extensions, worker, worklogs
from edgepack.config import first_message
from edgepack.errors import RecipeError
from edgepack.models import zoo
from edgepack.recipe import only_model
from edgepack.stages.request import Request
from edgepack.zoo._reference import Reference

SCHEMA = "edgepack.models/1"
FIGURES = ("parameters", "macs", "float32_kib", "int8_kib")


def published(name: str | None = None) -> dict[str, Any]:
    """Every published form of the architectures with its figures, as they stand in their files; nothing is built.

    Args:
        name: One architecture; None = all of them.

    Raises:
        RecipeError: There is no architecture of that name.
    """
    names = extensions.names("edgepack.zoo") if name is None else (name,)
    return {"schema": SCHEMA, "models": [entry for each in names for entry in _published(each)]}


def counted(
    name: str | None = None,
    *,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    args: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The same with figures for another input, another number of classes or other arguments; builds each model.

    Args:
        name: One architecture; None = all of them.
        input_shape: The shape of one sample, without the batch axis; None = that of the publication.
        classes: Number of classes; None = that of the publication.
        args: Arguments in place of the published ones, of a single architecture.

    Returns:
        As `published`; a model that cannot be built has ``reason`` and no figures.

    Raises:
        RecipeError: There is no such architecture, it does not take these arguments, or no input is known.
    """
    entries = published(name)["models"]
    if args:
        entries = [{**entries[0], "title": "", "args": {**args}}]
        _check(entries[0])
    for entry in entries:
        if entry["input_shape"] is None:  # it names no published form
            if not input_shape or not classes:
                fix = "give both, e.g. --input 32x32x3 --classes 10"
                raise RecipeError(f"no input and no number of classes are known for {entry['zoo']!r}", fix=fix)
            entry["classes"] = classes
        elif classes and entry["classes"]:  # a model that gives back its input has no classes
            entry["classes"] = classes
        entry["input_shape"] = list(input_shape or entry["input_shape"])
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        request = Request(
            recipe=only_model({"zoo": entries[0]["zoo"]}),
            base=Path.cwd(),
            out=Path(folder),
            inputs={},
            smoke=False,
            progress=lambda _: None,
            options={"models": entries},
        )
        done = worker.call("edgepack.stages.models", request, log_path=worklogs.place("models"))
    nothing = dict.fromkeys(FIGURES)
    found = zip(entries, done.figures["models"], strict=True)
    return {"schema": SCHEMA, "models": [{**entry, **nothing, **figures} for entry, figures in found]}


def keys(name: str) -> list[dict[str, Any]]:
    """The arguments of an architecture: ``key``, ``default``, ``meaning``.

    Raises:
        RecipeError: There is no architecture of that name.
    """
    defaults = extensions.load("edgepack.zoo", name).Config().model_dump(mode="json")
    fields = extensions.load("edgepack.zoo", name).Config.model_fields
    return [{"key": key, "default": defaults[key], "meaning": field.description} for key, field in fields.items()]


def _published(name: str) -> list[dict[str, Any]]:
    """One entry for each published form; one without figures for an architecture that names none."""
    references: Sequence[Reference] = getattr(extensions.load("edgepack.zoo", name), "REFERENCES", ())
    if not references:
        unknown = dict.fromkeys(("input_shape", "classes", *FIGURES, "reason"))
        return [{"zoo": name, "title": name, "args": {}, **unknown}]
    return [
        {
            "zoo": name,
            "title": reference.title,
            "args": dict(reference.args),
            "input_shape": list(reference.input_shape),
            "classes": reference.classes,
            **{figure: getattr(reference, figure) for figure in FIGURES},
            "reason": None,
        }
        for reference in references
    ]


def _check(entry: Mapping[str, Any]) -> None:
    try:
        zoo.Config(zoo=entry["zoo"], args=entry["args"])
    except ValidationError as error:
        raise RecipeError(first_message(error), fix=f"see `edgepack models {entry['zoo']}`") from error
