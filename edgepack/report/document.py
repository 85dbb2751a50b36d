"""How does a report become report.json, and how is it read back?"""

import dataclasses
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from edgepack.errors import RecipeError
from edgepack.report.schema import SCHEMA, Document, Report
from edgepack.report.table import rows, verdicts

if TYPE_CHECKING:
    import pydantic


def to_json(report: Report) -> str:
    """The report as report.json keeps it, with its table and verdicts; strict JSON, the same every time."""
    fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(Report)}
    document = Document(**fields, rows=rows(report), verdicts=verdicts(report))
    return json.dumps(dataclasses.asdict(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Report:
    """Read report.json back.

    Args:
        text: The file's text.

    Returns:
        The report that was written; its table and verdicts are worked out again where they are asked for.

    Raises:
        RecipeError: It is no report, or one of another version.
    """
    import pydantic

    fix = "make it again with 'edgepack report OUT_DIR'"
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise RecipeError(f"report.json is not valid JSON: {error}", fix=fix) from error
    found = fields.get("schema") if isinstance(fields, dict) else None
    if found != SCHEMA:
        raise RecipeError(f"report.json has the schema {found!r}, expected {SCHEMA!r}", fix=fix)
    try:
        return _adapter().validate_python(fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"report.json, {where}: {first['msg']}", fix=fix) from error


@cache
def _adapter() -> "pydantic.TypeAdapter[Report]":
    """What checks a report; building it takes longer than reading one."""
    import pydantic

    return pydantic.TypeAdapter(Report)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of report.json, for programs that read it."""
    import pydantic

    schema = pydantic.TypeAdapter(Document).json_schema(mode="serialization")
    schema["$id"] = SCHEMA
    schema["properties"]["schema"] = {"const": SCHEMA}
    return schema
