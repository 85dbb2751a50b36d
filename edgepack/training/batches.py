"""In which batches are samples trained on and evaluated?

What a batch holds depends on the seed, the epoch and the step alone, so that training can go on anywhere as if it had
never stopped.
"""

from typing import Any

from edgepack import extensions
from edgepack.contracts import Span
from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.training.augmentation import augmentation
from edgepack.training.config import Training

MIXUP = 1000
"""Number of mixup's random numbers, behind those of the augmentation."""


def span_of(data: Dataset, training: Training, epochs: int, *, replicas: int = 1) -> Span:
    """How many batches there are; the last one of an epoch is smaller when the samples do not fill it.

    Args:
        data: Samples.
        training: Batch size, that of all replicas together.
        epochs: Passes over the training samples.
        replicas: Each batch is split evenly over so many; samples of the last one that do not fit are left out.
    """
    count = len(data.train.y) // replicas * replicas
    return Span(epochs, max(1, -(-count // training.batch_size)))


def training_batches(
    data: Dataset, training: Training, *, seed: int, outputs: int, span: Span, first_epoch: int = 0, replicas: int = 1
) -> Any:
    """Shuffled, augmented batches of all epochs, one after the other: inputs float32 (batch, ...), targets of the task.

    Labels of classes are int64 (batch,), or with mixup their shares float32 (batch, outputs).

    Args:
        data: Samples; the training split is used.
        training: Batch size, augmentation, mixup.
        seed: Seed of order, augmentation and mixup.
        outputs: Number of outputs of the model, at least the number of classes.
        span: Number of epochs and of batches in each.
        first_epoch: Epochs that have been trained already.
        replicas: See `span_of`.
    """
    import tensorflow as tf

    x, y = tf.constant(data.train.x[:]), tf.constant(data.targets("train"))
    scale, offset = data.preprocessing.scale, data.preprocessing.offset
    targets = extensions.load("edgepack.tasks", data.task).targets
    augment = augmentation(training.augment, data.input_shape)
    count = len(data.train.y) // replicas * replicas or len(data.train.y)
    if training.mixup and any(column.type == "category" for column in data.columns):
        raise RecipeError(
            "training.mixup received a table with categories; there is nothing between two of them",
            fix="remove training.mixup",
        )

    def one_epoch(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(tf.range(len(data.train.y)), seed=tf.stack([epoch, seed]))
        indices = tf.data.Dataset.from_tensor_slices(order[:count]).batch(training.batch_size)
        first = epoch * span.steps_per_epoch
        return tf.data.Dataset.zip((indices, tf.data.Dataset.range(first, first + span.steps_per_epoch)))

    def batch(indices: Any, step: Any) -> tuple[Any, Any]:
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        images = tf.cast(tf.gather(x, indices), tf.float32) * scale + offset
        images, labels = augment(images, seeds), tf.gather(y, indices)
        if training.mixup:
            return mix(images, tf.one_hot(labels, outputs), training.mixup, seeds)
        return images, targets(images, labels)

    epochs = tf.data.Dataset.range(first_epoch, span.epochs)
    batches = epochs.flat_map(one_epoch).map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(data: Dataset, split: str, batch_size: int = 512, *, outputs: int | None = None) -> Any:
    """Batches of those samples of a split that the task learns, in file order, not augmented.

    Args:
        data: Samples.
        split: Which of them.
        batch_size: Samples in a batch.
        outputs: Give labels as shares of so many outputs, as `training_batches` does with mixup; None = as integers.
    """
    import tensorflow as tf

    task = extensions.load("edgepack.tasks", data.task)
    samples = task.learnable(data, split)
    rows = tf.data.Dataset.from_tensor_slices((samples.x[:], samples.y.astype("int64")))

    def batch(raw: Any, labels: Any) -> tuple[Any, Any]:
        images = tf.cast(raw, tf.float32) * data.preprocessing.scale + data.preprocessing.offset
        return images, task.targets(images, labels) if outputs is None else tf.one_hot(labels, outputs)

    return rows.batch(batch_size).map(batch).prefetch(tf.data.AUTOTUNE)


def mix(x: Any, shares: Any, alpha: float, seeds: Any) -> tuple[Any, Any]:
    """Mix every sample of a batch with another one of it (mixup, 1710.09412, eq. 1).

    ``x = l * x_i + (1 - l) * x_j``, the labels likewise, with one ``l`` from Beta(alpha, alpha) for the batch and ``j``
    a permutation of it, as in the paper's own code.

    Args:
        x: float32 (batch, ...).
        shares: Labels as float32 (batch, outputs).
        alpha: Strength, above 0; the paper uses 0.1 to 0.4 on ImageNet and 1 on CIFAR-10.
        seeds: int64 (2,).
    """
    import tensorflow as tf

    # Two gamma variables make a beta variable: g1 / (g1 + g2) is Beta(alpha, alpha).
    gammas = tf.random.stateless_gamma([2], tf.random.experimental.stateless_fold_in(seeds, MIXUP), alpha)
    share = gammas[0] / tf.maximum(gammas[0] + gammas[1], 1e-30)
    pairs = tf.random.experimental.stateless_fold_in(seeds, MIXUP + 1)
    others = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(x)[0]), seed=pairs)
    return share * x + (1 - share) * tf.gather(x, others), share * shares + (1 - share) * tf.gather(shares, others)
