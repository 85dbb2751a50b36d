"""edgepack lr-find: which learning rate suits a recipe's model and data?"""

from pathlib import Path
from typing import Annotated

import typer


def command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder for results, as for `edgepack run`.")] = Path("out"),
    low: Annotated[float, typer.Option(help="First learning rate.")] = 1e-6,
    high: Annotated[float, typer.Option(help="Last learning rate.")] = 1.0,
    steps: Annotated[int, typer.Option(min=20, help="Training steps.")] = 200,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key, e.g. training.batch_size=256."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Train at growing rates for a moment, suggest a peak rate and draw the curve."""
    from shlex import quote

    from edgepack.cli.output import Progress, print_json, say_next
    from edgepack.errors import RecipeError
    from edgepack.pipeline import find_learning_rate
    from edgepack.plan import make_plan

    if not 0 < low < high:
        raise RecipeError(f"--low {low:g} and --high {high:g}: expected 0 < low < high", fix="e.g. --low 1e-6 --high 1")
    plan = make_plan(recipe, out=out, overrides=set_ or ())
    with Progress(quiet=json, about=str(recipe.resolve())) as progress:
        record, folder = find_learning_rate(plan, progress, low=low, high=high, steps=steps)
    if json:
        print_json({"schema": "edgepack.lr-find/1", **record})
        return 0
    if record["suggested"] is None:
        typer.echo(f"the loss did not fall between {low:g} and {high:g}: try other bounds, or more --steps")
    else:
        reading = f"the loss falls fastest here, and is smallest at {record['bound']:.1e}"
        typer.echo(f"learning_rate: {record['suggested']:.1e}   # {reading}")
    typer.echo(f"curve: {folder / 'lr-find.svg'}")
    if record["suggested"] is None:
        say_next(f"edgepack lr-find {quote(str(recipe))} --steps {2 * steps}")
    else:
        say_next(f"edgepack run {quote(str(recipe))} --set training.learning_rate={record['suggested']:.1e}")
    return 0
