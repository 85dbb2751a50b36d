"""Does a student learn from its teacher what the papers say, alone and together with pruning and quantisation?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import digits

from edgepack.contracts import Samples, TechniqueContext
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.schedules import cosine
from edgepack.training.config import Training
from edgepack.training.distillation import Distillation, Hint, Lesson

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

TRAINING = Training(batch_size=32)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits(800, 300, 300)


def mlp(*units: int, seed: int = 0) -> Any:
    import tf_keras

    from edgepack.zoo import mlp

    tf_keras.utils.set_random_seed(seed)
    return mlp.build(mlp.Config(units=units), input_shape=(8, 8, 1), classes=10)


def learn(model: Any, data: Dataset, *, epochs: int, training: Training = TRAINING, **options: Any) -> Any:
    from edgepack.training.fit import fit

    settings = {"learning_rate": 0.01, "schedule": cosine.Config(), "seed": 0, "label": "test", **options}
    return fit(model, data, training, epochs=epochs, progress=lambda _: None, **settings)


def accuracy(model: Any, data: Dataset) -> float:
    from edgepack.training.fit import predict

    return float((predict(model, data, "test").argmax(axis=1) == data.targets("test")).mean())


@pytest.fixture(scope="module")
def teacher(data: Dataset) -> Any:
    """A model that knows the digits."""
    model = mlp(64)
    learn(model, data, epochs=12)
    assert accuracy(model, data) > 0.9
    return model


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    """A small convolutional network that learned a little, to be compressed."""
    import tf_keras

    from edgepack.zoo import small_cnn

    tf_keras.utils.set_random_seed(0)
    model = small_cnn.build(small_cnn.Config(filters=(8, 16)), input_shape=(8, 8, 1), classes=10)
    learn(model, data, epochs=8, training=Training(batch_size=64))
    return model


@pytest.fixture
def context(teacher: Any, tmp_path: Path) -> TechniqueContext:
    """A step's context whose trained float model is the teacher."""
    from edgepack.keras_models.save import save

    save(teacher, tmp_path / "float.h5")
    return TechniqueContext(TRAINING, seed=0, progress=lambda _: None, base=tmp_path, float_model=tmp_path / "float.h5")


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_loss_is_the_one_of_the_paper(temperature: float) -> None:
    from edgepack.training.distillation import soft_targets, teaching_loss

    rng = np.random.default_rng(0)
    student, *teachers = rng.normal(scale=5, size=(3, 6, 10))
    target = np.mean([softmax(logits / temperature) for logits in teachers], axis=0)
    given = soft_targets([logits.astype(np.float32) for logits in teachers], temperature)
    np.testing.assert_allclose(given, target, rtol=1e-5)
    expected = temperature**2 * np.sum(target * (np.log(target) - np.log(softmax(student / temperature))), axis=1)
    np.testing.assert_allclose(
        teaching_loss(given, student.astype(np.float32), temperature), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("hints", [(), (Hint(student="hidden0", teacher="hidden0", weight=2.0),)], ids=["", "hint"])
def test_one_step_follows_the_gradient_of_the_whole_loss(data: Dataset, teacher: Any, hints: tuple[Hint, ...]) -> None:
    """One batch of plain SGD moves every weight by the rate times the numerical gradient of the formula."""
    import tf_keras

    from edgepack.training.distillation import student as student_of
    from edgepack.training.fit import ends_with_softmax

    x, y = data.inputs("train", 16), data.targets("train", 16)
    model = mlp(4)
    before = [weight.astype(np.float64) for weight in model.get_weights()]
    lesson = Lesson([teacher], temperature=3.0, weight=0.6, hints=hints, seed=5)
    taught = student_of(model, lesson, probabilities=ends_with_softmax)
    taught.compile(tf_keras.optimizers.SGD(0.5), tf_keras.losses.SparseCategoricalCrossentropy())
    history = taught.fit(x, y, batch_size=16, epochs=1, verbose=0).history
    moved = [(old - new) / 0.5 for old, new in zip(before, model.get_weights(), strict=True)]
    target = softmax(np.log(teacher.predict(x, verbose=0).astype(np.float64)) / 3)
    features = tf_keras.Model(teacher.inputs, teacher.get_layer("hidden0").output).predict(x, verbose=0)
    projection = tf_keras.initializers.GlorotUniform(seed=5)((4, 64)).numpy()

    def losses(weights: list[Any]) -> tuple[float, float]:
        hidden = np.maximum(x.reshape(16, -1).astype(np.float64) @ weights[0] + weights[1], 0)
        logits = hidden @ weights[2] + weights[3]
        labels = -np.log(softmax(logits)[np.arange(16), y]).mean()
        divergence = np.mean(np.sum(target * (np.log(target) - np.log(softmax(logits / 3))), axis=1))
        distance = np.mean((hidden @ projection - features) ** 2) if hints else 0.0
        return labels, 0.6 * 3**2 * divergence + 2.0 * distance

    labels, taught_loss = losses(before)
    assert history["loss"][0] == pytest.approx(labels, rel=1e-4)
    assert history["distillation_loss"][0] == pytest.approx(taught_loss, rel=1e-3)
    for index, weights in enumerate(before):
        for position in np.ndindex(*weights.shape):
            sides = []
            for step in (1e-6, -1e-6):
                changed = [item.copy() for item in before]
                changed[index][position] += step
                first, second = losses(changed)
                sides.append(0.4 * first + second)
            assert moved[index][position] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-2, abs=1e-4)


