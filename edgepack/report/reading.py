"""How is a JSON document of unknown health read without ever failing on it?"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgepack.report.schema import Scalar

Doc = Mapping[str, Any]

LARGEST_INTEGER = 2**63 - 1


def read_document(path: Path, schema: str) -> tuple[Doc, str | None]:
    """Read a JSON file of a known schema.

    Args:
        path: The file.
        schema: What its "schema" key has to be, such as "edgepack.manifest/1".

    Returns:
        The document and None, or an empty one and the reason why there is nothing.
    """
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, f"{path.name} is not there"
    except OSError as error:
        return {}, f"{path.name} cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return {}, f"{path.name} is not valid JSON"
    if not isinstance(document, dict):
        return {}, f"{path.name} holds a {type(document).__name__}, expected an object"
    if document.get("schema") != schema:
        return {}, f"{path.name} has the schema {_short(document.get('schema'))}, expected {schema!r}"
    cleaned: Doc = clean(document)
    return cleaned, None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def clean(value: Any) -> Any:
    """The same value, fit for strict JSON and for UTF-8: no NaN, half surrogate or control character."""
    if isinstance(value, str):
        whole = value.encode("utf-8", "replace").decode("utf-8")
        return "".join(c if c.isprintable() or c in "\n\t" else " " for c in whole)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= LARGEST_INTEGER else None
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


def text(doc: Doc, key: str) -> str | None:
    """The non-empty text under a key, or None."""
    value = doc.get(key)
    return value if isinstance(value, str) and value else None


def number(doc: Doc, key: str) -> float | None:
    """The finite number under a key, or None."""
    value = doc.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def integer(doc: Doc, key: str) -> int | None:
    """The whole number under a key, or None."""
    value = doc.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(doc: Doc, key: str) -> bool:
    """Whether the value under a key is exactly true."""
    return doc.get(key) is True


def mapping(doc: Doc, key: str) -> Doc:
    """The object under a key, or an empty one."""
    value = doc.get(key)
    return value if isinstance(value, dict) else {}


def objects(doc: Doc, key: str) -> tuple[Doc, ...]:
    """The objects of the list under a key; whatever else it holds is left out."""
    value = doc.get(key)
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def texts(doc: Doc, key: str) -> tuple[str, ...]:
    """The texts of the list under a key; whatever else it holds is left out."""
    value = doc.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def numbers(doc: Doc, key: str) -> tuple[float, ...]:
    """The numbers of the list under a key; whatever else it holds is left out."""
    value = doc.get(key)
    if not isinstance(value, list):
        return ()
    return tuple(float(x) for x in value if isinstance(x, int | float) and not isinstance(x, bool))


def scalars(doc: Doc, prefix: str = "") -> dict[str, Scalar]:
    """A nested object made flat: {"a": {"b": 1}} gives {"a.b": 1}; a list becomes its JSON text."""
    flat: dict[str, Scalar] = {}
    for key, value in doc.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(scalars(value, f"{name}."))
        elif isinstance(value, list):
            flat[name] = ", ".join(x if isinstance(x, str) else json.dumps(x) for x in value)
        else:
            flat[name] = value
    return flat
