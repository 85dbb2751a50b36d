"""Do pruning and quantisation-aware training do to the weights what they say?"""

from typing import Any

import numpy as np
import pytest
from compressing import digits

from edgepack.contracts import TechniqueContext
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.schedules import constant, one_cycle
from edgepack.training.config import Training

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits(600, 200, 200)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    """A small network that learned a little."""
    import tf_keras

    from edgepack.training.fit import fit
    from edgepack.zoo import small_cnn

    tf_keras.utils.set_random_seed(0)
    model = small_cnn.build(small_cnn.Config(filters=(8, 16)), input_shape=(8, 8, 1), classes=10)
    _fit(fit, model, data, epochs=4)
    return model


def _fit(fit: Any, model: Any, data: Dataset, *, epochs: int, **options: Any) -> Any:
    settings = {"learning_rate": 0.005, "schedule": one_cycle.Config(), "seed": 0, "label": "test", **options}
    return fit(model, data, Training(batch_size=32), epochs=epochs, progress=lambda _: None, **settings)


@pytest.fixture
def context() -> TechniqueContext:
    return TechniqueContext(Training(batch_size=32), seed=0, progress=lambda _: None)


@pytest.mark.parametrize("schedule", ["constant", "polynomial"])
@pytest.mark.parametrize("sparsity", [0.5, 0.8])
def test_pruning_zeroes_exactly_the_share_it_was_asked_for(
    data: Dataset, trained: Any, context: TechniqueContext, schedule: str, sparsity: float
) -> None:
    from edgepack.techniques import prune

    config = prune.Config(sparsity=sparsity, schedule=schedule, epochs=2)
    result = prune.apply(trained, data, config, context=context)
    for name in ("conv0", "conv1", "classifier"):
        kernel = result.model.get_layer(name).get_weights()[0]
        # TFMOT rounds the number of weights that it keeps.
        assert np.count_nonzero(kernel == 0) == pytest.approx(sparsity * kernel.size, abs=1), name
    assert result.metrics["sparsity"] == pytest.approx(sparsity, abs=0.01)
    assert [type(layer).__name__ for layer in result.model.layers] == [type(layer).__name__ for layer in trained.layers]
    assert len(result.curve) == 2


def test_pruning_leaves_excluded_layers_whole_and_says_why(
    data: Dataset, trained: Any, context: TechniqueContext
) -> None:
    from edgepack.techniques import prune

    result = prune.apply(trained, data, prune.Config(epochs=1, exclude=("classifier",)), context=context)
    assert np.count_nonzero(result.model.get_layer("classifier").get_weights()[0] == 0) == 0
    notes = {note.layer: note for note in result.layers}
    assert (notes["classifier"].status, notes["classifier"].reason) == ("skipped", "excluded by the recipe")
    assert notes["conv0"].status == "pruned"
    assert notes["conv0_bn"].status == "skipped"


def test_unknown_layer_is_refused_with_the_nearest_name(data: Dataset, trained: Any, context: TechniqueContext) -> None:
    from edgepack.techniques import qat

    with pytest.raises(RecipeError, match="clasifier") as caught:
        qat.apply(trained, data, qat.Config(exclude=("clasifier",)), context=context)
    assert caught.value.fix == "did you mean 'classifier'?"


def test_a_quantised_model_is_not_pruned(data: Dataset, trained: Any, context: TechniqueContext) -> None:
    from edgepack.techniques import prune, qat

    result = qat.apply(trained, data, qat.Config(epochs=0), context=context)
    with pytest.raises(RecipeError, match="already fake-quantised"):
        prune.apply(result.model, data, prune.Config(), context=context)


def test_the_same_seed_trains_the_same_weights(data: Dataset) -> None:
    import tf_keras

    from edgepack.training.fit import fit
    from edgepack.zoo import mlp

    weights = []
    for _ in range(2):
        tf_keras.utils.set_random_seed(7)
        model = mlp.build(mlp.Config(units=(8,)), input_shape=(8, 8, 1), classes=10)
        _fit(fit, model, data, epochs=2, seed=7)
        weights.append(model.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_best_weights_are_kept_not_the_last(data: Dataset) -> None:
    import tf_keras

    from edgepack.training.fit import evaluate, fit
    from edgepack.zoo import mlp

    tf_keras.utils.set_random_seed(0)
    model = mlp.build(mlp.Config(units=(16,)), input_shape=(8, 8, 1), classes=10)
    # A rate this high makes the last epochs worse than some earlier one.
    fitted = _fit(fit, model, data, epochs=6, learning_rate=0.3, schedule=constant.Config())
    best = max(entry["val_accuracy"] for entry in fitted.curve)
    assert fitted.curve[fitted.best_epoch - 1]["val_accuracy"] == best
    assert evaluate(model, data)["val_accuracy"] == pytest.approx(best)


def test_augmentation_shifts_and_mirrors_training_images_only(data: Dataset) -> None:
    from edgepack.training.batches import evaluation_batches, span_of, training_batches
    from edgepack.training.config import Augment

    training = Training(batch_size=600, augment=Augment(shift=1, flip=True))
    images, _ = next(iter(training_batches(data, training, seed=0, outputs=10, span=span_of(data, training, 1))))
    plain = {image.tobytes() for image in data.inputs("train")}
    moved = [image for image in images.numpy() if image.tobytes() not in plain]
    assert len(moved) > 300
    for image in images.numpy()[:50]:
        variants = _variants(data.inputs("train"))
        assert image.tobytes() in variants
    held_out, _ = next(iter(evaluation_batches(data, "validation")))
    np.testing.assert_array_equal(held_out.numpy(), data.inputs("validation"))


def _variants(images: Any) -> set[bytes]:
    """Every mirrored and shifted form of the images that an augmentation by one pixel may give."""
    found = set()
    for source in (images, images[:, :, ::-1]):
        padded = np.pad(source, ((0, 0), (1, 1), (1, 1), (0, 0)))
        for row in range(3):
            for column in range(3):
                found |= {image.tobytes() for image in padded[:, row : row + 8, column : column + 8]}
    return found
