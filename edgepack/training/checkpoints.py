"""From where does a training go on that was stopped?

After each epoch weights, optimizer, averages, the best weights and the curve are written to a folder that outlives the
process. Everything else in a training follows from the seed and the number of the step.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = 2
"""Epochs that are kept: machines that train together may have been stopped on either side of the end of an epoch."""

NAME = "epoch"


@dataclass(frozen=True)
class Place:
    """What one training leaves besides the model.

    Attributes:
        checkpoint: Folder where each finished epoch is kept; training goes on from what is there. None = neither.
        log: Folder for TensorBoard; None = no log.
    """

    checkpoint: Path | None = None
    log: Path | None = None


NOWHERE = Place()


@dataclass
class Places:
    """Where the trainings of one stage, which come in the same order each time, leave what they leave.

    Attributes:
        checkpoints: Folder of the stage's checkpoints; None = none are kept.
        logs: Folder of the stage's logs; None = there are none.
        taken: Names of the trainings that have been given a place.
    """

    checkpoints: Path | None = None
    logs: Path | None = None
    taken: list[str] = field(default_factory=list)

    def next(self, name: str = "") -> Place:
        """The place of the next training.

        Args:
            name: What is trained, where that is not the model of the stage itself. Its log is in a folder of that name;
                the second training of a name gets the folder ``<name>-2``, of the model itself ``2``.
        """
        self.taken.append(name)
        count = self.taken.count(name)
        folder = "-".join(part for part in (name, str(count) if count > 1 else "") if part)
        return Place(
            None if self.checkpoints is None else self.checkpoints / f"{len(self.taken):02}",
            None if self.logs is None else self.logs / folder,
        )


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
