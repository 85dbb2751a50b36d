"""How is text from a user turned into frozen, checked configuration, with errors that name file, line and key?"""

from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgepack import extensions
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean
from edgepack.yamlfile import Document

WANTED = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "expected a mapping of keys"),
    **dict.fromkeys(("tuple_type", "list_type"), "expected a list"),
    "too_short": "expected at least one item",
}
"""Pydantic's kinds of error that speak of Python rather than of YAML, in the words of a recipe."""

NAMED = 30
"""Problems of one document that are told; nobody reads more at once."""


class Config(BaseModel):
    """Base of every configuration model: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


@dataclass(frozen=True)
class Extension:
    """Marks a field whose keys are those of an extension's ``Config``, chosen by name.

    The choice is made by a key of its own (``by="use"`` for ``use: prune``) or, when ``by`` is None, by the
    one key that is the name of an extension (``sklearn: digits``). With a key of its own, the bare name stands for the
    extension with all its defaults: ``schedule: cosine`` is ``schedule: {use: cosine}``.
    """

    package: str
    by: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        known = extensions.names(self.package)
        choices = {name: handler.generate_schema(extensions.load(self.package, name).Config) for name in known}

        def choose(value: Any) -> str | None:
            if isinstance(value, BaseModel):
                return extensions.name_of(value)
            if not isinstance(value, dict):
                return None
            if self.by is not None:
                chosen = value.get(self.by)
                return chosen if isinstance(chosen, str) else None
            named = [key for key in value if key in choices]
            return str(named[0]) if len(named) == 1 else None

        union = core_schema.tagged_union_schema(choices, choose)
        if self.by is None:
            return union
        return core_schema.no_info_before_validator_function(self._spelt_out, union)

    def _spelt_out(self, value: Any) -> Any:
        return {self.by: value} if isinstance(value, str) else value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(schema)
        if self.by is None:
            return found
        return {"anyOf": [found, {"enum": list(extensions.names(self.package)), "type": "string"}]}


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], document: Document) -> Model:
    """Check a YAML document against a configuration model.

    Raises:
        RecipeError: One line per problem: file, line, key, what was received, what was expected.
    """
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        found = error.errors()
        # A list whose only item is wrong counts as empty, too: the item's own problem says it all.
        inside = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
        problems = [
            _explain(item, model, document)
            for item in found
            if item["type"] != "too_short" or item["loc"] not in inside
        ]
        messages = "\n".join(message for message, _ in problems[:NAMED])
        if len(problems) > NAMED:
            messages += f"\n{document.source}: and {len(problems) - NAMED:,} more"
        fixes = list(dict.fromkeys(fix for _, fix in problems[:NAMED] if fix))
        raise RecipeError(messages, fix="; ".join(fixes)) from error


def _explain(item: Any, model: type[BaseModel], document: Document) -> tuple[str, str]:
    location = _in_document(item["loc"], document.content, model)
    where = document.where(location)
    key = ".".join(str(part) for part in location) or "(top level)"
    received = _short(item.get("input"))
    kind = item["type"]
    if kind == "extra_forbidden":
        known = _known_keys(model, item["loc"])
        hint = did_you_mean(str(location[-1]), known)
        return f"{where}: unknown key {key!r}; expected one of: {', '.join(known)}", hint or "remove the key"
    if kind == "missing":
        return f"{where}: the key {key!r} is missing", f"add {key!r}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        known = list(_known_kinds(model, item["loc"]))
        tag = item.get("ctx", {}).get("tag")
        candidates = [tag] if tag else list(item["input"]) if isinstance(item.get("input"), dict) else []
        hints = [hint for hint in (did_you_mean(str(name), known) for name in candidates) if hint]
        return (
            f"{where}: {key!r} must name exactly one of: {', '.join(known)}; received {tag or received}",
            hints[0] if hints else "use one of the names above",
        )
    text = WANTED.get(kind) or item["msg"].removeprefix("Value error, ")
    return f"{where}: {key!r}: {text[:1].lower()}{text[1:]}; received {received}", f"correct {key!r}"


def first_message(error: ValidationError) -> str:
    """What the first of the problems is, without pydantic's name for its kind."""
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _in_document(location: tuple[str | int, ...], content: Any, model: type[BaseModel]) -> tuple[str | int, ...]:
    """Drop the parts of an error's location that pydantic adds: names of extensions and of validators."""
    kept: list[str | int] = []
    node = content
    spelt_out = False
    for index, part in enumerate(location):
        if isinstance(part, str) and _owner(model, location[:index])[1] is not None:
            spelt_out = isinstance(node, str)  # a name alone, whose other keys are those that are missing
            continue  # the extension's name: `data.sklearn.image_shape` stands at `data.image_shape`
        last = index == len(location) - 1
        present = part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))
        if present:
            kept.append(part)
            node = node[part]
        elif last and isinstance(part, str) and (isinstance(node, dict) or spelt_out):
            kept += [] if part.startswith("function-") else [part]
    return tuple(kept)


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand beside the one at ``location``."""
    owner, _ = _owner(model, location[:-1])
    return sorted(owner.model_fields)


def _known_kinds(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[str, ...]:
    """The extension names that may be chosen at ``location``."""
    _, extension = _owner(model, location)
    return extensions.names(extension.package) if extension else ()


def _owner(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[type[BaseModel], Extension | None]:
    """Walk down a location: the model that holds it, and the extension point that it ends on, if any."""
    owner, extension = model, None
    for part in location:
        if extension is not None and isinstance(part, str):
            owner, extension = extensions.load(extension.package, part).Config, None
        elif isinstance(part, str) and part in owner.model_fields:
            field = owner.model_fields[part]
            kinds = [*field.metadata, *_leaves(field.annotation)]
            extension = next((kind for kind in kinds if isinstance(kind, Extension)), None)
            nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
            owner = nested[0] if nested and extension is None else owner
    return owner, extension


def _leaves(annotation: Any) -> list[Any]:
    parts = get_args(annotation)
    return [annotation] if not parts else [leaf for part in parts for leaf in _leaves(part)]


def _short(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
