"""How is a configuration written in the text form of protocol buffers?"""

from collections.abc import Mapping
from typing import Any

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Word(str):
    """The name of an enumeration's value, which stands without quotes."""

    __slots__ = ()


def dump(message: Mapping[str, Any], *, indent: int = 0) -> str:
    """A message, field by field in the order given (https://protobuf.dev/reference/protobuf/textformat-spec/).

    Args:
        message: Values by field: text, ``Word``, whole numbers, truth values, messages as mappings, and lists of these
            for repeated fields. A list of numbers is written as one list, any other as one field for each item.
        indent: Spaces in front of each line.
    """
    lines = []
    for field, value in message.items():
        numbers = isinstance(value, list) and all(isinstance(item, int) for item in value)
        for item in value if isinstance(value, list) and not numbers else [value]:
            if isinstance(item, Mapping):
                inner = dump(item, indent=indent + 2)
                lines.append(f"{field} {{\n{inner}{' ' * indent}}}" if inner else f"{field} {{}}")
            else:
                lines.append(f"{field}: {_scalar(item)}")
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_character(character) for character in value) + '"'
    return str(value)


def _character(character: str) -> str:
    """A character of a text: control characters as octal numbers, all others as they are."""
    if character in ESCAPES:
        return ESCAPES[character]
    return character if character.isprintable() or ord(character) > 127 else f"\\{ord(character):03o}"
