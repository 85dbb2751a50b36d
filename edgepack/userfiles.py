"""Where are a source's files, and have they changed?"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from edgepack.errors import EdgepackError, MissingError, RecipeError


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


def digests(path: Path) -> list[str]:
    """SHA-256 of a file, or of every file in a folder by their sorted paths."""
    members = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [digest(member) for member in members if member.is_file()]


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


def load(path: Path, *, reference: str = "") -> ModuleType:
    """Import a user's Python file; its own folder can be imported from meanwhile.

    Args:
        path: The file.
        reference: What errors call it; the path when empty.

    Raises:
        RecipeError: The file failed; the error names its last line.
    """
    import importlib.util
    import sys

    spec = importlib.util.spec_from_file_location(f"edgepack_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{path} is not a Python file", fix="give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses and Keras look up the module of a class there
    with _explained(path, reference or str(path), "file"):
        spec.loader.exec_module(module)
    return module


def call(path: Path, name: str, **arguments: object) -> object:
    """Import a user's Python file and call one function of it.

    Raises:
        MissingError: The file defines no such function.
        RecipeError: The file or the function failed; the error names its last line.
    """
    from edgepack.suggest import did_you_mean

    module = load(path, reference=f"{path}:{name}")
    target = getattr(module, name, None)
    if not callable(target):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise MissingError(f"{path} defines no function {name!r}", fix=did_you_mean(name, known) or f"define {name!r}")
    with _explained(path, f"{path}:{name}", "function"):
        return target(**arguments)


@contextmanager
def _explained(path: Path, what: str, kind: str) -> Iterator[None]:
    """Let the code of a user's file import from its folder, and turn what it raises into one clear error."""
    import sys
    import traceback

    sys.path.insert(0, str(path.parent))
    try:
        yield
    except EdgepackError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise RecipeError(
            f"{what} failed: {type(error).__name__}: {error} ({last.filename}:{last.lineno})",
            fix=f"correct the {kind}, then run again",
        ) from error
    finally:
        sys.path.remove(str(path.parent))
