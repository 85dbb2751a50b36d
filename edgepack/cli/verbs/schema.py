"""edgepack schema: what may a recipe or a target say?"""

from typing import Annotated, Literal

import typer


def command(of: Annotated[Literal["recipe", "target"], typer.Argument(help="recipe or target")]) -> int:
    """Print the JSON Schema, for editors and validators."""
    from edgepack.cli.output import print_json
    from edgepack.config import Config
    from edgepack.recipe import Recipe
    from edgepack.target import Target

    models: dict[str, type[Config]] = {"recipe": Recipe, "target": Target}
    schema = models[of].model_json_schema()
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    return 0
