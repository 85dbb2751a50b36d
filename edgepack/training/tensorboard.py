"""Where can a training be watched with TensorBoard?

TensorFlow writes event files by itself. Only ``tf.summary.scalar`` wants the package ``tensorboard``; what it adds is a
note that a tensor is a scalar.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCALAR = 1  # DATA_CLASS_SCALAR in TensorFlow's summary.proto


def log(folder: Path, curve: Any) -> Any:
    """A callback that writes the figures of each epoch to an event file, first those of the epochs that are done.

    A training that goes on from a checkpoint so writes its whole curve, wherever between two files the last one ended.

    Args:
        folder: A run for TensorBoard, empty or not yet there. Figures keep the names that they have in the curve; their
            steps are epochs, from 1 on.
        curve: The callback with the curve, called before this one; see `edgepack.training.callbacks.curve`.
    """
    import tensorflow as tf
    import tf_keras

    proto = tf.compat.v1.SummaryMetadata
    kind = proto(plugin_data=proto.PluginData(plugin_name="scalars"), data_class=SCALAR)
    writer = tf.summary.create_file_writer(str(folder))

    def write(entries: Sequence[Mapping[str, float]]) -> None:
        with writer.as_default():
            for entry in entries:
                for name in sorted(set(entry) - {"epoch"}):
                    tf.summary.write(name, tf.constant(entry[name], tf.float32), int(entry["epoch"]), kind)
        writer.flush()

    class Log(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            write(curve.entries[-1:])

        def on_train_end(self, logs: Any = None) -> None:
            writer.close()

    write(curve.entries)
    return Log()
