"""Does every kind of mistake in a recipe give file, line, key, what was received, and what was expected?"""

from typing import Any

import pytest
from pydantic import ValidationError

from edgepack import extensions, yamlfile
from edgepack.config import Config, validate
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe

TECHNIQUES = ", ".join(extensions.names("edgepack.techniques"))

GOOD = """\
name: small
data:
  sklearn: digits
  image_shape: [8, 8, 1]
model:
  zoo: mlp
compress:
  - use: prune
    sparsity: 0.5
  - use: qat
export:
  - {format: tflite, precision: int8}
targets: [linux-amd64-cpu]
training:
  augment:
    shift: 2
"""


def checked(text: str) -> Recipe:
    return validate(Recipe, yamlfile.parse(text, source="r.yaml"))


def refused(old: str, new: str) -> RecipeError:
    assert GOOD.count(old) == 1
    with pytest.raises(RecipeError) as caught:
        checked(GOOD.replace(old, new))
    return caught.value


def test_the_example_is_good() -> None:
    recipe = checked(GOOD)
    assert type(recipe.data).__module__ == "edgepack.data.sklearn"
    assert type(recipe.model).__module__ == "edgepack.models.zoo"
    assert [type(step).__module__ for step in recipe.compress] == [
        "edgepack.techniques.prune",
        "edgepack.techniques.qat",
    ]
    assert [type(step).__module__ for step in recipe.export] == ["edgepack.formats.tflite"]


@pytest.mark.parametrize(
    ("old", "new", "message", "fix"),
    [
        # At the top, in a section, two sections down, in a list, in an extension.
        ("training:", "trainig:", "r.yaml:14: unknown key 'trainig'; expected one of: bench, compress", "'training'"),
        ("  augment:", "  augmnt:", "r.yaml:15: unknown key 'training.augmnt'; expected one of: augment", "'augment'"),
        ("    shift:", "    shft:", "r.yaml:16: unknown key 'training.augment.shft'", "'shift'"),
        ("sparsity:", "sparsty:", "r.yaml:9: unknown key 'compress.0.sparsty'; expected one of: begin", "'sparsity'"),
        ("image_shape:", "image_shap:", "r.yaml:4: unknown key 'data.image_shap'", "'image_shape'"),
        (
            "zoo: mlp",
            "zoo: mlp\n  arg: 1",
            "r.yaml:7: unknown key 'model.arg'; expected one of: args, new_head, weights, zoo",
            "'args'",
        ),
        ("shift: 2", "shift: 2\n    zzz: 3", "r.yaml:17: unknown key 'training.augment.zzz'", "remove the key"),
        # Names of extensions.
        ("sklearn:", "sklern:", "r.yaml:2: 'data' must name exactly one of: csv, idx,", "'sklearn'"),
        (
            "zoo: mlp",
            "zoo: mlp\n  file: x",
            "r.yaml:5: 'model' must name exactly one of: artifacts, file, python, zoo",
            "",
        ),
        (
            "use: qat",
            "use: qta",
            f"r.yaml:10: 'compress.1' must name exactly one of: {TECHNIQUES}; received qta",
            "'qat'",
        ),
        ("format: tflite,", "", "r.yaml:12: 'export.0' must name exactly one of: onnx, tflite", "names above"),
        ("use: qat", "use: [qat]", "r.yaml:10: 'compress.1' must name exactly one of", ""),
        ("zoo: mlp", "zoo: mpl", "r.yaml:5: 'model': unknown name 'mpl' in zoo; expected one of: ", ""),
        # Missing keys.
        ("targets: [linux-amd64-cpu]\n", "", "r.yaml: the key 'targets' is missing", "add 'targets'"),
        (", precision: int8", "", "r.yaml:12: the key 'export.0.precision' is missing", "add 'export.0.precision'"),
        # Types and ranges.
        ("shift: 2", "shift: two", "r.yaml:16: 'training.augment.shift': input should be a valid integer", "correct"),
        ("shift: 2", "shift: 2.5", "r.yaml:16: 'training.augment.shift': input should be a valid integer", "correct"),
        ("shift: 2", "shift: 65", "r.yaml:16: 'training.augment.shift': input should be less than", "correct"),
        ("sparsity: 0.5", "sparsity: 1", "r.yaml:9: 'compress.0.sparsity': input should be less than 1", "correct"),
        ("sparsity: 0.5", "sparsity: .nan", "r.yaml:9: 'compress.0.sparsity': input should be", "correct"),
        ("[8, 8, 1]", "[8, 0, 1]", "r.yaml:4: 'data.image_shape.1': input should be greater than 0", "correct"),
        ("[8, 8, 1]", "64", "r.yaml:4: 'data.image_shape': expected a list; received 64", "correct"),
        ("precision: int8", "precision: int4", "r.yaml:12: 'export.0.precision': input should be 'float32'", ""),
        ("[linux-amd64-cpu]", "[]", "r.yaml:13: 'targets': expected at least one item; received []", "correct"),
        ("    shift: 2", "    3", "r.yaml:15: 'training.augment': expected a mapping of keys; received 3", "correct"),
        ("name: small", "name: Not Small", "r.yaml:1: 'name': string should match pattern", "correct"),
        # Keys that do not go together.
        ("sparsity: 0.5", "begin: 0.7", "r.yaml:8: 'compress.0': begin (0.7) must be below end (0.6)", "correct"),
    ],
)
def test_one_mistake_gives_one_line(old: str, new: str, message: str, fix: str) -> None:
    error = refused(old, new)
    assert error.message.startswith(message), error.message
    assert "\n" not in error.message
    assert fix in error.fix and error.fix


