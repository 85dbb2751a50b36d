"""What happens between the steps of a training: averages, the best weights, the curve, progress?"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from edgepack.contracts import Progress, Span

PROGRESS_INTERVAL_S = 0.5


def averaging(kept: Any, decay: float) -> Any:
    """A callback that keeps a moving average of all weights of ``kept``, and lets validation see it.

    After each step ``average += (1 - d) * (weight - average)`` with ``d = min(decay, (1 + step) / (10 + step))``, so
    that the first steps are soon forgotten (tf.train.ExponentialMovingAverage, ``num_updates``). Statistics of
    BatchNormalization are averaged like weights. ``averages`` holds them in the order of ``kept.weights``, ``step`` the
    steps so far.
    """
    import tensorflow as tf
    import tf_keras

    class Averaging(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.averages = [tf.Variable(weight, trainable=False) for weight in kept.weights]
            self.own: list[Any] | None = None
            self.step = tf.Variable(0, trainable=False, dtype=tf.float32)

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


def put_back(copy: Any, model: Any) -> Any:
    """A callback that gives a model the weights of the copy that is trained, for whoever looks at it between epochs."""
    import tf_keras

    class PutBack(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            model.set_weights(copy.get_weights())

    return PutBack()


def judge(figure: Callable[[], float]) -> Any:
    """A callback that adds a figure of merit to each epoch as ``val_accuracy``, where no tf_keras metric measures it.

    It is measured as a validation ends, while averaged weights are in place: this callback stands before theirs.
    """
    import tf_keras

    class Judge(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.figure = 0.0

        def on_test_end(self, logs: Any = None) -> None:
            self.figure = figure()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["val_accuracy"] = self.figure

    return Judge()


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
            self.current = weights

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            score = (logs["val_accuracy"], -logs["val_loss"])
            if epoch >= from_epoch and (self.score is None or score > self.score):
                self.score, self.weights, self.epoch = score, self.current(), epoch

    return BestWeights()


def curve(patience: int | None) -> Any:
    """A callback that notes the figures of each epoch in ``entries``, and ends a training that no longer gets better.

    ``waiting`` may be set to a function that gives the seconds that were spent waiting for data since its last call.

    Args:
        patience: Training ends after so many epochs without a better validation accuracy; None = never.
    """
    import tf_keras

    class Curve(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.entries: list[dict[str, float]] = []
            self.waited_s = self.trained_s = 0.0
            self.begun = 0.0
            self.waiting: Callable[[], float] | None = None

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begun = time.monotonic()

        def on_test_begin(self, logs: Any = None) -> None:
            if self.waiting is not None:
                self.waited_s += self.waiting()
                self.trained_s += time.monotonic() - self.begun

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            optimizer = self.model.optimizer
            figures: Mapping[str, float] = {**(logs or {}), "learning_rate": float(optimizer.learning_rate.numpy())}
            # Nobody teaches while a model is validated.
            names = sorted(set(figures) - {"val_distillation_loss"})
            self.entries.append({"epoch": epoch + 1, **{name: float(figures[name]) for name in names}})
            self.model.stop_training = self.model.stop_training or self.ended

        @property
        def ended(self) -> bool:
            """True when the patience is at its end."""
            accuracies = [entry["val_accuracy"] for entry in self.entries]
            if patience is None or not accuracies:
                return False
            return len(accuracies) - 1 - accuracies.index(max(accuracies)) >= patience

        @property
        def data_wait(self) -> float | None:
            """Share of the time of training that was spent waiting for data, as a fraction; None = not known."""
            return self.waited_s / self.trained_s if self.trained_s else None

    return Curve()


def reporter(progress: Progress, label: str, span: Span, merit: str) -> Any:
    """A callback that tells how far the training is, about twice a second; ``merit`` names the figure of merit."""
    import tf_keras

    class Reporter(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.epoch = 0
            self.last = 0.0
            self.text = ""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now - self.last > PROGRESS_INTERVAL_S:
                self.last = now
                self._tell(self.epoch * span.steps_per_epoch + batch + 1)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs = logs or {}
            self.text = f"epoch {epoch + 1}/{span.epochs}, validation {merit} {logs.get('val_accuracy', 0):.4f}"
            self._tell((epoch + 1) * span.steps_per_epoch)

        def _tell(self, done: int) -> None:
            progress({"label": label, "step": done, "steps": span.steps, "text": self.text})

    return Reporter()
