"""What does a YAML file say, and on which line does it say it?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from pathlib import Path
from typing import Any

from edgepack.errors import MissingError, RecipeError

Location = tuple[str | int, ...]

MOST_CHARACTERS, MOST_VALUES, DEEPEST = 100_000, 100_000, 50
"""In a document; a recipe has hundreds of values on a handful of levels."""

OPEN = 4 * DEEPEST
"""Brackets that may be open at once, those in texts and comments too: reading takes their square."""


@dataclass(frozen=True)
class Document:
    """The plain content of a YAML file and the line of each of its keys.

    Attributes:
        source: What to call the file in messages.
        content: Nested dicts, lists and scalars (YAML 1.2 rules: ``1e-3`` is a number, ``no`` is a string).
        lines: 1-based line of each key or list item, by its path from the root.
    """

    source: str
    content: Any
    lines: Mapping[Location, int]

    def line(self, location: Sequence[str | int]) -> int | None:
        """The line of a location, or of its nearest parent that stands in the file."""
        path = tuple(location)
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None

    def where(self, location: Sequence[str | int]) -> str:
        """``file:line`` for messages; ``file`` alone when the location is not in it."""
        line = self.line(location)
        return f"{self.source}:{line}" if line else self.source


def read(path: Path) -> Document:
    """Read a YAML file with the position of every key.

    Raises:
        MissingError: There is no such file.
        RecipeError: It is not readable text, not YAML, or its top level is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {str(path)!r}", fix="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}", fix="give a readable UTF-8 text file") from error
    return parse(text, source=str(path))


def parse(text: str, *, source: str) -> Document:
    """Parse YAML text with the position of every key; see `read`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    _refuse_endless(text, source)
    try:
        tree = YAML(typ="rt").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(
            f"{where}: this is not YAML: {problem}", fix="check indentation, colons and quotes"
        ) from error
    except Exception as error:  # ruamel.yaml lets out whatever values and tags raise: TypeError, AttributeError, ...
        raise RecipeError(
            f"{source}: this is not YAML: {type(error).__name__}: {error}", fix="check the values in it"
        ) from error
    if not isinstance(tree, Mapping):
        kind = "nothing" if tree is None else type(tree).__name__
        raise RecipeError(
            f"{source}: expected a mapping of keys at the top level, received {kind}", fix="see the README"
        )
    return _document(tree, source)


def parse_value(text: str) -> Any:
    """Parse one scalar or flow collection, as given on the command line (``0.5``, ``[a, b]``, ``true``)."""
    from ruamel.yaml import YAML

    _refuse_endless(text, "the value")
    try:
        tree = YAML(typ="rt").load(text)
    except Exception as error:  # see `parse`
        raise RecipeError(f"the value {text!r} is not YAML: {error}", fix="quote it, e.g. 'name: [a, b]'") from error
    return _document(tree, text).content


def parse_pair(text: str, *, example: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE``, as given to ``--set``; ``example`` is one that the error shows."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise RecipeError(f"--set expected KEY=VALUE, received {text!r}", fix=f"e.g. --set {example}")
    return key, parse_value(value)


def _refuse_endless(text: str, source: str) -> None:
    """Refuse what would take minutes to read: ten thousand characters take a second."""
    if len(text) > MOST_CHARACTERS:
        raise RecipeError(
            f"{source}: {len(text):,} characters; expected at most {MOST_CHARACTERS:,}",
            fix="keep data out of it, in files of their own",
        )
    steps = ((character in "[{") - (character in "]}") for character in text)
    if max(accumulate(steps), default=0) > OPEN:
        raise RecipeError(f"{source}: this is not YAML: more than {OPEN} brackets are open", fix="close them")


def _document(tree: Any, source: str) -> Document:
    lines: dict[Location, int] = {}
    return Document(source, _plain(tree, (), lines, source, count()), lines)


def _plain(node: Any, path: Location, lines: dict[Location, int], source: str, values: Iterator[int]) -> Any:
    """Dicts, lists and scalars; what aliases name stands at each of their places: a few lines can be endless."""
    if next(values) > MOST_VALUES or len(path) > DEEPEST:
        raise RecipeError(
            f"{source}: more than {MOST_VALUES:,} values or {DEEPEST} levels, aliases written out",
            fix="write less into it: aliases (*name) of aliases multiply",
        )
    if isinstance(node, Mapping):
        result = {}
        for key, value in node.items():
            if not isinstance(key, str):
                raise RecipeError(f"{source}: expected text as a key, received {key!r}", fix=f"write '{key}' in quotes")
            here = (*path, key)
            position = getattr(node, "lc", None)
            if position is not None and position.data and key in position.data:
                lines[here] = position.data[key][0] + 1
            result[key] = _plain(value, here, lines, source, values)
        return result
    if isinstance(node, list):
        items = []
        for index, value in enumerate(node):
            here = (*path, index)
            position = getattr(node, "lc", None)
            if position is not None and position.data and index in position.data:
                lines[here] = position.data[index][0] + 1
            items.append(_plain(value, here, lines, source, values))
        return items
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    if type(node).__name__ == "ScalarBoolean":
        return bool(node)
    return str(node)
