"""Is an operation of Keras 3 only carried over with settings that mean the same?"""

import pytest

from edgepack.keras_models.keras3.activations import Step
from edgepack.keras_models.keras3.operations import FUNCTIONS, is_operation, translate


def test_settings_become_arguments_under_tensorflows_names() -> None:
    assert translate("Mean", {"name": "m", "axis": [1, 2], "keepdims": True}) == Step(
        "TFOpLambda", {"function": "math.reduce_mean"}, {"axis": [1, 2], "keepdims": True}
    )
    assert translate("LeakyRelu", {"name": "l", "negative_slope": 0.3}) == Step(
        "TFOpLambda", {"function": "nn.leaky_relu"}, {"alpha": 0.3}
    )
    assert translate("Reshape", {"name": "r", "newshape": [None, 4]}) == Step(
        "TFOpLambda", {"function": "reshape"}, {"shape": [-1, 4]}
    )


def test_operations_that_the_converter_knows_become_layers() -> None:
    assert translate("HardSilu", {"name": "h"}) == Step("HardSwish")
    assert translate("GetItem", {"name": "g"}) == Step("SlicingOpLambda", {"function": "__operators__.getitem"})


@pytest.mark.parametrize(
    ("kind", "config", "reason"),
    [
        ("Cumsum", {"axis": 1}, "no counterpart of this operation"),
        ("Elu", {"alpha": 0.5}, "alpha=0.5 has no counterpart in tf.nn.elu"),
        ("Round", {"decimals": 2}, "decimals=2"),
        ("Max", {"axis": [1], "keepdims": False, "initial": 0.0}, "initial=0.0"),
        ("Split", {"indices_or_sections": [1, 3], "axis": 1}, "number of equal sections"),
        ("Pad", {"pad_width": [[1, 1]], "mode": "constant"}, "pair for each axis"),
    ],
)
def test_anything_else_is_refused_with_its_reason(kind: str, config: dict[str, object], reason: str) -> None:
    answer = translate(kind, {"name": "n", **config})
    assert isinstance(answer, str)
    assert reason in answer


def test_usual_values_of_settings_without_a_counterpart_are_no_obstacle() -> None:
    for kind, function in FUNCTIONS.items():
        assert not set(function.settings) & set(function.only)
        assert not isinstance(translate(kind, {"name": "n", **function.only, **USUAL.get(kind, {})}), str), kind


USUAL: dict[str, dict[str, object]] = {
    "Split": {"indices_or_sections": 2, "axis": 0},
    "Pad": {"pad_width": [[0, 0], [1, 1]]},
}


def test_operations_are_told_from_layers_of_the_same_name() -> None:
    assert is_operation("keras.src.ops.numpy")
    assert not is_operation("keras.layers")
    assert not is_operation("")
