"""Which verbs are there, and how does each failure become a message and an exit code?"""

import importlib
import pkgutil
import sys
import traceback

import click
import typer

from edgepack import __version__
from edgepack.cli import verbs
from edgepack.cli.output import print_error
from edgepack.errors import BugError, EdgepackError

INTERRUPTED = 130  # what shells give for Ctrl-C: 128 + SIGINT

app = typer.Typer(
    help="From a Keras model to verified, containerised, timed packages for edge devices.",
    epilog="Start with: edgepack run examples/digits/recipe.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edgepack {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


for _module_info in sorted(pkgutil.iter_modules(verbs.__path__), key=lambda info: info.name):
    _verb = importlib.import_module(f"{verbs.__name__}.{_module_info.name}")
    app.command(_module_info.name, rich_help_panel=_verb.PANEL)(_verb.command)


def main() -> None:
    """Run the command line and exit with the code of the failure's class."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    as_json = "--json" in argv
    try:
        result = app(argv, prog_name="edgepack", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except EdgepackError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        error = EdgepackError("interrupted", fix="finished stages are kept: run the same command again to go on")
        print_error(error, as_json=as_json, code=INTERRUPTED)
        return INTERRUPTED
    except click.ClickException as failure:
        where = getattr(failure, "ctx", None)
        help_command = f"{where.command_path} --help" if where is not None else "edgepack --help"
        usage = EdgepackError(failure.format_message(), fix=f"see `{help_command}`")
        print_error(usage, as_json=as_json, code=2)
        return 2
    except BrokenPipeError:
        return 0
    except Exception as failure:
        if not as_json:
            traceback.print_exc()
        print_error(BugError(f"{type(failure).__name__}: {failure}", fix="this is a bug: please report it"), as_json=as_json)
        return BugError.exit_code


if __name__ == "__main__":
    main()
