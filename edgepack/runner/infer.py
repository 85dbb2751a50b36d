"""What does a model answer for a set of samples, raw and as real numbers?"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import bundle
from .columns import Columns
from .errors import UsageError
from .sessions import Session
from .tensors import TensorSpec, dequantize, quantize


def predict(session: Session, x: NDArray[np.floating[Any]]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Run all samples through a model with one input and one output.

    A dynamic batch is run one sample at a time, as a device would, so that the answer for a sample depends on
    nothing but that sample. A model with a fixed batch gets it filled up with the last sample.

    Args:
        session: An open session.
        x: Preprocessed samples as real numbers, shape (samples, ...).

    Returns:
        The raw outputs, shape (samples, ...) in the output's dtype, and the same dequantised to float32.

    Raises:
        UsageError: The model has more than one input or output, or the samples do not fit its input.
    """
    if len(session.inputs) != 1 or len(session.outputs) != 1:
        raise UsageError(
            f"the model has {len(session.inputs)} inputs and {len(session.outputs)} outputs; expected one of each"
        )
    source, target = session.inputs[0], session.outputs[0]
    check_samples(x, source.sample_shape)
    batch = max(source.shape[0], 1)
    fed = quantize(x, source)
    parts = []
    for start in range(0, len(fed), batch):
        chunk = fed[start : start + batch]
        filled = np.concatenate([chunk, np.repeat(chunk[-1:], batch - len(chunk), axis=0)])
        output = session.run({source.name: filled})[target.name]
        # Some converters drop the batch axis of a one-sample output.
        parts.append(output[: len(chunk)] if output.shape[:1] == (batch,) else output.reshape(1, -1))
    raw = np.concatenate(parts)
    return raw, dequantize(raw, target)


def golden_batches(golden: Path, columns: Columns, spec: TensorSpec) -> list[NDArray[Any]]:
    """Golden samples as an input takes them: each begins one batch, and a batch larger than one goes round at the end.

    Args:
        golden: The file of golden samples.
        columns: What stands in each place of a sample.
        spec: The only input.

    Returns:
        One array for each sample, in the input's dtype and batch.

    Raises:
        UsageError: The samples cannot be read, or do not fit the input.
    """
    real = bundle.golden_input(golden, columns)
    check_samples(real, spec.sample_shape)
    fed = quantize(real, spec)
    batch = max(spec.shape[0], 1)
    return [fed[np.arange(first, first + batch) % len(fed)] for first in range(len(fed))]


def check_samples(x: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse samples that do not fit an input.

    Args:
        x: Samples, shape (samples, ...).
        shape: The input's shape, batch axis first, -1 for a size that may be anything.

    Raises:
        UsageError: There are no samples, or a size differs.
    """
    wanted = shape[1:]
    fits = x.ndim == len(shape) and all(w in (-1, s) for s, w in zip(x.shape[1:], wanted, strict=True))
    if len(shape) == 0 or len(x) == 0 or not fits:
        raise UsageError(
            f"samples of shape {list(x.shape)}; expected [any number of samples, {', '.join(map(str, wanted))}]"
        )
