"""Does training do what its options say: to the weights, the labels, the gradients, the end?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compressing import digits

from edgepack.dataset import Dataset
from edgepack.schedules import constant, one_cycle
from edgepack.training.config import Training

# TensorFlow and Keras warn of their own futures on import.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits(600, 200, 200)


@pytest.fixture
def model() -> Any:
    """A small network, the same in every test."""
    import tf_keras

    from edgepack.zoo import small_cnn

    tf_keras.utils.set_random_seed(0)
    model = small_cnn.build(small_cnn.Config(filters=(8, 16)), input_shape=(8, 8, 1), classes=10)
    for layer in model.layers:
        if "momentum" in layer.get_config():
            layer.momentum = 0.8  # so few steps would leave the statistics near where they start
    return model


def learn(
    model: Any, data: Dataset, training: Training, *, epochs: int = 1, rate: float = 0.005, **options: Any
) -> Any:
    from edgepack.training.fit import fit

    settings = {"schedule": constant.Config(), "seed": 0, "label": "test", "progress": lambda _: None, **options}
    return fit(model, data, training, epochs=epochs, learning_rate=rate, **settings)


def recorded(values: Callable[[Any], Any], *, before: bool = False) -> tuple[Any, list[Any]]:
    """A callback that notes a value of the model after (or before) each step, and the list of them."""
    import tf_keras

    found: list[Any] = []

    class Note(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if before:
                found.append(values(self.model))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not before:
                found.append(values(self.model))

    return Note(), found


@pytest.mark.parametrize(("optimizer", "name"), [("sgd", "momentum"), ("adam", "beta_1")])
def test_the_momentum_reaches_the_optimizer(data: Dataset, model: Any, optimizer: str, name: str) -> None:
    note, found = recorded(lambda model: float(getattr(model.optimizer, name)), before=True)
    schedule = one_cycle.Config(momentum=(0.95, 0.85), rise=0.5)
    learn(model, data, Training(batch_size=100, optimizer=optimizer), schedule=schedule, callbacks=[note])
    assert found == pytest.approx([0.95, 0.925, 0.875, 0.85, 0.875, 0.925])


def test_a_momentum_that_moves_changes_what_is_learnt(data: Dataset, model: Any) -> None:
    """A number would stay in the compiled step as it was at first."""
    start, ends = model.get_weights(), []
    for momentum in (None, (0.9, 0.9), (0.9, 0.1)):
        model.set_weights(start)
        training = Training(batch_size=100, optimizer="sgd")
        learn(model, data, training, schedule=one_cycle.Config(momentum=momentum, rise=0.5))
        ends.append(model.get_weights()[0])
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)
    assert np.abs(ends[0] - ends[2]).max() > 1e-4


def test_warm_up_and_batch_size_set_the_rate(data: Dataset, model: Any) -> None:
    note, found = recorded(lambda model: float(model.optimizer.learning_rate))
    training = Training(batch_size=100, reference_batch_size=50, warmup_epochs=0.5)
    learn(model, data, training, rate=0.01, callbacks=[note])
    assert found == pytest.approx([0.01, 0.01 + 0.01 / 3, 0.01 + 0.02 / 3, 0.02, 0.02, 0.02])


def test_mixup_mixes_pairs_as_the_paper_says(data: Dataset) -> None:
    """1710.09412, eq. 1: one share for inputs and labels; the pairs are a permutation of the batch."""
    import tensorflow as tf

    from edgepack.training.batches import mix

    x, y = data.inputs("train", 64), np.eye(10, dtype=np.float32)[data.targets("train", 64)]
    for seed in range(5):
        mixed, shares = (np.asarray(part) for part in mix(x, y, 1.0, tf.constant([seed, 7], tf.int64)))
        # The pair and the share of each sample follow from its pixels; its labels must say the same.
        rows, pairs = [], []
        for row in range(64):
            if np.allclose(mixed[row], x[row], atol=1e-6):  # mixed with itself
                np.testing.assert_allclose(shares[row], y[row], atol=1e-6)
                continue
            fits = []
            for other in set(range(64)) - {row}:
                difference = (x[row] - x[other]).ravel()
                share = float(((mixed[row] - x[other]).ravel() @ difference) / (difference @ difference))
                if np.abs(share * x[row] + (1 - share) * x[other] - mixed[row]).max() < 1e-5:
                    fits.append((other, share))
            ((other, share),) = fits
            np.testing.assert_allclose(shares[row], share * y[row] + (1 - share) * y[other], atol=1e-4)
            rows.append(share)
            pairs.append(other)
        assert len(set(pairs)) == len(pairs) >= 55
        assert np.ptp(rows) < 1e-3
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_the_share_of_mixup_is_beta_distributed(alpha: float) -> None:
    import tensorflow as tf
    from scipy import stats

    from edgepack.training.batches import mix

    x, y = np.array([[1.0], [0.0]], np.float32), np.eye(2, dtype=np.float32)
    shares = []
    for seed in range(400):
        mixed, _ = mix(x, y, alpha, tf.constant([seed, 3], tf.int64))
        swapped = float(mixed[0, 0])
        if swapped != 1.0:  # the permutation left them where they were
            shares.append(swapped)
    assert len(shares) > 100
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_a_model_learns_from_mixed_samples(data: Dataset, model: Any) -> None:
    fitted = learn(model, data, Training(batch_size=50, mixup=0.4, label_smoothing=0.1), epochs=8, rate=0.01)
    assert max(entry["val_accuracy"] for entry in fitted.curve) > 0.6
    # Mixed labels cannot be met with certainty: the loss stays above that of the plain validation samples' best.
    assert fitted.curve[-1]["loss"] > 0.3


def test_the_average_is_what_is_validated_and_kept(data: Dataset, model: Any) -> None:
    weights = {"kept": [weight.copy() for weight in model.get_weights()]}
    note, found = recorded(lambda trained: [weight.copy() for weight in model.get_weights()])
    fitted = learn(model, data, Training(batch_size=100, averaging=0.8), callbacks=[note])
    average = weights["kept"]
    for step, now in enumerate(found, 1):
        share = 1 - min(0.8, (1 + step) / (10 + step))
        average = [a + share * (w - a) for a, w in zip(average, now, strict=True)]
    for expected, kept in zip(average, model.get_weights(), strict=True):
        np.testing.assert_allclose(kept, expected, atol=1e-5)
    from edgepack.training.fit import evaluate

    assert evaluate(model, data)["val_accuracy"] == pytest.approx(fitted.curve[0]["val_accuracy"])
    assert np.abs(found[-1][0] - model.get_weights()[0]).max() > 1e-4


@pytest.mark.parametrize("key", ["l1", "l2"])
def test_penalties_pull_kernels_to_zero_and_are_gone_afterwards(data: Dataset, model: Any, key: str) -> None:
    start, sizes = model.get_weights(), []
    for strength in (0.0, 0.01):
        model.set_weights(start)
        learn(model, data, Training(batch_size=50, **{key: strength}), epochs=4)
        sizes.append(sum(float(np.abs(w).sum()) for w in model.get_weights() if w.ndim > 1))
    assert sizes[1] < 0.8 * sizes[0]
    assert model.losses == []


def test_the_penalty_is_the_sum_that_the_documents_say(data: Dataset, model: Any) -> None:
    from edgepack.training.fit import _penalised

    penalised = _penalised(model, model, 0.1, 0.01)
    kernels = [layer.get_weights()[0] for layer in model.layers if hasattr(layer, "kernel")]
    expected = sum(0.1 * np.abs(k).sum() + 0.01 * np.square(k).sum() for k in kernels)
    assert float(penalised.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped_to_their_norm_together(data: Dataset, model: Any) -> None:
    """With plain SGD steps of rate 1, all weights together move by no more than the norm."""
    start, moved = model.get_weights(), []
    for clip in (None, 1e-3):
        model.set_weights(start)
        training = Training(batch_size=600, optimizer="sgd", clip_norm=clip)
        learn(model, data, training, rate=1.0)
        names = [weight.name for weight in model.weights]
        trained = [i for i, name in enumerate(names) if "moving" not in name]
        moved.append(np.sqrt(sum(np.square(model.get_weights()[i] - start[i]).sum() for i in trained)))
    assert moved[0] > 0.01
    assert moved[1] == pytest.approx(1.9e-3, rel=1e-3)  # Nesterov's first step is 1 + momentum times the gradient


def test_training_ends_when_nothing_gets_better(data: Dataset, model: Any) -> None:
    fitted = learn(model, data, Training(batch_size=100, patience=2), epochs=9, rate=1e-9)
    assert len(fitted.curve) == fitted.best_epoch + 2 < 9


def test_the_weights_of_the_last_epoch_are_kept_where_asked_for(data: Dataset, model: Any) -> None:
    """A rate that is far too large from the start: the best epoch is seldom the last one, and is not looked for."""
    start, kept = model.get_weights(), {}
    for keep in ("best", "last"):
        model.set_weights(start)
        fitted = learn(model, data, Training(batch_size=100, optimizer="sgd", keep=keep), epochs=6, rate=2.0)
        scores = [(entry["val_accuracy"], -entry["val_loss"]) for entry in fitted.curve]
        kept[keep] = (fitted.best_epoch, scores.index(max(scores)) + 1)
    assert kept["best"][0] == kept["best"][1]
    assert kept["last"][0] == 6


def test_the_last_epoch_and_an_early_end_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"patience \(3\) may cut off"):
        Training(keep="last", patience=3)


def test_steps_take_over_neither_averages_nor_an_early_end() -> None:
    steps = Training(averaging=0.9, patience=1, warmup_epochs=2, reference_batch_size=8, mixup=0.2, l2=0.1).for_steps()
    assert (steps.averaging, steps.patience, steps.warmup_epochs, steps.scaling) == (0, None, 0, 1)
    assert (steps.mixup, steps.l2) == (0.2, 0.1)


def test_rates_follow_the_steps_when_several_run_at_once(data: Dataset, model: Any) -> None:
    """SGD without momentum that moves: the weights after an epoch are those of one step at a time."""
    start, ends = model.get_weights(), []
    for steps in (1, 3):
        model.set_weights(start)
        training = Training(batch_size=100, optimizer="sgd", steps_per_execution=steps)
        learn(model, data, training, schedule=one_cycle.Config(momentum=(0.95, 0.5), rise=0.5), rate=0.05)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"mixup": 0.2}, {"averaging": 0.9}, {"l2": 1e-4}])
def test_a_step_is_traced_once(data: Dataset, model: Any, options: dict[str, Any]) -> None:
    """Variables that a step made itself would have it traced anew, which takes as long as an epoch of a small model."""
    note, counts = recorded(lambda model: model.train_tf_function.experimental_get_tracing_count())
    learn(model, data, Training(batch_size=100, **options), epochs=2, callbacks=[note])
    assert set(counts) == {1}


def test_xla_learns_the_same(data: Dataset, model: Any) -> None:
    start, ends = model.get_weights(), []
    for xla in (False, True):
        model.set_weights(start)
        fitted = learn(model, data, Training(batch_size=100, optimizer="sgd", xla=xla), rate=0.01)
        ends.append((model.get_weights(), fitted.curve[0]["loss"]))
    for one, other in zip(ends[0][0], ends[1][0], strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-3)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_sixteen_bits_compute_and_float32_is_kept(data: Dataset, model: Any, precision: str) -> None:
    import tensorflow as tf

    note, found = recorded(lambda trained: trained)
    start = model.get_weights()
    learn(model, data, Training(batch_size=100, precision=precision), callbacks=[note])
    trained = found[0]
    hidden = [layer for layer in trained.layers if layer.name.startswith("conv")]
    assert {layer.compute_dtype for layer in hidden} == {precision.removeprefix("mixed_")}
    assert {weight.dtype for weight in trained.weights} == {tf.float32}
    assert trained.outputs[0].dtype == tf.float32
    assert hasattr(trained.optimizer, "loss_scale") == (precision == "mixed_float16")
    # What goes on is the model that was given, with the weights that were learnt.
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert np.abs(model.get_weights()[0] - start[0]).max() > 1e-3


def test_the_same_step_drops_the_same_and_every_step_another(data: Dataset) -> None:
    """Dropout hangs on the seed and the step alone."""
    import tensorflow as tf
    import tf_keras

    from edgepack.training.randomness import seeded

    ones = np.ones((4, 50), np.float32)
    dropped = tf_keras.Sequential([tf_keras.layers.InputLayer(50), tf_keras.layers.Dropout(0.5)])
    step, found = tf.Variable(0, dtype=tf.int64), []
    with seeded(dropped, 7, step):
        for now in (0, 1, 0):
            step.assign(now)
            found.append(dropped(ones, training=True).numpy())
    assert (found[0] == found[2]).all()
    assert (found[0] != found[1]).any()
    assert set(np.unique(found[0])) == {0.0, 2.0}
    assert 0.3 < (found[0] == 0).mean() < 0.7


def test_batchnormalization_takes_the_momentum_of_the_recipe(data: Dataset, model: Any) -> None:
    """One step of momentum 0.5: the moving mean is half of that batch's, computed by hand."""
    first = model.get_weights()[0]
    training = Training(batch_size=600, optimizer="sgd", batch_normalization={"momentum": 0.5})
    learn(model, data, training, rate=1e-9)
    x = data.inputs("train")
    import tensorflow as tf

    batch_mean = tf.reduce_mean(tf.nn.conv2d(x, first, 1, "SAME"), [0, 1, 2]).numpy()
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), batch_mean / 2, atol=1e-4)


