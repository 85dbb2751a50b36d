"""Is a recipe read with its defaults, its overrides, and a digest that says what it says?"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import extensions, recipe
from edgepack.errors import MissingError, RecipeError
from edgepack.recipe import STAGES, Recipe
from edgepack.resources import PACKAGE

EXAMPLES = sorted((PACKAGE.parent / "examples").glob("*/recipe.yaml"))
TEXT = """\
data: {sklearn: digits}
model: {zoo: mlp}
export:
  - {format: tflite, precision: int8}
targets: [linux-amd64-cpu]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "some-task"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(TEXT)
    return folder / "recipe.yaml"


def test_defaults_are_filled_in(path: Path) -> None:
    loaded = recipe.load(path)
    assert (loaded.name, loaded.seed, loaded.compress) == ("some-task", 0, ())
    assert loaded.training.epochs == 10
    assert (loaded.verify.golden, loaded.verify.samples) == (32, None)
    assert loaded.gates.max_accuracy_drop is None


def test_a_recipe_of_another_name_names_its_task(path: Path) -> None:
    other = path.with_name("wine.yaml")
    other.write_text(TEXT)
    assert recipe.load(other).name == "wine"
    assert recipe.load(other, overrides=["name=beer"]).name == "beer"


def test_a_saved_model_is_not_trained_unless_asked_to(path: Path) -> None:
    assert recipe.load(path, overrides=["model={file: m.keras}"]).training.epochs == 0
    assert recipe.load(path, overrides=["model={file: m.keras}", "training.epochs=2"]).training.epochs == 2


@pytest.mark.parametrize(
    ("override", "keys", "value"),
    [
        ("training.epochs=3", ["training", "epochs"], 3),
        ("training.learning_rate=1e-2", ["training", "learning_rate"], 0.01),
        ("training.augment.flip=true", ["training", "augment", "flip"], True),
        ("export.0.precision=float32", ["export", 0, "precision"], "float32"),
        ("targets=[nvidia-gpu, android-arm64]", ["targets"], ["nvidia-gpu", "android-arm64"]),
        ("gates={max_size_kib: 20}", ["gates", "max_size_kib"], 20.0),
        ("model.args={units: [8]}", ["model", "args"], {"units": [8]}),
        ("name=a=b", None, None),
    ],
)
def test_single_keys_can_be_changed(path: Path, override: str, keys: list[Any] | None, value: Any) -> None:
    if keys is None:
        with pytest.raises(RecipeError, match="'name'"):
            recipe.load(path, overrides=[override])
        return
    found: Any = recipe.load(path, overrides=[override]).resolved()
    for key in keys:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "expected KEY=VALUE, received 'training.epochs'"),
        ("=3", "expected KEY=VALUE, received '=3'"),
        ("export.1.precision=int8", "there is no key '1' to set"),
        ("export.first=1", "there is no key 'first' to set"),
        ("targets.0.x=1", "there is no key 'x' to set"),
        ("training.epochs=[", "is not YAML"),
        ("training.epohcs=3", "unknown key 'training.epohcs'"),
    ],
)
def test_an_override_that_changes_nothing_known_is_refused(path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load(path, overrides=[override])
    assert message in caught.value.message


def test_targets_of_the_command_line_replace_the_recipes(path: Path) -> None:
    assert recipe.load(path, targets=["android-arm64"]).targets == ("android-arm64",)


def test_the_digest_is_that_of_what_is_said_not_of_how(path: Path) -> None:
    digest = recipe.load(path).sha256()
    other = path.with_name("other.yaml")
    other.write_text(
        "# the same\n\ntargets:\n  - linux-amd64-cpu\nname: some-task\nseed: 0\n"
        "export: [{precision: int8, format: tflite}]\nmodel:\n  zoo: mlp\ntraining: {epochs: 10}\n"
        "data:\n  sklearn: 'digits'\n"
    )
    assert recipe.load(other).sha256() == digest
    assert len(digest) == 64


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_digests_differ_as_recipes_do(a: int, b: int) -> None:
    base = {
        "data": {"sklearn": "wine"},
        "model": {"zoo": "mlp"},
        "export": [{"format": "onnx", "precision": "int8"}],
        "targets": ["x"],
    }
    first, second = (Recipe.model_validate({**base, "seed": seed}) for seed in (a, b))
    assert (first.sha256() == second.sha256()) == (a == b)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_good_and_survive_json(path: Path) -> None:
    loaded = recipe.load(path)
    assert loaded.name == path.parent.name
    again = Recipe.model_validate(json.loads(json.dumps(loaded.resolved())))
    assert again == loaded
    assert again.sha256() == loaded.sha256()


SECTIONS = {
    "edgepack.data": ("data", None),
    "edgepack.models": ("model", None),
    "edgepack.techniques": ("compress", "use"),
    "edgepack.formats": ("export", "format"),
}


def example_value(schema: dict[str, Any]) -> Any:
    """A value that a key's schema accepts."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [example_value(item) for item in schema.get("prefixItems", ())] or [1]
    return {"string": "text", "integer": 1, "number": 0.5}[schema["type"]]


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in SECTIONS for name in extensions.names(package)]
)
def test_every_extension_can_be_reached_from_a_recipe(path: Path, package: str, name: str) -> None:
    section, by = SECTIONS[package]
    schema = extensions.load(package, name).Config.model_json_schema()
    keys = {key: example_value(schema["properties"][key]) for key in schema.get("required", ())}
    if by:
        keys[by] = name
    if (package, name) == ("edgepack.models", "zoo"):
        keys["zoo"] = "mlp"
    if (package, name) == ("edgepack.models", "artifacts"):
        keys["artifacts"] = ["model.tflite"]
    override = json.dumps([keys] if by else keys)
    loaded = recipe.load(path, overrides=[f"{section}={override}"])
    config = getattr(loaded, section)
    assert type(config[0] if by else config).__module__ == f"{package}.{name}"


def test_the_schema_names_every_extension() -> None:
    schema = json.dumps(Recipe.model_json_schema())
    for package, (_, by) in SECTIONS.items():
        for name in extensions.names(package):
            assert f'"{name}"' in schema, f"{package}.{name} (by {by})"


def test_a_missing_recipe_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        recipe.load(tmp_path / "absent.yaml")


def test_whatever_is_wrong_with_a_value_is_placed_in_the_recipe(path: Path) -> None:
    with (
        pytest.raises(MissingError, match=r"recipe.yaml:3: it is gone") as caught,
        recipe.located(path, ("export", 4)),
    ):
        raise MissingError("it is gone", fix="find it")
    assert caught.value.fix == "find it"


def test_the_stages_are_in_the_documented_order() -> None:
    assert STAGES == ("data", "train", "compress", "export", "verify", "image", "bench", "report")
