"""How is a tf_keras model written so that the same model gives the same bytes?"""

import warnings
from pathlib import Path
from typing import Any


def save(model: Any, path: Path) -> None:
    """Write architecture and weights, no optimizer state, as HDF5.

    HDF5 rather than ``.keras``: a ``.keras`` archive carries the time of day, and tf_keras cannot read back one that
    holds TFMOT's ``QuantizeLayer`` (it misses two of its five variables).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*HDF5 file via.*")
        model.save(path, save_format="h5", include_optimizer=False)
