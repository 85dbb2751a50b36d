"""In which batches are samples trained on and evaluated?"""

from collections.abc import Callable
from typing import Any

from edgepack.dataset import Dataset
from edgepack.errors import RecipeError
from edgepack.training.config import Augment, Training


def training_batches(data: Dataset, training: Training, *, seed: int, outputs: int) -> Any:
    """Shuffled, augmented batches in an order that ``seed`` fixes: inputs float32 (batch, ...), labels.

    Labels are int64 (batch,), or with mixup their shares float32 (batch, outputs).

    Args:
        data: Samples; the training split is used.
        training: Batch size, augmentation, mixup.
        seed: Seed of order, augmentation and mixup.
        outputs: Number of outputs of the model, at least the number of classes.
    """
    import tensorflow as tf

    x, y = tf.constant(data.train.x[:]), tf.constant(data.targets("train"))
    scale, offset = data.preprocessing.scale, data.preprocessing.offset
    augment = _augmentation(training.augment, data.input_shape)

    def batch(indices: Any, seeds: Any) -> tuple[Any, Any]:
        images = tf.cast(tf.gather(x, indices), tf.float32) * scale + offset
        images, labels = augment(images, seeds), tf.gather(y, indices)
        return mix(images, tf.one_hot(labels, outputs), training.mixup, seeds) if training.mixup else (images, labels)

    order = tf.data.Dataset.range(len(data.train.y)).shuffle(len(data.train.y), seed=seed)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    batches = tf.data.Dataset.zip((order.batch(training.batch_size), seeds))
    return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(data: Dataset, split: str, batch_size: int = 512, *, outputs: int | None = None) -> Any:
    """Batches of a split in file order, not augmented.

    Args:
        data: Samples.
        split: Which of them.
        batch_size: Samples in a batch.
        outputs: Give labels as shares of so many outputs, as `training_batches` does with mixup; None = as integers.
    """
    import tensorflow as tf

    samples = getattr(data, split)
    rows = tf.data.Dataset.from_tensor_slices((samples.x[:], data.targets(split)))  # type: ignore[arg-type]

    def batch(raw: Any, labels: Any) -> tuple[Any, Any]:
        images = tf.cast(raw, tf.float32) * data.preprocessing.scale + data.preprocessing.offset
        return images, labels if outputs is None else tf.one_hot(labels, outputs)

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
    gammas = tf.random.stateless_gamma([2], seeds + 2, alpha)
    share = gammas[0] / tf.maximum(gammas[0] + gammas[1], 1e-30)
    others = tf.argsort(tf.random.stateless_uniform([tf.shape(x)[0]], seeds + 3))
    return share * x + (1 - share) * tf.gather(x, others), share * shares + (1 - share) * tf.gather(shares, others)


def _augmentation(augment: Augment, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    if (augment.flip or augment.shift) and len(shape) != 3:
        raise RecipeError(
            f"training.augment needs images of (height, width, channels); the samples have the shape {shape}",
            fix="remove training.augment, or set image_shape",
        )

    def apply(images: Any, seeds: Any) -> Any:
        count = tf.shape(images)[0]
        if augment.flip:
            mirrored = tf.random.stateless_uniform([count, 1, 1, 1], seeds) < 0.5
            images = tf.where(mirrored, tf.reverse(images, [2]), images)
        if augment.shift:
            by = augment.shift
            padded = tf.pad(images, [[0, 0], [by, by], [by, by], [0, 0]])
            starts = tf.random.stateless_uniform([2, count, 1], seeds + 1, 0, 2 * by + 1, tf.int32)
            rows, columns = (starts[axis] + tf.range(shape[axis])[None] for axis in (0, 1))
            images = tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
        return images

    return apply
