"""How far is the real ``.tflite`` from the fake-quantised Keras model, while that is still being trained?"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.contracts import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


SAME_DB = 200.0
"""Stands for "no difference at all", which has no finite ratio."""


@dataclass(frozen=True)
class Gap:
    """Outputs of the integer file against those of the Keras model, on the same samples.

    Attributes:
        max_abs: Largest difference of an output.
        sqnr_db: Signal to quantisation noise, decibels.
        top1: Share of samples with the same answer, as a fraction: for classes, the same largest output.
    """

    max_abs: float
    sqnr_db: float
    top1: float

    def figures(self) -> dict[str, float]:
        """What reports call them."""
        return {"tflite_sqnr_db": self.sqnr_db, "tflite_top1": self.top1}


def gap(model: Any, samples: "NDArray[np.float32]", task: str = "classification") -> Gap:
    """Convert a fake-quantised model to int8 and run it in LiteRT.

    Args:
        model: Fake-quantised tf_keras model.
        samples: float32 model inputs of shape (n, ...).
        task: What the outputs are answers to.

    Raises:
        ConversionError: The model does not become a full-int8 file of built-in operations.
    """
    import numpy as np

    from edgepack.formats.tflite import integer_file
    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import open_session
    from edgepack.verify.parity import compare

    expected = np.asarray(model(samples, training=False), dtype=np.float32)
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        path = Path(folder) / "model.int8.tflite"
        path.write_bytes(integer_file(model, samples))
        with open_session("litert", path, 1) as session:
            _, real = predict(session, samples)
    difference = compare(expected, real, task=task, inputs=samples)
    sqnr_db = SAME_DB if difference.sqnr_db is None else difference.sqnr_db
    return Gap(difference.max_abs, sqnr_db, difference.top1_agreement)


def monitor(model: Any, samples: "NDArray[np.float32]", progress: Progress, task: str) -> Any:
    """A tf_keras callback that adds ``tflite_sqnr_db`` and ``tflite_top1`` to the figures of each epoch.

    Args:
        model: The model that `training.fit.fit` was given; a copy of it may be what is trained.
        samples: float32 model inputs of shape (n, ...).
        progress: Is told the figures.
        task: What the outputs are answers to.
    """
    import tf_keras

    class Monitor(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found = gap(model, samples, task)
            progress({"label": "qat", "text": f"epoch {epoch + 1}: .tflite agrees to {found.sqnr_db:.1f} dB"})
            if logs is not None:
                logs.update(found.figures())

    return Monitor()