def test_weight_zero_is_plain_training_bit_for_bit(data: Dataset, teacher: Any) -> None:
    plain, taught = mlp(8), mlp(8)
    learn(plain, data, epochs=2)
    learn(taught, data, epochs=2, lesson=Lesson([teacher], 4.0, 0.0))
    for first, second in zip(plain.get_weights(), taught.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_student_learns_the_teachers_classes_from_labels_that_say_nothing(data: Dataset, teacher: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 10, len(data.train.y))
    lied_to = Dataset(Samples(data.train.x, noise), data.validation, data.test, data.labels, data.preprocessing)
    before = [weight.copy() for weight in teacher.get_weights()]
    alone, taught = mlp(24, seed=1), mlp(24, seed=1)
    learn(alone, lied_to, epochs=10)
    learn(taught, lied_to, epochs=10, lesson=Lesson([teacher], 4.0, 1.0))
    assert accuracy(alone, data) < 0.5
    assert accuracy(taught, data) > 0.85
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_hints_bring_the_layers_together(data: Dataset, teacher: Any) -> None:
    import tf_keras

    def distance(model: Any) -> float:
        mine, theirs = (
            tf_keras.Model(m.inputs, m.get_layer("hidden0").output).predict(data.inputs("test"), verbose=0)
            for m in (model, teacher)
        )
        return float(np.mean((mine - theirs) ** 2))

    hint = Hint(student="hidden0", teacher="hidden0", weight=5.0)
    without, with_hint = mlp(64, seed=2), mlp(64, seed=2)
    learn(without, data, epochs=6, lesson=Lesson([teacher], 4.0, 0.5))
    learn(with_hint, data, epochs=6, lesson=Lesson([teacher], 4.0, 0.5, (hint,)))
    assert distance(with_hint) < 0.3 * distance(without)


def test_a_projection_between_widths_learns_and_is_no_part_of_the_student(data: Dataset, teacher: Any) -> None:
    model = mlp(16)
    count = len(model.weights)
    hint = Hint(student="hidden0", teacher="hidden0", weight=5.0)
    curve = learn(model, data, epochs=6, lesson=Lesson([teacher], 4.0, 0.0, (hint,))).curve
    assert curve[-1]["distillation_loss"] < 0.5 * curve[0]["distillation_loss"]
    assert len(model.weights) == count


def test_hints_that_cannot_be_taken_are_refused_by_name(data: Dataset, teacher: Any, trained: Any) -> None:
    with pytest.raises(RecipeError, match="the student has no layer 'hiden0'") as caught:
        learn(mlp(8), data, epochs=1, lesson=Lesson([teacher], 4.0, 0.5, (Hint(student="hiden0", teacher="hidden0"),)))
    assert caught.value.fix == "did you mean 'hidden0'?"
    with pytest.raises(RecipeError, match=r"gives \(8, 8, 8\), the teacher's 'hidden0' \(64,\)"):
        learn(trained, data, epochs=1, lesson=Lesson([teacher], 4.0, 0.5, (Hint(student="conv0", teacher="hidden0"),)))


def test_logits_are_found_behind_a_rounded_softmax() -> None:
    """In 8 bits most probabilities of a sure model are 0; what is behind them is not."""
    import tensorflow as tf

    from edgepack.training.distillation import logits_of

    given = np.random.default_rng(0).normal(scale=4, size=(20, 10)).astype(np.float32)

    @tf.function
    def both(x: Any) -> Any:
        rounded = tf.quantization.fake_quant_with_min_max_args(tf.nn.softmax(x), 0, 1)
        return rounded, logits_of(rounded, probabilities=True), logits_of(tf.nn.softmax(x) + 0.0, probabilities=True)

    rounded, behind, recovered = (tensor.numpy() for tensor in both(given))
    assert np.mean(rounded == 0) > 0.3
    np.testing.assert_array_equal(behind, given)
    np.testing.assert_allclose(softmax(recovered / 4), softmax(given / 4), rtol=1e-4)
    np.testing.assert_array_equal(logits_of(given, probabilities=False), given)


def test_an_ensemble_teaches_the_mean_of_its_probabilities(data: Dataset, context: TechniqueContext) -> None:
    from edgepack.training.teachers import prepare

    config = Distillation(teacher=[{"zoo": "mlp", "args": {"units": [16]}, "epochs": 4, "learning_rate": 0.01}] * 2)
    prepared = prepare(config, mlp(4), data, context)
    first, second = prepared.lesson.teachers
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0]), "their seeds differ"
    x, y = data.inputs("validation"), data.targets("validation")
    mean = (first.predict(x, verbose=0) + second.predict(x, verbose=0)) / 2
    assert prepared.val_accuracy == pytest.approx(np.mean(mean.argmax(axis=1) == y))
    assert prepared.warnings == ()


