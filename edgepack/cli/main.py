"""Which verbs are there, and how does each failure become a message and an exit code?"""

import importlib
import io
import os
import pkgutil
import sys
import traceback

import typer

from edgepack import __version__
from edgepack.cli import completion, verbs
from edgepack.cli.output import print_error
from edgepack.errors import BugError, EdgepackError, RecipeError

INTERRUPTED = 130  # what shells give for Ctrl-C: 128 + SIGINT

app = typer.Typer(
    help="From a Keras model to verified, containerised, timed packages for edge devices.",
    epilog="Start with: edgepack run examples/digits/recipe.yaml",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help through rich costs 0.15 s of CPU: it imports a Markdown parser
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
    if "_EDGEPACK_COMPLETE" in os.environ:  # a shell asks
        completion.complete(_module_info.name, _verb.command)
    app.command(_module_info.name.replace("_", "-"))(_verb.command)


def main() -> None:
    """Run the command line and exit with the code of the failure's class."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names in a file may be no text; what says so must not fail on them
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    as_json = "--json" in argv
    try:
        result = app(argv or ["--help"], prog_name="edgepack", standalone_mode=False)
    except EdgepackError as error:
        print_error(error, as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):  # the latter at a question
        result = INTERRUPTED
    except typer.TyperException as failure:
        where = getattr(failure, "ctx", None)
        fix = f"see `{where.command_path if where else 'edgepack'} --help`"
        tell = getattr(failure, "format_message", None)
        usage = RecipeError(tell() if tell else str(failure), fix=fix)
        print_error(usage, as_json=as_json)
        return usage.exit_code
    except BrokenPipeError:
        return 0
    except Exception as failure:
        if not as_json:
            traceback.print_exc()
        bug = BugError(f"{type(failure).__name__}: {failure}", fix="this is a bug: please report it")
        print_error(bug, as_json=as_json)
        return bug.exit_code
    if result == INTERRUPTED:
        interrupted = EdgepackError("interrupted", fix="finished stages are kept: run the same command to go on")
        print_error(interrupted, as_json=as_json, code=INTERRUPTED)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
