"""How far may another machine be from the golden outputs of a file whose origin is unknown?"""

from typing import Any

import numpy as np
import pytest

from edgepack.stages.verify import tolerance
from edgepack.verify.runs import Ran


def ran(file: str, scale: float | None = None) -> Ran:
    outputs = np.array([[0.0, 0.51], [0.25, 0.1]], np.float32)
    return Ran(file, "any", None, outputs, outputs, {}, [], [{"scale": scale}])


def yardstick(file: str, widest: float) -> dict[str, Any]:
    side = {"file": file}
    return {"a": side, "b": side, "yardstick": True, "max_abs_difference": widest, "top1_agreement": 0.9}


@pytest.mark.parametrize(
    ("file", "scale", "made_here", "widest"),
    [
        ("model.int8.tflite", 0.01, False, 0.03),  # its own kernels
        ("model.int8.onnx", 0.01, True, 0.03),  # it has the integers of the .tflite
        ("model.int8.onnx", 0.01, False, 16 * 0.01),  # it may be another model
        ("model.int8.onnx", None, False, 16 * 0.51 / 255),  # as if 0 to 0.51 were 8 bits
        ("model.float32.onnx", None, False, 0.0),
    ],
)
def test_the_measure_is_the_files_own_unless_one_was_made_from_the_other(
    file: str, scale: float | None, made_here: bool, widest: float
) -> None:
    found = tolerance(ran(file, scale), [yardstick("model.int8.tflite", 0.03)], 10, made_here=made_here)
    assert found["max_abs"] == pytest.approx(widest + (scale or 0.001))