def test_every_mistake_has_its_line_and_its_fix() -> None:
    text = GOOD.replace("sparsity: 0.5", "sparsty: 0.5").replace("shift: 2", "shift: -1").replace("zoo: mlp", "zoo: 3")
    with pytest.raises(RecipeError) as caught:
        checked(text)
    lines = caught.value.message.splitlines()
    assert {line.split(" ")[0] for line in lines} == {"r.yaml:6:", "r.yaml:9:", "r.yaml:16:"}
    assert set(caught.value.fix.split("; ")) == {
        "correct 'model.zoo'",
        "did you mean 'sparsity'?",
        "correct 'training.augment.shift'",
    }


def test_long_values_are_cut() -> None:
    error = refused("name: small", f"name: '{'x' * 500}'")
    assert error.message.endswith("xxx...")
    assert len(error.message) < 300


def test_configuration_is_frozen() -> None:
    recipe = checked(GOOD)
    with pytest.raises(ValidationError):
        recipe.seed = 3  # type: ignore[misc]


def test_a_validated_model_is_accepted_as_it_is() -> None:
    recipe = checked(GOOD)
    again = Recipe.model_validate({**recipe.model_dump(serialize_as_any=True), "data": recipe.data})
    assert again == recipe


KINDS = [("edgepack.data", ""), ("edgepack.models", ""), ("edgepack.techniques", "use"), ("edgepack.formats", "format")]


@pytest.mark.parametrize(
    "config", [extensions.load(package, name).Config for package, _ in KINDS for name in extensions.names(package)]
)
def test_every_extensions_configuration_is_strict(config: type[Config]) -> None:
    settings: dict[str, Any] = dict(config.model_config)
    assert (settings["extra"], settings["frozen"], settings["allow_inf_nan"]) == ("forbid", True, False)


def test_of_many_problems_the_first_are_told() -> None:
    text = "\n".join(f"  - {number}" for number in range(500))
    with pytest.raises(RecipeError) as caught:
        validate(Recipe, yamlfile.parse(f"export:\n{text}\n", source="r.yaml"))
    assert len(caught.value.message.splitlines()) == 31
    assert caught.value.message.endswith("more")
