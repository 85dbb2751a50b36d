"""Where are a source's files, and have they changed?"""

import hashlib
from pathlib import Path

from edgepack.errors import MissingError


def find(text: str, base: Path, *, what: str) -> Path:
    """Resolve a path of a recipe against the recipe's folder.

    Raises:
        MissingError: There is nothing at that path.
    """
    path = Path(text).expanduser()
    path = path if path.is_absolute() else base / path
    if not path.exists():
        raise MissingError(
            f"{what}: there is nothing at {path}", fix="correct the path (relative to the recipe's folder)"
        )
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def split_reference(reference: str, base: Path, *, what: str) -> tuple[Path, str]:
    """Split ``file.py:function`` and find the file.

    Raises:
        MissingError: There is no such file, or the reference names no function.
    """
    file, separator, name = reference.rpartition(":")
    if not separator or not name.isidentifier():
        raise MissingError(
            f"{what}: expected 'file.py:function', received {reference!r}", fix="e.g. python: data.py:load"
        )
    return find(file, base, what=what), name


def call(path: Path, name: str, **arguments: object) -> object:
    """Import a user's Python file and call one function of it.

    Raises:
        MissingError: The file defines no such function.
        RecipeError: The file or the function failed; the error names its last line.
    """
    import importlib.util
    import sys
    import traceback

    from edgepack.errors import EdgepackError, RecipeError
    from edgepack.suggest import did_you_mean

    spec = importlib.util.spec_from_file_location(f"edgepack_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{path} is not a Python file", fix="give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
        target = getattr(module, name, None)
        if not callable(target):
            known = [key for key, value in vars(module).items() if callable(value)]
            raise MissingError(
                f"{path} defines no function {name!r}", fix=did_you_mean(name, known) or f"define {name!r}"
            )
        return target(**arguments)
    except EdgepackError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise RecipeError(
            f"{path}:{name} failed: {type(error).__name__}: {error} ({last.filename}:{last.lineno})",
            fix="correct the function, then run again",
        ) from error
    finally:
        sys.path.remove(str(path.parent))
