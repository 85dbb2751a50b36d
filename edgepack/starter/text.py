"""How does a draft become YAML that a person likes to change: short lines, each key with its remark?"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgepack.starter.draft import Draft

WIDTH = 120
COLUMN = 40
"""Where remarks stand, if what is before them is shorter."""

PLAIN = re.compile(r"([A-Za-z_]|\.{0,2}/)([\w./ -]*[\w/-])?", re.ASCII)
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
"""Texts that some version of YAML takes for something else."""

HEAD = """\
# Made by `edgepack init`. Lines that begin with # are suggestions: take the # away to use one.
# `edgepack plan` shows the recipe with every default filled in, docs/recipe.md explains every key.
"""


def render(draft: Draft) -> str:
    """The YAML file."""
    sections = ["\n".join(_section(section, value, draft)) for section, value in draft.content.items()]
    return HEAD + "\n" + "\n\n".join(sections) + "\n"


def _section(section: str, value: Any, draft: Draft) -> Iterator[str]:
    before = [line for item in draft.further.get(f"{section}.before", ()) for line in _suggestion(*item)]
    behind = [line for item in draft.further.get(section, ()) for line in _suggestion(*item)]
    if not isinstance(value, dict | list) or (value and isinstance(value, list) and isinstance(value[0], str)):
        yield from _with_remark(f"{section}: {flow(value)}", draft.remarks.get(section, ""))
        return
    if not value:
        yield f"# {section}:"
        yield from (f"#   {line.removeprefix('  # ')}" for line in (*before, *behind))
        return
    yield from _with_remark(f"{section}:", draft.remarks.get(section, ""))
    yield from before
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        written = f"  {key}: {flow(item)}" if isinstance(value, dict) else f"  - {flow(item)}"
        yield from _with_remark(written, draft.remarks.get(f"{section}.{key}", ""))
    yield from behind


def _suggestion(line: str, remark: str) -> Iterator[str]:
    return _with_remark(f"  # {line}", remark)


def _with_remark(line: str, remark: str) -> Iterator[str]:
    if not remark:
        yield line
        return
    whole = f"{line:<{COLUMN - 2}}  # {remark}"
    if len(whole) <= WIDTH:
        yield whole
        return
    indent = re.match(r" *", line)
    before = f"{indent[0] if indent else ''}# "
    yield from textwrap.wrap(remark, WIDTH - len(before), initial_indent=before, subsequent_indent=before)
    yield line


def flow(value: Any) -> str:
    """A value in YAML's flow style, read back as the same value."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) is not None and value.casefold() not in WORDS
        return value if plain else f'"{"".join(map(_character, value))}"'
    if isinstance(value, Sequence):
        return f"[{', '.join(map(flow, value))}]"
    return json.dumps(value)


def _character(character: str) -> str:
    """A character of a quoted text."""
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
