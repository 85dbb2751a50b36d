"""Are the zeros of a pruned model where the recipe wants them, in the final file as well?"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import SHAPES, by_shape, context, digits, files, network

from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.schedules import constant
from edgepack.verify.weights import judge, weights

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits()


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    return network(data)


def test_shares_differ_by_layer_and_are_in_the_file(data: Dataset, trained: Any, tmp_path: Path) -> None:
    from edgepack.techniques import prune
    from edgepack.training.fit import evaluate

    config = prune.Config(sparsity=0.6, layers={"Conv2D": 0.5, "stem": 0.25}, exclude=("class*",), epochs=3)
    given = trained.get_weights()
    result = prune.apply(trained, data, config, context=context())
    for before, after in zip(given, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after, err_msg="the model that was given has changed")
    found = by_shape(files(result.model, data, tmp_path, quantised=False))
    for layer, share in (("stem", 0.25), ("pointwise", 0.5), ("conv", 0.5)):
        size = int(np.prod(SHAPES[layer]))
        assert found[SHAPES[layer]].zeros == pytest.approx(share * size, abs=1), layer
    assert found[SHAPES["classifier"]].zeros == 0
    status = {note.layer: (note.status, note.reason) for note in result.layers}
    assert status["stem"] == ("pruned", "25.0% of its weights are zero")
    assert status["classifier"] == ("skipped", "excluded by the recipe")
    assert status["depthwise"][0] == "skipped"
    assert "depthwise" in status["depthwise"][1]
    assert result.metrics["val_accuracy_after"] > evaluate(trained, data)["val_accuracy"] - 0.1


@pytest.mark.parametrize(("zeros", "group"), [(2, 4), (3, 8)])
def test_patterns_lie_along_the_input_channels_of_the_file(
    data: Dataset, trained: Any, tmp_path: Path, zeros: int, group: int
) -> None:
    from edgepack.techniques import prune

    result = prune.apply(trained, data, prune.Config(pattern=(zeros, group), epochs=1), context=context())
    path = files(result.model, data, tmp_path, quantised=False)
    found = by_shape(path)
    for layer in ("pointwise", "conv", "classifier"):
        # As TensorFlow Lite stores them: (outputs, height, width, inputs) and (outputs, inputs).
        stored = found[SHAPES[layer]].values
        groups = stored.reshape(-1, group)
        assert stored.shape[-1] % group == 0
        assert set((groups == 0).sum(-1)) == {zeros}, layer
    reasons = {note.layer: note.reason for note in result.layers}
    assert reasons["stem"] == f"it has 1 input channels, fewer than the {group} of the pattern"
    judged = judge(weights(path), [asdict(promise) for promise in result.promises], artifact=path.name)
    assert {item.gate: (item.limit, item.value, item.status) for item in judged}["kept_pattern"] == (
        zeros,
        zeros,
        "ok",
    )


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_blocks_are_zero_together_in_convolutions_as_well(
    data: Dataset, trained: Any, tmp_path: Path, pooling: str
) -> None:
    from edgepack.techniques import prune

    rows, columns = 2, 4
    config = prune.Config(
        sparsity=0.5, block_size=(rows, columns), block_pooling=pooling, include=("conv", "pointwise"), epochs=2
    )
    result = prune.apply(trained, data, config, context=context())
    found = by_shape(files(result.model, data, tmp_path, quantised=False))
    for layer in ("pointwise", "conv"):
        stored = found[SHAPES[layer]].values
        outputs = stored.shape[0]
        matrix = stored.reshape(outputs, -1)
        blocks = matrix.reshape(outputs // columns, columns, -1, rows).swapaxes(1, 2).reshape(-1, columns * rows)
        empty = (blocks == 0).all(-1)
        assert empty.mean() == pytest.approx(0.5, abs=1.01 / len(blocks)), layer
        assert not (blocks[~empty] == 0).any(), layer
    assert {note.reason for note in result.layers if note.layer == "stem"} == {"not included by the recipe"}


def test_quantised_training_keeps_the_pattern_in_the_int8_file(data: Dataset, trained: Any, tmp_path: Path) -> None:
    from edgepack.techniques import prune, qat

    pruned = prune.apply(trained, data, prune.Config(pattern=(2, 4), epochs=1), context=context())
    result = qat.apply(pruned.model, data, qat.Config(epochs=1, learning_rate=0.001), context=context())
    path = files(result.model, data, tmp_path, quantised=True)
    stored = by_shape(path)
    for layer in ("pointwise", "conv", "classifier"):
        groups = stored[SHAPES[layer]].values.reshape(-1, 4)
        assert (groups == 0).sum(-1).min() >= 2, layer
        assert (groups == 0).mean() < 0.6, layer
    judged = judge(weights(path), [asdict(promise) for promise in pruned.promises], artifact=path.name)
    assert [(item.gate, item.status) for item in judged] == [("kept_sparsity", "ok"), ("kept_pattern", "ok")]


def test_a_file_that_lost_its_zeros_is_found_out(data: Dataset, trained: Any, tmp_path: Path) -> None:
    from edgepack.techniques import prune
    from edgepack.training.fit import fit

    result = prune.apply(trained, data, prune.Config(epochs=1), context=context())
    options: dict[str, Any] = {"learning_rate": 0.001, "schedule": constant.Config(), "seed": 0, "label": "test"}
    # Plain training knows nothing of what pruning left.
    fit(result.model, data, context().training, epochs=1, progress=lambda _: None, **options)
    path = files(result.model, data, tmp_path, quantised=False)
    (judged,) = judge(weights(path), [asdict(promise) for promise in result.promises], artifact=path.name)
    assert (judged.gate, judged.status) == ("kept_sparsity", "failed")
    assert judged.value is not None
    assert judged.value < 0.05 < judged.limit


def test_a_teacher_helps_and_the_zeros_stay(data: Dataset, trained: Any, tmp_path: Path) -> None:
    from edgepack.keras_models.save import save
    from edgepack.techniques import prune
    from edgepack.training.fit import evaluate

    teacher = tmp_path / "teacher.h5"
    save(trained, teacher)
    config = prune.Config.model_validate({"sparsity": 0.8, "epochs": 2, "distill": {"teacher": str(teacher)}})
    result = prune.apply(trained, data, config, context=context())
    assert result.metrics["teacher_val_accuracy"] == pytest.approx(evaluate(trained, data)["val_accuracy"])
    assert result.metrics["sparsity"] == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("keys", "name", "fix"),
    [
        ({"exclude": ("clasifier",)}, "clasifier", "did you mean 'classifier'?"),
        ({"include": ("Conv1D",)}, "Conv1D", "did you mean 'Conv2D'?"),
        ({"layers": {"conv_*": 0.5}}, "conv_", ""),
    ],
)
def test_filters_that_fit_no_layer_are_refused(
    data: Dataset, trained: Any, keys: dict[str, Any], name: str, fix: str
) -> None:
    from edgepack.techniques import prune

    with pytest.raises(RecipeError, match=name) as caught:
        prune.apply(trained, data, prune.Config(**keys), context=context())
    assert not fix or caught.value.fix == fix


def test_a_step_that_would_do_nothing_is_refused(data: Dataset, trained: Any) -> None:
    from edgepack.techniques import prune

    with pytest.raises(RecipeError, match="found no layer to work on"):
        prune.apply(trained, data, prune.Config(include=("DepthwiseConv2D",)), context=context())
