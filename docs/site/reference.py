"""What does the reference say, out of the command line, the schemas and the extensions as they are?"""

import inspect
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, get_args

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from edgepack import errors, extensions
from edgepack import target as targets
from edgepack.cli.main import app
from edgepack.config import Config
from edgepack.recipe import Recipe

KINDS = {
    "data": ("edgepack.data", "Data sources"),
    "models": ("edgepack.models", "Model sources"),
    "zoo": ("edgepack.zoo", "Architectures"),
    "tasks": ("edgepack.tasks", "Tasks"),
    "schedules": ("edgepack.schedules", "Learning-rate schedules"),
    "techniques": ("edgepack.techniques", "Compression techniques"),
    "features": ("edgepack.features", "Selections of columns"),
    "formats": ("edgepack.formats", "Formats"),
    "firmware": ("edgepack.firmware", "Firmware"),
    "trackers": ("edgepack.trackers", "Trackers"),
}
"""Kinds of extensions that have keys, by the page's name."""


def pages() -> dict[str, str]:
    """Every page, Markdown, by its name."""
    made = {"command-line": _command_line(), "recipe": _recipe(), "target": _target(), "exit-codes": _exit_codes()}
    return made | {name: _kind(package, title) for name, (package, title) in KINDS.items()}


def _command_line() -> str:
    lines = ["# Command line", "", "Every verb with its words and options, as `edgepack VERB --help` has them.", ""]
    group = typer.main.get_command(app)
    context = group.make_context("edgepack", [], resilient_parsing=True)
    for name in group.list_commands(context):  # type: ignore[attr-defined]
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        words = [param for param in command.params if param.param_type_name == "argument"]
        usage = " ".join(
            ["edgepack", name, *(piece for word in words for piece in word.get_usage_pieces(context)), "[OPTIONS]"]
        )
        lines += [f"## {name}", "", command.help or "", "", f"`{usage}`", "", *_parameters(command, context), ""]
    return "\n".join(lines).rstrip() + "\n"


def _parameters(command: Any, context: Any) -> Iterator[str]:
    yield "| word or option | default | meaning |"
    yield "|---|---|---|"
    for param in command.params:
        record = param.get_help_record(context)
        if param.param_type_name == "argument":
            shown, meaning = " ".join(param.get_usage_pieces(context)), param.help or ""
        elif record is None:
            continue
        else:
            shown, meaning = record[0], param.help or ""
        default = "" if param.default is None or callable(param.default) or param.default is False else param.default
        required = "required" if param.required else _code(default) if default != "" else ""
        yield f"| {_code(shown)} | {required} | {_cell(meaning)} |"


def _recipe() -> str:
    head = ["# Keys of a recipe", "", "Every key with its type and default, out of the schema that checks recipes."]
    return "\n".join([*head, "", *_sections(Recipe, {})]) + "\n"


def _target() -> str:
    head = ["# Keys of a target", "", "Every key of a target's file, out of the schema that checks it."]
    return "\n".join([*head, "", *_sections(targets.Target, {})]) + "\n"


def _exit_codes() -> str:
    lines = ["# Exit codes", "", "| code | class | meaning |", "|---|---|---|", "| 0 | | ok |"]
    classes = errors.CLASSES.values()
    lines += [f"| {cls.exit_code} | `{cls.__name__}` | {_cell(_summary(cls))} |" for cls in classes]
    return "\n".join([*lines, "| 130 | | interrupted by Ctrl-C: the same command goes on |"]) + "\n"


def _kind(package: str, title: str) -> str:
    lines = [f"# {title}", "", _summary(__import__(package, fromlist=["_"])), ""]
    for name in extensions.names(package):
        module: ModuleType = extensions.load(package, name)
        config: type[BaseModel] | None = getattr(module, "Config", None)
        lines += [f"## {name}", "", _summary(config or module), ""]
        if config is not None and config.model_fields:
            lines += [*_table(config), "", *_nested(config, 3, set())]
        else:
            lines += ["No keys.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _sections(model: type[BaseModel], seen: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(model)
    yield ""
    yield from _nested(model, 2, set())


def _nested(model: type[BaseModel], level: int, seen: set[type], prefix: str = "") -> Iterator[str]:
    """A section for each part of a configuration that has keys of its own."""
    for name, field in model.model_fields.items():
        for part in _parts(field.annotation):
            if part in seen or not part.model_fields:
                continue
            seen.add(part)
            yield f"{'#' * level} {prefix}{name}"
            yield ""
            yield _summary(part)
            yield ""
            yield from _table(part)
            yield ""
            yield from _nested(part, level, seen, f"{prefix}{name}.")


def _parts(annotation: Any) -> Iterator[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if field.is_required():
            default = "required"
        else:
            value = field.get_default(call_default_factory=True)
            default = "" if value is None or value is PydanticUndefined else _default(value)
        limits = ", ".join(_limit(item) for item in field.metadata if _limit(item))
        kind = f"{_type(field.annotation)}{f', {limits}' if limits else ''}"
        yield f"| `{name}` | {_cell(kind)} | {default} | {_cell(field.description or '')} |"


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True) or "its defaults"
        return value if isinstance(value, str) else _code(value)
    if isinstance(value, tuple):
        value = list(value)
    return _code(str(value).lower() if isinstance(value, bool) else value if value != "" else '""')


def _limit(item: Any) -> str:
    signs = (
        ("gt", ">"),
        ("ge", ">="),
        ("lt", "<"),
        ("le", "<="),
        ("min_length", "at least"),
        ("max_length", "at most"),
    )
    return ", ".join(f"{sign} {getattr(item, key)}" for key, sign in signs if getattr(item, key, None) is not None)


def _type(annotation: Any) -> str:
    """A type in the words of YAML."""
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type):
        if issubclass(annotation, Config):
            return "keys"
        if not get_args(annotation):
            return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
                annotation.__name__, annotation.__name__
            )
    origin, arguments = getattr(annotation, "__origin__", None), get_args(annotation)
    if str(annotation).startswith("typing.Literal"):
        return " or ".join(_code(item) for item in arguments)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return f"list of {_type(arguments[0])}"
        return f"[{', '.join(_type(item) for item in arguments)}]"
    if origin is dict:
        return f"mapping of {_type(arguments[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if arguments:
        return " or ".join(dict.fromkeys(_type(item) for item in arguments))
    return str(getattr(annotation, "__name__", "any"))


def _summary(thing: object) -> str:
    """The first paragraph of a docstring, on one line."""
    text = inspect.cleandoc(thing.__doc__ or "").partition("\n\n")[0]
    return re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.split()))


def _code(value: object) -> str:
    return f"`{value}`".replace("|", "\\|")


def _cell(text: str) -> str:
    """A text in a table's cell; what looks like mark-up there is meant as it is."""
    plain = re.sub(r"([\[\]<>*_])", r"\\\1", " ".join(text.split()))
    parts = plain.split("`")
    return "`".join(part if place % 2 == 0 else part.replace("\\", "") for place, part in enumerate(parts)).replace(
        "|", "\\|"
    )
