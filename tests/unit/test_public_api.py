"""What does `import edgepack` offer, and what does it cost?"""

import subprocess
import sys

import pytest

import edgepack

NAMES = [
    "BudgetError",
    "ConversionError",
    "DeviceError",
    "EdgepackError",
    "MissingError",
    "Outcome",
    "Plan",
    "Recipe",
    "RecipeError",
    "Target",
    "VerificationError",
    "__version__",
    "collect",
    "load_recipe",
    "load_target",
    "make_plan",
    "run",
]
HEAVY = (
    "tensorflow",
    "tf_keras",
    "numpy",
    "pydantic",
    "rich",
    "typer",
    "docker",
    "onnx",
    "matplotlib",
    "ruamel",
    "jinja2",
)


def loaded_by(program: str) -> set[str]:
    """Top-level modules that a program leaves in ``sys.modules``."""
    argv = [
        sys.executable,
        "-c",
        f"{program}\nimport sys; print(' '.join({{n.partition('.')[0] for n in sys.modules}}))",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.splitlines()[-1].split())


def test_the_public_names_are_these() -> None:
    assert sorted(edgepack.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    value = getattr(edgepack, name)
    assert value is not None
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fly'"):
        _ = edgepack.fly  # type: ignore[attr-defined]


def test_importing_edgepack_imports_nothing_heavy() -> None:
    assert loaded_by("import edgepack") & set(HEAVY) == set()


def test_making_a_plan_imports_no_tensorflow() -> None:
    program = (
        "from edgepack import cli, delivery, pipeline, recipe, target, worker\nfrom edgepack.stages import data, verify"
    )
    assert loaded_by(program) & {"tensorflow", "tf_keras", "tensorflow_model_optimization", "docker"} == set()