AUGMENTED = {
    "flip": {"flip": True},
    "shift": {"shift": 2},
    "rotation": {"rotation": 30},
    "zoom": {"zoom": 0.3, "edges": "nearest"},
    "contrast": {"contrast": 0.5},
    "cutout": {"cutout": 4},
}


@pytest.mark.parametrize("name", AUGMENTED)
def test_augmentation_follows_from_the_seed_and_differs_between_images(data: Dataset, name: str) -> None:
    import tensorflow as tf

    from edgepack.training.augmentation import augmentation
    from edgepack.training.config import Augment

    image = data.inputs("train", 1)
    images = np.repeat(image, 40, axis=0)
    change = augmentation(Augment(**AUGMENTED[name]), (8, 8, 1))
    one, again, other = (change(tf.constant(images), tf.constant([seed, 1], tf.int64)).numpy() for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()
    distinct = {tuple(found.ravel().round(4)) for found in one}
    assert len(distinct) > (1 if name == "flip" else 5)
    if name == "flip":
        assert distinct == {tuple(image[0].ravel().round(4)), tuple(image[0, :, ::-1].ravel().round(4))}
    if name == "shift":
        moved = [np.pad(image[0, :, :, 0], 2)[y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
        assert distinct <= {tuple(found.ravel().round(4)) for found in moved}
    if name == "cutout":
        covered = (one == 0) & (images != 0)
        assert covered.any()
        assert np.array_equal(one[~covered], images[~covered])
        filled = change(tf.ones((200, 8, 8, 1)), tf.constant([5, 1], tf.int64)).numpy()[..., 0] == 0
        areas = filled.sum((1, 2))
        assert areas.max() == 16
        assert areas.min() < 16  # cut off at the edge


def test_epochs_have_their_own_order_that_the_seed_fixes(data: Dataset) -> None:
    """Each epoch holds every sample once; where an epoch starts does not matter."""
    from edgepack.training.batches import span_of, training_batches

    training = Training(batch_size=64)
    span = span_of(data, training, 3)
    first = data.inputs("train").reshape(600, -1)

    def epochs(seed: int, begin: int = 0) -> list[list[int]]:
        batches = list(training_batches(data, training, seed=seed, outputs=10, span=span, first_epoch=begin))
        rows = [
            np.concatenate([x for x, _ in batches[i : i + 10]]).reshape(600, -1) for i in range(0, len(batches), 10)
        ]
        keys = {row.tobytes(): index for index, row in enumerate(first)}
        return [[keys[row.tobytes()] for row in epoch] for epoch in rows]

    whole = epochs(0)
    assert len(whole) == 3
    assert all(len(set(epoch)) >= 595 for epoch in whole)  # some digits are the same picture
    assert whole[0] != whole[1] != whole[2]
    assert epochs(0, begin=1) == whole[1:]
    assert epochs(1)[0] != whole[0]


def test_waiting_for_data_is_seen(data: Dataset) -> None:
    """A pipeline that sleeps before each batch is waited for, one that is ready is not."""
    import time

    import tensorflow as tf

    from edgepack.training.waiting import timed

    def slow(value: Any) -> Any:
        time.sleep(0.02)
        return value

    for sleeps, low, high in ((True, 0.3, 2.0), (False, 0.0, 0.1)):
        numbers = tf.data.Dataset.range(32)
        if sleeps:
            numbers = numbers.map(lambda value: tf.numpy_function(slow, [value], tf.int64))
        batches, seconds = timed(numbers)
        assert [int(value) for value in batches] == list(range(32))
        assert low <= seconds() <= high
        assert seconds() == 0


@pytest.mark.parametrize("other", [{"steps_per_execution": 4}, {"distribution": {"strategy": "mirrored"}}])
def test_averaging_is_refused_where_it_would_be_wrong(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"averaging .* leave one of them out"):
        Training(averaging=0.9, **other)
