"""Which teachers may a recipe name, what is wrong with the others, and when do cached results no longer hold?"""

from pathlib import Path
from typing import Any

import pytest

from edgepack import extensions, yamlfile
from edgepack.config import validate
from edgepack.errors import MissingError, RecipeError
from edgepack.recipe import Recipe
from edgepack.techniques import distill, qat
from edgepack.techniques._training import TrainedConfig, identity
from edgepack.training.distillation import Distillation, ZooTeacher

RECIPE = """\
data:
  sklearn: digits
model:
  zoo: mlp
compress:
  - use: qat
    distill:
      STEP
export:
  - {format: tflite, precision: int8}
targets: [linux-amd64-cpu]
"""


def checked(step: str) -> Distillation:
    recipe = validate(Recipe, yamlfile.parse(RECIPE.replace("STEP", step), source="r.yaml"))
    (config,) = recipe.compress
    assert isinstance(config, TrainedConfig) and config.distill is not None
    again = Recipe.model_validate(recipe.resolved())
    assert again == recipe, "it survives the way to a stage's process"
    return config.distill


def test_a_teacher_is_a_file_a_zoo_model_or_a_list_of_both() -> None:
    assert checked("weight: 0.5").teachers == ()
    assert checked("teacher: big.h5").teachers == ("big.h5",)
    trained = ZooTeacher(zoo="mlp", args={"units": [128]}, epochs=3)
    assert checked("teacher: {zoo: mlp, args: {units: [128]}, epochs: 3}").teachers == (trained,)
    assert checked("teacher: [big.h5, {zoo: mlp}]").teachers == ("big.h5", ZooTeacher(zoo="mlp"))


@pytest.mark.parametrize(
    ("step", "message", "fix"),
    [
        ("temprature: 2", "r.yaml:8: unknown key 'compress.0.distill.temprature'", "did you mean 'temperature'?"),
        ("weight: 1.5", "r.yaml:8: 'compress.0.distill.weight': input should be less than or equal to 1", ""),
        ("temperature: 0", "r.yaml:8: 'compress.0.distill.temperature': input should be greater than 0", ""),
        (
            "teacher: {zoo: mlp, epoch: 3}",
            "r.yaml:8: unknown key 'compress.0.distill.teacher.epoch'",
            "did you mean 'epochs'?",
        ),
        ("teacher: {epochs: 3}", "r.yaml:8: the key 'compress.0.distill.teacher.zoo' is missing", "add"),
        ("teacher: {zoo: mpl}", "r.yaml:8: 'compress.0.distill.teacher': unknown name 'mpl'", ""),
        ("teacher: 7", "r.yaml:8: 'compress.0.distill.teacher': expected a mapping of keys; received 7", ""),
        ("teacher: []", "r.yaml:8: 'compress.0.distill.teacher': expected at least one item", ""),
        (
            "{teacher: [a.h5, b.h5], hints: [{student: x, teacher: y}]}",
            "r.yaml:7: 'compress.0.distill': hints need one teacher, not a list of them",
            "",
        ),
    ],
)
def test_a_wrong_teacher_is_refused_in_one_line(step: str, message: str, fix: str) -> None:
    with pytest.raises(RecipeError) as caught:
        checked(step)
    assert caught.value.message.startswith(message), caught.value.message
    assert "\n" not in caught.value.message
    assert fix in caught.value.fix


def test_use_is_the_first_key_of_a_step() -> None:
    for config in (distill.Config(), qat.Config()):
        assert next(iter(config.model_dump())) == "use"


def trained() -> list[Any]:
    modules = [extensions.load("edgepack.techniques", name) for name in extensions.names("edgepack.techniques")]
    return [module for module in modules if issubclass(module.Config, TrainedConfig | Distillation)]


def test_every_step_that_may_have_a_teacher_tells_the_cache_of_it() -> None:
    assert {module.__name__.rsplit(".", 1)[-1] for module in trained()} >= {"distill", "qat"}
    for module in trained():
        assert module.identity is identity


def test_the_identity_of_a_step_is_the_content_of_its_teachers(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"one")
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "saved_model.pb").write_bytes(b"two")
    config = distill.Config(teacher=("a.h5", "saved"))
    first = identity(config, tmp_path)
    assert identity(qat.Config(distill=Distillation(teacher=("a.h5", "saved"))), tmp_path) == first
    assert identity(config, tmp_path) == first
    (saved / "saved_model.pb").write_bytes(b"three")
    second = identity(config, tmp_path)
    (tmp_path / "a.h5").write_bytes(b"four")
    assert len({str(found) for found in (first, second, identity(config, tmp_path))}) == 3
    assert identity(qat.Config(), tmp_path) is None
    assert identity(distill.Config(teacher={"zoo": "mlp"}), tmp_path) is None
    with pytest.raises(MissingError, match=r"distill\.teacher: there is nothing at"):
        identity(distill.Config(teacher="none.h5"), tmp_path)
