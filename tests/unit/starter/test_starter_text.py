"""Is what is written read back as what was meant, with every suggestion one that works?"""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import target as targets
from edgepack import yamlfile
from edgepack.config import validate
from edgepack.errors import RecipeError
from edgepack.recipe import Recipe
from edgepack.starter.draft import draft
from edgepack.starter.text import flow, render

SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(VALUES)
def test_flow_is_read_back_as_the_same_value(value: Any) -> None:
    assert yamlfile.parse_value(f"[{flow(value)}]") == [value]


@pytest.mark.parametrize("text", ["no", "../own.h5", "setosa", "class 1", "1e3", "Null", "a: b", "#", "..", "~", "-"])
def test_texts_stay_texts(text: str) -> None:
    assert yamlfile.parse_value(f"[{flow(text)}]") == [text]


def facts(**changes: Any) -> dict[str, Any]:
    """What would be found of a thousand small images, without a model."""
    samples = {
        "shape": [28, 28, 1],
        "dtype": "uint8",
        "low": 0.0,
        "high": 255.0,
        "labels": ["0", "1", "2"],
        "columns": 0,
        "counts": {"train": 700, "validation": 150, "test": 150},
    }
    known = {"data": {"npz": "samples.npz"}, "samples": samples, "model": None, "tried": []}
    return {**known, **changes, "samples": {**samples, **changes.get("samples", {})}}


def document(found: dict[str, Any], model: dict[str, Any], *names: str, precisions: Any = ("float32", "int8")) -> str:
    loaded = [targets.load(name) for name in names or ("linux-amd64-cpu",)]
    return render(draft("mine", model, found, loaded, precisions))


def recipe(text: str) -> Recipe:
    return validate(Recipe, yamlfile.parse(text, source="recipe.yaml"))


OWN = {"input_shape": [28, 28, 1], "output_shape": [3], "keras": "3.11"}
CASES = [
    pytest.param(facts(), {}, id="new"),
    pytest.param(facts(model=OWN), {"file": "own.keras"}, id="own"),
    pytest.param(facts(model={**OWN, "output_shape": [10]}), {"file": "own.keras"}, id="other-classes"),
    pytest.param(facts(model={**OWN, "output_shape": [28, 28, 1]}), {"file": "own.keras"}, id="gives-back"),
    pytest.param(facts(model=OWN), {"artifacts": ["own.tflite"]}, id="finished"),
    pytest.param(
        facts(data={"csv": "t.csv", "target": "c", "table": {}}, samples={"shape": [4], "columns": 4}), {}, id="table"
    ),
]


@pytest.mark.parametrize(("found", "model"), CASES)
def test_recipe_is_one_with_and_without_each_suggestion(found: dict[str, Any], model: dict[str, Any]) -> None:
    text = document(found, model)
    assert recipe(text).name == "mine"
    lines = text.splitlines()
    suggestions = [number for number, line in enumerate(lines) if re.match(r"(  # |#   )(- )?[\w{]+:", line)]
    assert len(suggestions) > 1
    for number in suggestions:
        taken = list(lines)
        taken[number] = lines[number].replace("# ", "", 1)
        if lines[number].startswith("#"):  # its whole section is a suggestion
            section = max(place for place in range(number) if re.fullmatch(r"# \w+:", lines[place]))
            taken[section] = lines[section].removeprefix("# ")
        if "in place of" in lines[number]:
            taken = [line for line in taken if "in place of" in line or not re.match(r"  - \{use: (int8|qat)", line)]
        assert recipe("\n".join(taken)), lines[number]


@pytest.mark.parametrize(
    ("samples", "zoo"),
    [
        ({"shape": [4], "columns": 4}, "mlp"),
        ({"shape": [49, 10]}, "ds_cnn"),
        ({"shape": [8, 8, 1]}, "small_cnn"),
        ({"shape": [32, 32, 3]}, "resnet8"),
        ({"shape": [96, 96, 3]}, "mobilenet_v2"),
    ],
)
def test_architecture_suits_the_samples(samples: dict[str, Any], zoo: str) -> None:
    assert recipe(document(facts(samples=samples), {})).model.zoo == zoo  # type: ignore[attr-defined]


def test_preprocessing_is_the_one_that_the_model_is_right_with() -> None:
    tried = [
        {"scale": 1 / 255, "offset": 0.0, "right": 0.2, "samples": 100},
        {"scale": 1.0, "offset": 0.0, "right": 0.3, "samples": 100},
        {"scale": 2 / 255, "offset": -1.0, "right": 0.9, "samples": 100},
    ]
    text = document(facts(model=OWN, tried=tried), {"file": "own.keras"})
    assert recipe(text).data.preprocessing.offset == -1
    assert "right on 90% of 100 samples; 30% with x * 1, 20% with x * 0.003922" in text
    poor = [{**item, "right": 0.35} for item in tried]
    notes = draft(
        "mine", {"file": "f"}, facts(model=OWN, tried=poor), [targets.load("linux-amd64-cpu")], ["int8"]
    ).notes
    assert "hardly more than by chance" in notes[0]


def test_each_target_gets_what_it_runs() -> None:
    small = recipe(document(facts(), {}, "ethos-u55"))
    assert [(export.format, export.precision) for export in small.export] == [("tflite", "int8")]  # type: ignore[attr-defined]
    both = recipe(document(facts(), {}, "ethos-u55", "nvidia-gpu"))
    assert {export.format for export in both.export} == {"tflite", "onnx"}  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match="ethos-u55 runs none of the precisions float16"):
        document(facts(), {}, "ethos-u55", precisions=("float16",))


def test_finished_file_of_other_classes_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"outputs of shape \(10\), but the data have 3 classes"):
        document(facts(model={**OWN, "output_shape": [10]}), {"artifacts": ["own.tflite"]})
