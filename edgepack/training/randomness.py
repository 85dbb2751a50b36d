"""How do Keras' random layers draw numbers that follow from a seed alone, and not from how often they were called?

Keras' generators keep a state that no checkpoint holds. This one has none: training that is resumed draws what it would
have drawn, and batches that are augmented side by side do not compete for numbers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SeededGenerator:
    """Stands in for `tf_keras.src.backend.RandomGenerator` in a layer.

    Args:
        seeds: Gives the seed, an integer tensor of shape (2,); asked anew for each number that is drawn.
    """

    def __init__(self, seeds: Callable[[], Any]) -> None:
        self._seeds = seeds
        self._drawn = 0

    def _maybe_init(self) -> None:
        """Called by Keras when it builds a layer."""

    def _next(self) -> Any:
        import tensorflow as tf

        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(self._seeds(), self._drawn)

    def make_seed_for_stateless_op(self) -> Any:
        """A seed for an operation that takes one."""
        return self._next()

    def random_uniform(
        self, shape: Any, minval: Any = 0.0, maxval: Any = None, dtype: Any = None, nonce: int | None = None
    ) -> Any:
        """Uniform numbers in [minval, maxval)."""
        import tensorflow as tf

        return tf.random.stateless_uniform(
            shape, self._next(), minval, 1.0 if maxval is None else maxval, dtype or tf.float32
        )

    def random_normal(
        self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, nonce: int | None = None
    ) -> Any:
        """Normal numbers."""
        import tensorflow as tf

        return tf.random.stateless_normal(shape, self._next(), mean, stddev, dtype or tf.float32)

    def dropout(self, inputs: Any, rate: float, noise_shape: Any = None) -> Any:
        """``inputs`` with a share of ``rate`` set to 0 and the rest scaled up, the same for the same seed."""
        import tensorflow as tf

        return tf.nn.experimental.stateless_dropout(inputs, rate, self._seeds(), noise_shape=noise_shape)


@contextmanager
def seeded(model: Any, seed: int, step: Any) -> Iterator[None]:
    """While open, the random layers of a model (dropout, noise) draw what follows from ``seed`` and the step alone.

    Args:
        model: tf_keras model, TFMOT's wrappers included.
        seed: Seed of the training.
        step: Integer variable that counts the steps. Replicas draw different numbers.
    """
    import tensorflow as tf

    def seeds(number: int) -> Callable[[], Any]:
        def give() -> Any:
            context = tf.distribute.get_replica_context()
            replica = context.replica_id_in_sync_group if context is not None else 0
            now = tf.stack([tf.cast(step, tf.int64), tf.constant(seed, tf.int64)])
            return tf.random.experimental.stateless_fold_in(
                tf.random.experimental.stateless_fold_in(now, number), replica
            )

        return give

    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "_random_generator")]
    before = [layer._random_generator for layer in layers]
    for number, layer in enumerate(layers):
        _give(layer, SeededGenerator(seeds(number)))
    try:
        yield
    finally:
        for layer, generator in zip(layers, before, strict=True):
            _give(layer, generator)


def _give(layer: Any, generator: Any) -> None:
    # Past Keras' tracking: a generator is no part of the model's state.
    object.__setattr__(layer, "_random_generator", generator)


@contextmanager
def drawing(layer: Any, seeds: Any) -> Iterator[None]:
    """While open, a random layer draws from one seed, an integer tensor of shape (2,)."""
    before = layer._random_generator
    _give(layer, SeededGenerator(lambda: seeds))
    try:
        yield
    finally:
        _give(layer, before)
