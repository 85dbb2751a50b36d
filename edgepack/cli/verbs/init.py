"""edgepack init: how does one come from a model and some samples to a recipe that runs?"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="Folder for recipe.yaml; it is made if need be.")] = Path(),
    model: Annotated[
        list[str] | None,
        typer.Option(help="Keras model, .tflite or .onnx files (repeatable), file.py:function, or a name of the zoo."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help=".npz or .csv file, folder of images or IDX files, file.py:function, or a name.")
    ] = None,
    target_column: Annotated[
        str | None, typer.Option(help="For a .csv file: the column with the class; default: the last one.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Target name or file; repeatable. Default: this machine's kind.")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="Number format of files; repeatable. Default: float32 and int8.")
    ] = None,
    custom_objects: Annotated[
        Path | None, typer.Option(help="Python file with a Keras model's own layers and functions.")
    ] = None,
    name: Annotated[str, typer.Option(help="The recipe's name; default: that of the folder.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the default of every question.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a recipe.yaml that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; asks nothing.")] = False,
) -> int:
    """Write a recipe that runs, for your own model and data or for an architecture to train."""
    import shlex
    import sys

    from edgepack.cli.output import Progress, print_json
    from edgepack.starter import make

    make.refuse_existing(folder, force=force)
    answers = _Answers(folder, asks=sys.stdin.isatty() and not (yes or json))
    models = model if model is not None else answers.model()
    choices = make.Choices(
        models=models,
        data=data if data is not None else answers.data(own_model=any(map(_is_a_file, models))),
        targets=target or answers.targets(),
        precisions=precision or answers.precisions(),
        name=name,
        target_column=target_column,
        custom_objects=custom_objects,
    )
    with Progress(quiet=json) as progress:
        progress.started("init", "looks at model and samples")
        made = make.make(folder, choices, force=force, progress=lambda event: progress.progress("init", event))
    recipe = shlex.quote(str(made.recipe))
    following = [f"edgepack run {recipe} --smoke", f"edgepack run {recipe}"]
    if json:
        document = {"recipe": str(made.recipe), "assumed": answers.assumed, "notes": list(made.notes)}
        print_json({"schema": "edgepack.init/1", **document, "facts": made.facts, "next": following})
        return 0
    for sentence in (*answers.assumed, *made.notes):
        typer.echo(f"  · {sentence}", err=True)
    typer.echo(f"wrote {made.recipe}\n\nnext, to see in a moment that all of it works, and then in earnest:")
    for line in following:
        typer.echo(f"  {line}")
    return 0


class _Answers:
    """Asks at a terminal, each question answered by Enter; elsewhere takes the same defaults and notes them."""

    def __init__(self, folder: Path, *, asks: bool) -> None:
        self._folder = folder
        self._asks = asks
        self.assumed: list[str] = []

    def model(self) -> list[str]:
        from edgepack.starter import sources

        found = sources.models_in(self._folder)
        default = str(found[0]) if found else "new"
        why = f"{found[0].name} lies in the folder" if found else "no model file lies in the folder"
        text = self._ask(
            "Your model: a .keras or .h5 file, a SavedModel folder, .tflite, .onnx, a name of `edgepack models`,\n"
            "or `new` for one that suits the data",
            default,
            lambda answer: None if answer == "new" else sources.model_section([answer], self._folder),
            assumed=f"--model: {why}" + ("" if found else ": one that suits the data is trained"),
        )
        return [] if text == "new" else [text]

    def data(self, *, own_model: bool) -> str:
        from edgepack.errors import MissingError
        from edgepack.starter import sources

        found = sources.data_in(self._folder)
        if not found and own_model and not self._asks:
            raise MissingError(
                "no --data: a model of your own needs samples, to be verified with", fix=f"expected {sources.DATA}"
            )
        default = str(found[0]) if found else None if own_model else "digits"
        return self._ask(
            f"Your data: {sources.DATA}",
            default,
            lambda answer: sources.data_section(answer, self._folder),
            assumed=f"--data: {found[0].name} lies in the folder" if found else "--data: no data lie in the folder: "
            "the digits that come with scikit-learn",
        )  # fmt: skip

    def targets(self) -> list[str]:
        from edgepack import target as targets
        from edgepack.environment import host_platform

        known = targets.shipped()
        here = f"{host_platform().replace('/', '-')}-cpu"
        default = here if here in known else next(iter(known))
        text = self._ask(
            f"Where it is to run, one or more of: {', '.join(known)}",
            default,
            lambda answer: [targets.load(name) for name in _listed(answer)],
            assumed=f"--target: {default}, this machine's kind",
        )
        return _listed(text)

    def precisions(self) -> list[str]:
        from edgepack.starter import make

        def check(answer: str) -> None:
            unknown = [name for name in _listed(answer) if name not in make.PRECISIONS]
            if unknown or not _listed(answer):
                raise typer.BadParameter(f"expected some of: {', '.join(make.PRECISIONS)}")

        text = self._ask(
            f"Number formats of the files, one or more of: {', '.join(make.PRECISIONS)}",
            "float32, int8",
            check,
            assumed="--precision: float32 and int8",
        )
        return _listed(text)

    def _ask(self, question: str, default: str | None, check: Callable[[str], object], *, assumed: str) -> str:
        from edgepack.errors import EdgepackError

        if not self._asks:
            assert default is not None
            self.assumed.append(f"assumed {assumed}")
            return default

        def value(answer: str) -> str:
            try:
                check(answer.strip())
            except EdgepackError as error:
                raise typer.BadParameter(f"{error.message} ({error.fix})") from error
            return answer.strip()

        return str(typer.prompt(question, default=default, value_proc=value, err=True))


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(text.replace(",", " ").split()))


def _is_a_file(model: str) -> bool:
    return Path(model).expanduser().exists()
