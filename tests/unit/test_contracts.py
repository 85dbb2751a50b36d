"""Does every extension hold what its kind promises? New files are found by themselves."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

import edgepack
from edgepack import columns, contracts, extensions
from edgepack.config import Config

ROOT = Path(edgepack.__file__).parent
FUNCTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "data": {"identity": ("config", "base"), "load": ("config", "base")},
    "features": {"rank": ("config", "matrix", "seed")},
    "models": {"identity": ("config", "base"), "build": ("config", "base", "input_shape", "classes")},
    "techniques": {"apply": ("model", "data", "config", "context")},
    "formats": {"convert": ("config", "out", "context")},
    "zoo": {"build": ("config", "input_shape", "classes")},
    "tasks": {
        "problems": ("recipe",),
        "prepare": ("config", "data"),
        "learnable": ("data", "split"),
        "targets": ("inputs", "labels"),
        "loss": ("model", "training"),
        "check_outputs": ("name", "shape", "data"),
    },
    "transports": {"connect": ("address",)},
    "rewrites": {"apply": ("graph",)},
    "schedules": {"rate": ("config", "peak", "span")},
    "trackers": {"track": ("config", "run")},
    "firmware": {"make": ("config", "artifact", "out", "context")},
    "runner/sessions": {"version": ()},
    "runner/tasks": {"figure": ("outputs", "inputs", "labels"), "agreement": ("reference", "outputs", "inputs")},
}
CONFIGS: dict[str, type[BaseModel]] = {
    "data": contracts.DataConfig,
    "features": columns.SelectionConfig,
    "models": contracts.ModelConfig,
    "techniques": contracts.TechniqueConfig,
    "formats": contracts.ExportConfig,
    "zoo": Config,
    "tasks": contracts.TaskConfig,
    "schedules": contracts.ScheduleConfig,
    "trackers": contracts.TrackerConfig,
    "firmware": contracts.FirmwareConfig,
}
CHOSEN_BY = {
    "techniques": "use",
    "formats": "format",
    "schedules": "use",
    "features": "use",
    "tasks": "use",
    "trackers": "use",
    "firmware": "use",
}


def every(*kinds: str) -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind}/{name}")
        for kind in kinds
        for name in extensions.names(f"edgepack.{kind.replace('/', '.')}")
    ]


def module(kind: str, name: str) -> ModuleType:
    return extensions.load(f"edgepack.{kind.replace('/', '.')}", name)


def tree(kind: str, name: str) -> ast.Module:
    return ast.parse((ROOT / kind / f"{name}.py").read_text())


@pytest.mark.parametrize(("kind", "name"), every(*FUNCTIONS))
def test_an_extension_has_the_promised_functions(kind: str, name: str) -> None:
    for function, parameters in FUNCTIONS[kind].items():
        found = getattr(module(kind, name), function)
        assert tuple(inspect.signature(found).parameters)[: len(parameters)] == parameters
        assert inspect.getdoc(found)


@pytest.mark.parametrize(("kind", "name"), every(*FUNCTIONS))
def test_a_module_says_which_question_it_answers(kind: str, name: str) -> None:
    docstring = ast.get_docstring(tree(kind, name))
    assert docstring is not None
    first = docstring.split("\n\n")[0]
    assert first.rstrip().endswith("?"), first


@pytest.mark.parametrize(("kind", "name"), every(*FUNCTIONS))
def test_a_module_imports_nothing_heavy_before_it_is_used(kind: str, name: str) -> None:
    heavy = {"tensorflow", "tf_keras", "tensorflow_model_optimization", "tf2onnx", "onnx", "onnxruntime", "docker"}
    heavy |= {"ai_edge_litert", "ethosu", "tflite_micro", "matplotlib", "mlflow", "sklearn", "PIL"}
    imported = {
        found.partition(".")[0]
        for node in tree(kind, name).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for found in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert imported & heavy == set()


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield prefix + name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize(("kind", "name"), every(*CONFIGS))
def test_a_configuration_explains_each_of_its_keys(kind: str, name: str) -> None:
    config = module(kind, name).Config
    assert issubclass(config, CONFIGS[kind])
    assert config.__doc__
    silent = [key for key, field in fields(config) if not field.description and key != CHOSEN_BY.get(kind)]
    assert silent == []


@pytest.mark.parametrize(("kind", "name"), every(*CHOSEN_BY))
def test_the_name_that_chooses_an_extension_is_its_file_name(kind: str, name: str) -> None:
    field = module(kind, name).Config.model_fields[CHOSEN_BY[kind]]
    assert field.default == name
    assert not field.is_required()


@pytest.mark.parametrize(("kind", "name"), every("data", "models"))
def test_the_key_that_chooses_a_source_is_its_file_name(kind: str, name: str) -> None:
    field = module(kind, name).Config.model_fields[name]
    assert field.is_required()


@pytest.mark.parametrize(("kind", "name"), every("formats"))
def test_a_format_names_its_files(kind: str, name: str) -> None:
    suffix = module(kind, name).SUFFIX
    assert suffix.isalnum() and suffix == suffix.lower()


@pytest.mark.parametrize(("kind", "name"), every("transports"))
def test_a_transport_pushes_and_runs(kind: str, name: str) -> None:
    returned = inspect.signature(module(kind, name).connect).return_annotation
    assert inspect.isclass(returned)
    for method in ("push", "run", "ask", "close", "__enter__", "__exit__"):
        assert callable(getattr(returned, method))
    assert "timeout_s" in inspect.signature(returned.run).parameters


@pytest.mark.parametrize(("kind", "name"), every("runner/sessions"))
def test_a_session_says_what_it_needs_and_what_it_runs(kind: str, name: str) -> None:
    session = module(kind, name)
    suffixes = {module("formats", other).SUFFIX for other in extensions.names("edgepack.formats")}
    assert session.FORMAT in suffixes
    assert isinstance(session.MODULE, str)
    assert session.ACCELERATOR is None or session.ACCELERATOR
    assert session.REQUIREMENTS and all(isinstance(item, str) for item in session.REQUIREMENTS)
    assert all(isinstance(item, str) for item in session.EXCLUDE)
    for method in ("set_inputs", "get_outputs", "run", "close", "__enter__", "__exit__"):
        assert callable(getattr(session.Session, method))
    assert tuple(inspect.signature(session.Session).parameters)[:2] == ("path", "threads")


@pytest.mark.parametrize(("kind", "name"), every("rewrites"))
def test_a_rewrite_says_for_whom_it_is(kind: str, name: str) -> None:
    assert module(kind, name).SCOPE in ("structure", "quantisation")


SECTIONS = ["edgepack.recipe:Recipe", "edgepack.target:Target"]


@pytest.mark.parametrize("where", SECTIONS)
def test_recipes_and_targets_explain_each_of_their_keys(where: str) -> None:
    import importlib

    home, _, name = where.partition(":")
    model = getattr(importlib.import_module(home), name)
    sections = {"data", "model", "training", "gates", "verify", "bench", "training.augment"}
    silent = [key for key, field in fields(model) if not field.description and key not in sections]
    assert silent == []


FILES = sorted(path for path in ROOT.rglob("*.py") if "_data" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