def test_the_step_trains_a_copy_and_reports_teacher_and_student(data: Dataset, context: TechniqueContext) -> None:
    from edgepack.techniques import distill
    from edgepack.training.fit import evaluate

    untrained = mlp(8, seed=3)
    before = untrained.get_weights()
    assert evaluate(untrained, data)["val_accuracy"] < 0.5
    result = distill.apply(untrained, data, distill.Config(epochs=10, learning_rate=0.01), context=context)
    assert result.metrics["teacher_val_accuracy"] > 0.9
    assert result.metrics["val_accuracy_after"] > 0.8
    assert result.metrics["val_accuracy_after"] == pytest.approx(evaluate(result.model, data)["val_accuracy"])
    assert len(result.curve) == 10 and all(entry["distillation_loss"] > 0 for entry in result.curve)
    for old, now in zip(before, untrained.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


def test_a_model_that_would_teach_itself_is_refused(data: Dataset, teacher: Any, context: TechniqueContext) -> None:
    from edgepack.techniques import distill

    with pytest.raises(RecipeError, match="which is the student itself"):
        distill.apply(teacher, data, distill.Config(epochs=1), context=context)


def test_a_teacher_of_other_classes_is_refused(data: Dataset, context: TechniqueContext) -> None:
    from edgepack.keras_models.save import save
    from edgepack.techniques import distill
    from edgepack.zoo import mlp as architecture

    other = architecture.build(architecture.Config(units=(4,)), input_shape=(8, 8, 1), classes=12)
    save(other, context.base / "other.h5")
    with pytest.raises(RecipeError, match=r"'other\.h5' has 12 outputs, the student 10"):
        distill.apply(mlp(4), data, distill.Config(epochs=1, teacher="other.h5"), context=context)


@pytest.fixture(scope="module")
def smoothed(data: Dataset) -> Any:
    """The teacher's twin, trained with label smoothing."""
    model = mlp(64)
    learn(model, data, epochs=12, training=Training(batch_size=32, label_smoothing=0.1))
    assert accuracy(model, data) > 0.9
    return model


def test_label_smoothing_is_the_loss_of_its_definition() -> None:
    """(1 - e) * cross-entropy + e * the mean over all classes of -log p."""
    from tf_keras import Sequential, layers

    from edgepack.tasks.classification import loss

    ends = [Sequential([layers.InputLayer((5,)), end]) for end in (layers.Activation("linear"), layers.Softmax())]
    of_logits, of_probabilities = (loss(model, Training(label_smoothing=0.3)) for model in ends)
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(8, 5)).astype(np.float32), rng.integers(0, 5, 8)
    logs = np.log(softmax(logits))
    expected = np.mean(0.7 * -logs[np.arange(8), labels] + 0.3 * -logs.mean(axis=1))
    assert float(of_logits(labels[:, None], logits)) == pytest.approx(expected, rel=1e-5)
    assert float(of_probabilities(labels, softmax(logits))) == pytest.approx(expected, rel=1e-5)


def test_smoothing_is_seen_in_a_teachers_outputs_and_nowhere_else(data: Dataset, teacher: Any, smoothed: Any) -> None:
    from edgepack.training.teachers import smoothing_of

    assert smoothing_of(smoothed, data) == pytest.approx(0.1, abs=0.05)
    assert smoothing_of(teacher, data) is None
    assert smoothing_of(mlp(64), data) is None, "untrained: flat, but no teacher either"


