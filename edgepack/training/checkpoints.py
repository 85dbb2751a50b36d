"""From where does a training go on that was stopped?

After each epoch weights, optimizer, averages, the best weights and the curve are written to a folder that outlives the
process. Everything else in a training follows from the seed and the number of the step.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = 2
"""Epochs that are kept: machines that train together may have been stopped on either side of the end of an epoch."""

NAME = "epoch"


@dataclass
class Places:
    """Where the trainings of one stage, which come in the same order each time, keep their checkpoints.

    Attributes:
        folder: Folder of the stage; None = nothing is kept.
        taken: How many trainings have been given a place.
    """

    folder: Path | None = None
    taken: int = 0

    def next(self) -> Path | None:
        """The folder of the next training."""
        self.taken += 1
        return None if self.folder is None else self.folder / f"{self.taken:02}"


@dataclass(frozen=True)
class State:
    """What a checkpoint holds.

    Attributes:
        model: The model that is trained.
        curve: The callback with the curve.
        best: The callback with the best weights.
        averaged: The callback with the averages, or None.
    """

    model: Any
    curve: Any
    best: Any
    averaged: Any


def resume(folder: Path, state: State, agree: Callable[[Sequence[int]], int]) -> tuple[int, Any]:
    """Take over the last checkpoint, if there is one, and keep the next ones.

    Args:
        folder: Where they are.
        state: What they hold; changed in place.
        agree: Chooses among the epochs that are there, 0 always among them.

    Returns:
        Number of epochs that are done, and a callback that writes a checkpoint after each further one.
    """
    import tensorflow as tf
    import tf_keras

    class Notes(tf.train.experimental.PythonState):  # type: ignore[misc] # TensorFlow has no type information
        """The curve, and which of its epochs was the best; variables of text cannot be on several devices."""

        def serialize(self) -> str:
            record = {"curve": state.curve.entries, "score": state.best.score, "epoch": state.best.epoch}
            return json.dumps(record)

        def deserialize(self, text: bytes) -> None:
            found = json.loads(text)
            state.curve.entries[:] = found["curve"]
            if found["score"] is not None:
                state.best.score, state.best.epoch = tuple(found["score"]), found["epoch"]

    best = [tf.Variable(weight, trainable=False) for weight in state.best.current()]
    parts = {"model": state.model, "optimizer": state.model.optimizer, "notes": Notes(), "best": best}
    if state.averaged is not None:
        parts |= {"averages": state.averaged.averages, "averaged_steps": state.averaged.step}
    checkpoint = tf.train.Checkpoint(**parts)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), KEPT, checkpoint_name=NAME)
    epochs = [0, *(int(path.rsplit("-", 1)[-1]) for path in manager.checkpoints)]
    done = agree(epochs)
    if done:
        checkpoint.restore(str(folder / f"{NAME}-{done}")).assert_existing_objects_matched()
        if state.best.score is not None:
            state.best.weights = [weight.numpy() for weight in best]

    class Keeper(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if state.best.weights is not None:
                for variable, weight in zip(best, state.best.weights, strict=True):
                    variable.assign(weight)
            manager.save(checkpoint_number=epoch + 1)

    return done, Keeper()
