"""How is a document written so that every reader of YAML, old or new, reads the same?"""

import io
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9./_-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""What YAML 1.1, which Kubernetes and Docker read, takes for something else than text."""


def dump(document: Mapping[str, Any], *, head: str) -> str:
    """A document as YAML under lines of comment; the order of the keys is kept."""
    from ruamel.yaml import YAML

    writer = YAML(typ="rt")
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 10_000
    out = io.StringIO()
    writer.dump(_quoted(document), out)
    return "".join(f"# {_printable(line)}\n" for line in head.splitlines()) + out.getvalue()


def _printable(line: str) -> str:
    """A line without what YAML forbids even in comments."""
    return "".join(character if character.isprintable() else " " for character in line).rstrip()


def _quoted(value: Any) -> Any:
    """The same with quotes around every text that could be read as a number, a date or a truth value."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(item) for item in value]
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _WORDS):
        return DoubleQuotedScalarString(value)
    return value