FIGURE = "(1906.02629: the student's error on MNIST went from 0.74 % to 0.91 %)"


def test_a_smoothed_teacher_draws_a_warning(data: Dataset, smoothed: Any, context: TechniqueContext) -> None:
    from dataclasses import replace

    from edgepack.keras_models.save import save
    from edgepack.training.teachers import prepare

    def warnings(config: Distillation, **changes: Any) -> tuple[str, ...]:
        return prepare(config, mlp(4), data, replace(context, **changes)).warnings

    save(smoothed, context.base / "smooth.h5")
    (measured,) = warnings(Distillation(teacher="smooth.h5"))
    assert measured.startswith("the teacher 'smooth.h5' was trained with label smoothing of about 0.")
    assert FIGURE in measured
    zoo = {"zoo": "mlp", "args": {"units": [4]}, "epochs": 1}
    (known,) = warnings(Distillation(teacher={**zoo, "label_smoothing": 0.2}))
    assert known.startswith("the teacher 'mlp' was trained with label smoothing of 0.2:") and FIGURE in known
    (own,) = warnings(Distillation(), training=Training(epochs=3, label_smoothing=0.05))
    assert own.startswith("the teacher, the float model, was trained with label smoothing of 0.05:") and FIGURE in own
    recipe = Training(epochs=3, label_smoothing=0.05)
    assert warnings(Distillation(teacher=zoo), training=recipe) == (), "a zoo teacher has a setting of its own"
    assert warnings(Distillation()) == ()


def test_a_zoo_teacher_is_trained_once_for_a_step(data: Dataset, context: TechniqueContext) -> None:
    from edgepack.training.teachers import prepare

    config = Distillation(teacher={"zoo": "mlp", "args": {"units": [4]}, "epochs": 1})
    first, second = (prepare(config, mlp(4), data, context).lesson.teachers for _ in range(2))
    assert first[0] is second[0]


def kernels(model: Any) -> dict[str, Any]:
    return {
        layer.name.removeprefix("quant_"): weight.numpy()
        for layer in model.layers
        for weight in layer.trainable_weights
        if "kernel" in weight.name
    }


@pytest.fixture(scope="module")
def floats(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> TechniqueContext:
    """The context of a step on the small network, which is also its teacher."""
    from edgepack.keras_models.save import save

    path = tmp_path_factory.mktemp("float") / "model.h5"
    save(trained, path)
    return TechniqueContext(TRAINING, seed=0, progress=lambda _: None, float_model=path)


def test_pruning_with_the_float_model_as_teacher(data: Dataset, trained: Any, floats: TechniqueContext) -> None:
    from edgepack.techniques import distill, prune
    from edgepack.training.fit import evaluate

    alone, taught = (
        prune.apply(trained, data, prune.Config(sparsity=0.7, epochs=3, distill=given), context=floats)
        for given in (None, {"weight": 0.9})
    )
    for name, kernel in kernels(taught.model).items():
        assert np.mean(kernel == 0) == pytest.approx(0.7, abs=1 / kernel.size), name
        assert not np.array_equal(kernel, kernels(alone.model)[name]), "the teacher made a difference"
    assert taught.metrics["teacher_val_accuracy"] == pytest.approx(evaluate(trained, data)["val_accuracy"])
    assert "teacher_val_accuracy" not in alone.metrics
    assert all(entry["distillation_loss"] > 0 for entry in taught.curve)
    again = distill.apply(taught.model, data, distill.Config(epochs=1), context=floats)
    for name, kernel in kernels(again.model).items():
        assert not np.array_equal(kernel, kernels(taught.model)[name])
        np.testing.assert_array_equal(kernel == 0, kernels(taught.model)[name] == 0)


def test_quantisation_with_the_float_model_as_teacher(data: Dataset, trained: Any, floats: TechniqueContext) -> None:
    """The figure that the teacher is there for: the student's outputs are closer to the float model's."""
    from edgepack.techniques import qat
    from edgepack.techniques._layers import is_quantised
    from edgepack.training.fit import predict

    wanted = predict(trained, data, "test")
    distances = []
    for given in (None, {"weight": 1.0}):
        config = qat.Config(epochs=2, learning_rate=1e-3, distill=given)
        result = qat.apply(trained, data, config, context=floats)
        assert result.quantised and is_quantised(result.model)
        assert result.metrics["tflite_top1"] > 0.9
        distances.append(float(np.mean(np.abs(predict(result.model, data, "test") - wanted))))
    assert distances[1] < 0.8 * distances[0]
