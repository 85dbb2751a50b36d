"""How are training images changed at random?"""

from collections.abc import Callable
from typing import Any

from edgepack.errors import RecipeError
from edgepack.training.config import Augment

EDGES = {"zeros": "constant", "nearest": "nearest", "reflect": "reflect"}
"""What lies beyond the edge of an image: our word and Keras'."""


def augmentation(augment: Augment, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """A function of images float32 (batch, height, width, channels) and a seed int64 (2,) that gives changed images.

    The same images and the same seed give the same result.

    Raises:
        RecipeError: The samples are no images.
    """
    if augment == Augment():
        return lambda images, _: images
    if len(shape) != 3:
        raise RecipeError(
            f"training.augment needs images of (height, width, channels); the samples have the shape {shape}",
            fix="remove training.augment, or set image_shape",
        )
    changes = [*_moves(augment, shape), *_layers(augment), *_contrasts(augment), *_covers(augment, shape)]

    def apply(images: Any, seeds: Any) -> Any:
        import tensorflow as tf

        for number, change in enumerate(changes):
            images = tf.ensure_shape(
                change(images, tf.random.experimental.stateless_fold_in(seeds, number)), (None, *shape)
            )
        return images

    return apply


def _moves(augment: Augment, shape: tuple[int, ...]) -> list[Callable[[Any, Any], Any]]:
    """Mirroring and shifting by whole pixels, which need no interpolation."""
    import tensorflow as tf

    def flip(images: Any, seeds: Any) -> Any:
        mirrored = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seeds) < 0.5
        return tf.where(mirrored, tf.reverse(images, [2]), images)

    def shift(images: Any, seeds: Any) -> Any:
        by = augment.shift
        padded = tf.pad(images, [[0, 0], [by, by], [by, by], [0, 0]])
        starts = tf.random.stateless_uniform([2, tf.shape(images)[0], 1], seeds, 0, 2 * by + 1, tf.int32)
        rows, columns = (starts[axis] + tf.range(shape[axis])[None] for axis in (0, 1))
        return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)

    return [*([flip] if augment.flip else []), *([shift] if augment.shift else [])]


def _contrasts(augment: Augment) -> list[Callable[[Any, Any], Any]]:
    """Contrast around each channel's mean, one factor for each image.

    Keras' layer has one factor for the whole batch, and cuts values off at 255, whatever their range is.
    """
    import tensorflow as tf

    def contrast(images: Any, seeds: Any) -> Any:
        low, high = 1 - augment.contrast, 1 + augment.contrast
        factors = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seeds, low, high)
        means = tf.reduce_mean(images, [1, 2], keepdims=True)
        return (images - means) * factors + means

    return [contrast] if augment.contrast else []


def _layers(augment: Augment) -> list[Callable[[Any, Any], Any]]:
    """Keras' own layers, each with numbers that follow from the seed."""
    from tf_keras import layers

    from edgepack.training.randomness import drawing

    edges: dict[str, Any] = {"fill_mode": EDGES[augment.edges], "fill_value": 0.0}
    made = []
    if augment.rotation:
        made.append(layers.RandomRotation(augment.rotation / 360, **edges))
    if augment.zoom:
        made.append(layers.RandomZoom(augment.zoom, **edges))

    def change(layer: Any) -> Callable[[Any, Any], Any]:
        def apply(images: Any, seeds: Any) -> Any:
            with drawing(layer, seeds):
                return layer(images, training=True)

        return apply

    return [change(layer) for layer in made]


def _covers(augment: Augment, shape: tuple[int, ...]) -> list[Callable[[Any, Any], Any]]:
    """A square of zeros somewhere on each image (cutout, 1708.04552), cut off at the edges as in the paper."""
    import tensorflow as tf

    def cover(images: Any, seeds: Any) -> Any:
        def covered(axis: int) -> Any:
            drawn = tf.random.stateless_uniform([tf.shape(images)[0], 1], seeds + axis, 0, shape[axis], tf.int32)
            first, pixels = drawn - augment.cutout // 2, tf.range(shape[axis])[None]
            return (first <= pixels) & (pixels < first + augment.cutout)

        return tf.where((covered(0)[:, :, None] & covered(1)[:, None, :])[..., None], 0.0, images)

    return [cover] if augment.cutout else []
