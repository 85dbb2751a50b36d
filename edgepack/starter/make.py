"""How is a recipe written that runs: samples looked at, sections chosen, all of it checked before it is there?"""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from edgepack import target as targets
from edgepack import worker, worklogs
from edgepack.contracts import Precision
from edgepack.errors import RecipeError
from edgepack.plan import make_plan
from edgepack.recipe import only_model
from edgepack.stages.request import Request
from edgepack.starter import sources, text
from edgepack.starter.draft import draft
from edgepack.store import explain_os_errors

FILE = "recipe.yaml"
PRECISIONS: tuple[str, ...] = get_args(Precision)


@dataclass(frozen=True)
class Choices:
    """What a person said.

    Attributes:
        data: See `sources.data_section`.
        models: See `sources.model_section`; none = an architecture that suits the samples.
        targets: Names or files of targets.
        precisions: Of the files to make.
        name: The recipe's name; empty = that of the folder.
        target_column: The column of a CSV file with the class; None = the last one.
        custom_objects: Python file with the model's own layers; None = there are none.
    """

    data: str
    models: Sequence[str]
    targets: Sequence[str]
    precisions: Sequence[str]
    name: str = ""
    target_column: str | None = None
    custom_objects: Path | None = None


@dataclass(frozen=True)
class Made:
    """The recipe that was written, what was found on the way, and what there is to say about it."""

    recipe: Path
    facts: Mapping[str, Any]
    notes: Sequence[str]


def refuse_existing(folder: Path, *, force: bool) -> None:
    """Keep a recipe that is there.

    Raises:
        RecipeError: There is one, and ``force`` is not given.
    """
    if (folder / FILE).exists() and not force:
        raise RecipeError(
            f"{folder / FILE} is there already", fix="give --force to overwrite it, or name another folder"
        )


def make(folder: Path, choices: Choices, *, force: bool, progress: Callable[[Mapping[str, Any]], None]) -> Made:
    """Write ``recipe.yaml`` into a folder, which is made if need be.

    Raises:
        RecipeError: A recipe is there, model and data do not fit each other, or a choice is none of edgepack's.
        MissingError: A file is not there.
    """
    refuse_existing(folder, force=force)
    with _kept_if_whole(folder):
        return _make(folder, choices, progress)


def _make(folder: Path, choices: Choices, progress: Callable[[Mapping[str, Any]], None]) -> Made:
    model = sources.model_section(choices.models, folder) if choices.models else {}
    if choices.custom_objects is not None:
        if "file" not in model:
            raise RecipeError(
                "--custom-objects goes with a saved Keras model", fix="leave it out, or give --model FILE"
            )
        model["custom_objects"] = sources.place(choices.custom_objects, folder)
    data = sources.data_section(choices.data, folder)
    if choices.target_column is not None:
        if "csv" not in data:
            raise RecipeError("--target-column goes with a .csv file", fix="leave it out, or give --data FILE.csv")
        data["target"] = choices.target_column
    loaded = [targets.load(name) for name in choices.targets]
    facts = look(folder, model, data, progress=progress)
    name = choices.name or slug(folder.resolve().name)
    made = draft(name, model, facts, loaded, choices.precisions)
    content = {**made.content, "targets": [_target(name, folder) for name in choices.targets]}
    recipe = text.render(type(made)(content, made.remarks, made.further, made.notes))
    _write(folder, recipe)
    return Made(folder / FILE, facts, made.notes)


def look(
    folder: Path,
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    *,
    progress: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """What `edgepack.stages.first_look` finds, in a process of its own: a user's model and code run there."""
    with tempfile.TemporaryDirectory(prefix="edgepack-") as work:
        request = Request(
            recipe=only_model(model or {"zoo": "mlp"}),
            base=folder.resolve(),
            out=Path(work),
            inputs={},
            smoke=False,
            progress=progress,
            options={"data": dict(data), "zoo": model.get("zoo")},
        )
        return worker.call("edgepack.stages.first_look", request, log_path=worklogs.place("init")).figures


def slug(folder_name: str) -> str:
    """A recipe's name out of a folder's."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", folder_name.lower()).strip("-._")[:63]
    return plain or "recipe"


def _target(name: str, folder: Path) -> str:
    return name if name in targets.shipped() else sources.place(Path(name), folder)


def _write(folder: Path, recipe: str) -> None:
    """Write the file once a run would accept it, whole or not at all."""
    draft_file = folder / f".{FILE}"
    try:
        draft_file.write_text(recipe)
        make_plan(draft_file)
        draft_file.replace(folder / FILE)
    finally:
        draft_file.unlink(missing_ok=True)


@contextmanager
def _kept_if_whole(folder: Path) -> Iterator[None]:
    """Have a folder, which paths with ``..`` start from; a new one goes again if nothing comes of it."""
    new = not folder.exists()
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield
        except BaseException:
            if new:
                folder.rmdir()
            raise
