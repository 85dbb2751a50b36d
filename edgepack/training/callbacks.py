"""What happens between the steps of a training: rates, averages, the best weights, progress?"""

import time
from collections.abc import Callable
from typing import Any

from edgepack.contracts import Course, Progress, Span

PROGRESS_INTERVAL_S = 0.5


def follow(rate: Course, momentum: Course | None) -> Any:
    """A callback that gives each step its learning rate and, unless None, its momentum (Adam: beta_1)."""
    import tensorflow as tf
    import tf_keras

    class Follow(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        def __init__(self) -> None:
            super().__init__()
            self.step = 0
            self.momentum: Any = None

        def on_train_begin(self, logs: Any = None) -> None:
            if momentum is not None:  # a variable, because the compiled step would keep a number for ever
                self.momentum = tf.Variable(momentum(0), trainable=False, dtype=tf.float32)
                optimizer = self.model.optimizer
                setattr(optimizer, "beta_1" if hasattr(optimizer, "beta_1") else "momentum", self.momentum)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate.assign(rate(self.step))
            if momentum is not None:
                self.momentum.assign(momentum(self.step))
            self.step += 1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs is not None:
                logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())

    return Follow()


def averaging(kept: Any, decay: float) -> Any:
    """A callback that keeps a moving average of all weights of ``kept``, and lets validation see it.

    After each step ``average += (1 - d) * (weight - average)`` with ``d = min(decay, (1 + step) / (10 + step))``, so
    that the first steps are soon forgotten (tf.train.ExponentialMovingAverage, ``num_updates``). Statistics of
    BatchNormalization are averaged like weights. ``averages`` holds them in the order of ``kept.weights``.
    """
    import tensorflow as tf
    import tf_keras

    class Averaging(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.averages: list[Any] = []
            self.own: list[Any] | None = None
            self.step = tf.Variable(0, trainable=False, dtype=tf.float32)

        def on_train_begin(self, logs: Any = None) -> None:
            self.averages = [tf.Variable(weight, trainable=False) for weight in kept.weights]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            update()

        def on_test_begin(self, logs: Any = None) -> None:
            self.own = kept.get_weights()
            kept.set_weights([average.numpy() for average in self.averages])

        def on_test_end(self, logs: Any = None) -> None:
            kept.set_weights(self.own)

    callback = Averaging()

    @tf.function  # type: ignore[untyped-decorator]
    def update() -> None:
        callback.step.assign_add(1)
        share = 1 - tf.minimum(decay, (1 + callback.step) / (10 + callback.step))
        for average, weight in zip(callback.averages, kept.weights, strict=True):
            if weight.dtype.is_floating:
                average.assign_add(tf.cast(share, weight.dtype) * (weight - average))
            else:
                average.assign(weight)

    return callback


def best_weights(weights: Callable[[], list[Any]], from_epoch: int) -> Any:
    """A callback that keeps the weights of the best epoch: highest validation accuracy, then lowest validation loss.

    Args:
        weights: Gives the weights that were validated.
        from_epoch: First epoch, from 0 on, whose weights may be kept.
    """
    import tf_keras

    class BestWeights(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.score: tuple[float, float] | None = None
            self.weights: Any = None
            self.epoch = -1

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            score = (logs["val_accuracy"], -logs["val_loss"])
            if epoch >= from_epoch and (self.score is None or score > self.score):
                self.score, self.weights, self.epoch = score, weights(), epoch

    return BestWeights()


def reporter(progress: Progress, label: str, span: Span) -> Any:
    """A callback that tells how far the training is, about twice a second."""
    import tf_keras

    class Reporter(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.done = 0
            self.last = 0.0
            self.text = ""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            now = time.monotonic()
            if now - self.last > PROGRESS_INTERVAL_S:
                self.last = now
                progress({"label": label, "step": self.done, "steps": span.steps, "text": self.text})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs = logs or {}
            self.text = f"epoch {epoch + 1}/{span.epochs}, validation accuracy {logs.get('val_accuracy', 0):.4f}"
            progress({"label": label, "step": self.done, "steps": span.steps, "text": self.text})

    return Reporter()
