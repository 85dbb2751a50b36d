"""What does edgepack do with a recipe or a target file?"""

import io
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepack import conversion, starts, steps, yamlfile
from edgepack import recipe as recipes
from edgepack import target as targets
from edgepack.plan import describe, make_plan

from ..mutations import SCALARS, mutate_json
from ..seeds import RECIPE, ROOT
from . import Flip, Part

SUFFIX = ".yaml"

PIECES = (
    *("&a ", "*a", "<<: *a\n", "!!python/object/apply:os.system [id]", "!!binary aaaa", "!!timestamp 2020-01-01"),
    *(
        "- ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "\n",
        "  ",
        "|\n",
        ">-\n",
        "---\n",
        "...\n",
        "#",
        "? ",
        "'",
        '"',
        "\t",
        "%YAML 1.1\n",
    ),
    *("a: &a [*a]\n", "1e999", "0x7fffffffffffffff", "0o777", "1_000", "~", ".nan", "-.inf", "2020-13-45", "!!int x"),
    *("compress: [{use: qat}, {use: prune}]\n", "task: anomaly\n", "tracking: [{use: mlflow}]\n", "9" * 5000),
)
"""What is put into a text: the words of YAML, and of recipes."""


def prepare(made: Path) -> None:
    """See `readers`."""
    for reader in (recipes, starts, steps, yamlfile):
        assert reader
    from edgepack import extensions

    for package in ("data", "features", "models", "techniques", "formats", "trackers", "schedules", "tasks"):
        for name in extensions.names(f"edgepack.{package}"):
            extensions.load(f"edgepack.{package}", name)


def seeds(made: Path) -> list[bytes]:
    """See `readers`."""
    files = [*ROOT.glob("examples/*/*.yaml"), *ROOT.glob("targets/*.yaml")]
    return [RECIPE.encode(), *(path.read_bytes() for path in sorted(files))]


def mutate(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    """See `readers`: bytes, words of YAML, lines, or the document's values."""
    deed = rng.randrange(4)
    if deed == 0:
        return flip(content)
    text = content.decode("utf-8", "replace")
    if deed == 1:
        place = rng.randrange(len(text) + 1)
        return (text[:place] + rng.choice(PIECES) + text[place:]).encode("utf-8", "surrogatepass")
    if deed == 2:
        return _lines(text, rng).encode("utf-8", "surrogatepass")
    try:
        document = yamlfile.parse(text, source="").content
    except Exception:
        return flip(content)
    return json.dumps(mutate_json(document, rng)).encode()


def _lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines() or [""]
    place = rng.randrange(len(lines))
    deed = rng.randrange(5)
    if deed == 0:
        del lines[place]
    elif deed == 1:
        lines.insert(place, rng.choice(lines))
    elif deed == 2:
        lines[place] = "  " + lines[place]
    elif deed == 3:
        lines[place] = re.sub(r": .*", lambda _: ": " + str(rng.choice(SCALARS)), lines[place], count=1)
    else:
        lines[place] = lines[place].lstrip()
    return "\n".join(lines) + "\n"


def parts(path: Path, made: Path, work: Path) -> Iterator[Part]:
    """See `readers`."""
    text = path.read_bytes().decode("utf-8", "replace")
    yield Part("plan", lambda: _shown(describe(make_plan(path, out=work / "out"))))
    yield Part("target", lambda: _printed(targets.load(str(path)).model_dump(mode="json")))
    yield Part("convert --data", lambda: conversion._data_section(path))
    words = text.splitlines()[:1]
    yield Part("--set", lambda: _printed(recipes.load(made / "recipe.yaml", overrides=words).resolved()))


def _printed(document: Any) -> None:
    json.dumps(document, allow_nan=False).encode()


def _shown(document: Any) -> None:
    """As `edgepack plan` prints it."""
    from ruamel.yaml import YAML

    _printed(document)
    stream = io.BytesIO()
    yaml = YAML()
    yaml.width = 100
    yaml.default_flow_style = False
    yaml.dump(document, stream)


def command(path: Path, made: Path, work: Path) -> list[str]:
    """See `readers`."""
    return ["plan", str(path), "--out", str(work / "out")]
