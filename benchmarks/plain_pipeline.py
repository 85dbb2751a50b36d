"""In which batches does a user who writes it by hand train on images: flipped, shifted by two pixels, shuffled?"""

from typing import Any


def batches(x: Any, y: Any, x_validation: Any, y_validation: Any, batch_size: int) -> tuple[Any, Any]:
    """Batches to train on and to validate with, as plain `tf.data` pipelines.

    Args:
        x: Bytes, uint8 (n, height, width, channels); the pipelines give float32 in [0, 1].
        y: Labels, int64 (n,).
        x_validation: As ``x``; neither shuffled nor changed.
        y_validation: As ``y``.
        batch_size: Of training.
    """
    import tensorflow as tf

    def augment(pair: tuple[Any, Any], seed: Any) -> tuple[Any, Any]:
        images, labels = scale(*pair)
        images = tf.image.stateless_random_flip_left_right(images, seed)
        padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]])
        return tf.image.stateless_random_crop(padded, tf.shape(images), seed), labels

    def scale(images: Any, labels: Any) -> tuple[Any, Any]:
        return tf.cast(images, tf.float32) / 255, labels

    seeds = tf.data.Dataset.random(seed=0).batch(2)
    shuffled = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0).batch(batch_size)
    training = tf.data.Dataset.zip((shuffled, seeds)).map(augment).prefetch(2)
    return training, tf.data.Dataset.from_tensor_slices((x_validation, y_validation)).batch(512).map(scale)
