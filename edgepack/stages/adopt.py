"""In which number format does each finished file compute, and does it fit the data?

Takes the place of training, compression and export, and leaves files under the same names as the last.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgepack import dataset, extensions, store
from edgepack.contracts import Precision
from edgepack.errors import MissingError, RecipeError
from edgepack.models import artifacts
from edgepack.models.artifacts import Artifact
from edgepack.runner.errors import RunnerError
from edgepack.runner.infer import predict
from edgepack.runner.sessions import for_file, open_session
from edgepack.runner.tensors import TensorSpec
from edgepack.stages.request import Request

RECORD = "adopted.json"


@dataclass(frozen=True)
class Adopted:
    """A finished file.

    Attributes:
        file: Its name from here on, ``model.<precision>.<suffix>``.
        source: The name that it came with.
        sha256: Digest of the file that came.
        precision: Its number format.
        added: What was written into the copy's metadata, a sentence each; nothing = the copy is the file that came.
    """

    file: str
    source: str
    sha256: str
    precision: Precision
    added: tuple[str, ...] = ()


def run(request: Request) -> dict[str, Any]:
    """Copy each file of ``model.artifacts`` once it has answered a sample; writes ``adopted.json``.

    Without ``data`` among the inputs files are only looked at, and nothing is written.

    Raises:
        RecipeError: A file cannot be read or run, is the second of its kind, or does not fit the data.
    """
    config = request.recipe.model
    assert isinstance(config, artifacts.Config)
    folder = request.inputs.get("data")
    data = dataset.load(folder) if folder else None
    found: list[Adopted] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for artifact in config.artifacts:
        path = artifacts.find(artifact, request.base)
        request.progress({"label": "adopt", "text": path.name})
        with _placed():
            one = _look(artifact, path)
            _refuse_twins(one, found)
            if data is not None:
                format_ = artifacts.formats()[path.suffix]
                out = request.out / one.file
                added = format_.adopt(path, out, input_shape=data.input_shape, layout=artifact.layout)
                one = replace(one, added=added)
                shapes[path.name] = _try(out, path.name, data)
                _refuse_other_outputs(shapes)
        found.append(one)
    record = [asdict(one) for one in found]
    if data is not None:
        (request.out / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return {"artifacts": record}


@contextmanager
def _placed() -> Iterator[None]:
    """Say of what is wrong with a file where in the recipe the file stands."""
    try:
        yield
    except (RecipeError, MissingError) as error:
        raise type(error)(f"model.artifacts: {error.message}", fix=error.fix) from error


def _look(artifact: Artifact, path: Path) -> Adopted:
    format_ = artifacts.formats()[path.suffix]
    told: Precision | None = format_.precision_of(path)
    precision = artifact.precision or told
    if precision is None:
        raise RecipeError(
            f"{path.name} does not tell in which number format it computes",
            fix=f"say it: {{file: {artifact.file}, precision: int8}}, or another of docs/recipe.md",
        )
    if told is not None and told != precision:
        raise RecipeError(
            f"{path.name} computes in {told}, but precision: {precision} is given",
            fix="leave precision out",
        )
    return Adopted(f"model.{precision}.{format_.SUFFIX}", path.name, store.file_digest(path), precision)


def _refuse_twins(one: Adopted, others: list[Adopted]) -> None:
    for other in others:
        if other.file == one.file:
            raise RecipeError(
                f"{other.source} and {one.source} are both {one.precision} {Path(one.file).suffix} "
                "files; a bundle has one of each kind",
                fix="verify them with a recipe each",
            )


def _refuse_other_outputs(shapes: Mapping[str, tuple[int, ...]]) -> None:
    (first, shape), *_ = shapes.items()
    for name, other in shapes.items():
        if other != shape:
            raise RecipeError(
                f"{first} gives outputs of shape {shape} and {name} of shape {other}; files that are "
                "compared with each other give the same",
                fix="verify them with a recipe each",
            )


def _try(path: Path, name: str, data: dataset.Dataset) -> tuple[int, ...]:
    """Feed one sample, so that a file that cannot work is refused before all samples are run through all files.

    Returns:
        The shape of its answer, without the batch axis.
    """
    x = data.inputs("test", 1)
    try:
        runtime = for_file(path)
    except RunnerError as error:
        raise MissingError(f"{name}: {error}", fix="install that runtime") from error
    try:
        with open_session(runtime, path) as session:
            if len(session.inputs) != 1 or len(session.outputs) != 1:
                raise RecipeError(
                    f"{name} has {len(session.inputs)} inputs and {len(session.outputs)} outputs; expected one each",
                    fix="make it from a model with a single input and a single output",
                )
            (source,) = session.inputs
            _check_input(source, name, data)
            raw, _ = predict(session, x)
    except RunnerError as error:
        raise RecipeError(f"{name} cannot be run: {error}", fix="make or copy the file again") from error
    except (RuntimeError, ValueError) as error:  # a runtime that fails in the midst of a graph
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RecipeError(f"{name} fails on a sample of the data: {first}", fix="make the file again") from error
    try:
        extensions.load("edgepack.tasks", data.task).check_outputs(name, raw.shape[1:], data)
    except RecipeError as error:
        raise RecipeError(error.message, fix="correct `data` or `task`, or make the file for these samples") from error
    return tuple(raw.shape[1:])


def _check_input(source: TensorSpec, name: str, data: dataset.Dataset) -> None:
    wanted = source.sample_shape[1:]
    if len(wanted) != len(data.input_shape) or any(
        axis not in (-1, size) for axis, size in zip(wanted, data.input_shape, strict=True)
    ):
        raise RecipeError(
            f"{name} takes inputs of shape {source.shape[1:]}, but the data have {data.input_shape}",
            fix="change the data's shape (image_shape, size), or make the file for these samples",
        )
    if source.quantised or not np.issubdtype(np.dtype(source.dtype), np.integer):
        return
    x, limits = data.inputs("test"), np.iinfo(source.dtype)
    if np.any(x != np.rint(x)) or x.min() < limits.min or x.max() > limits.max:
        raise RecipeError(
            f"{name} takes {source.dtype} and does not tell the scale; the preprocessed samples are no whole numbers "
            f"from {limits.min} to {limits.max} (they lie in {x.min():g} to {x.max():g})",
            fix="set data.preprocessing so that they are, or make the file with a float32 input",
        )
