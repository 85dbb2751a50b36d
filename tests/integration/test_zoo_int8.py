"""Does every architecture of the zoo become a file of integers and built-in operations that answers like the model?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import context, digits, files

from edgepack import extensions
from edgepack.catalogue import published
from edgepack.formats.tflite import convert_model
from edgepack.models import zoo
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session
from edgepack.tflite_models.contents import require

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

NARROW: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.35},
    "mobilenet_v3": {"width": 0.35},
}
"""Arguments that make a large architecture quick to convert; it has every layer all the same."""


def forms() -> list[Any]:
    """Each architecture at its published inputs, images at 32x32: one form for each number of axes."""
    found = {}
    for name in extensions.names("edgepack.zoo"):
        for entry in published(name)["models"]:
            shape = tuple(entry["input_shape"])
            small = (32, 32, 3) if shape[0] > 32 and shape[-1] == 3 else shape
            found.setdefault((name, len(shape)), small)
    return [pytest.param(name, shape, id=f"{name}-{axes}d") for (name, axes), shape in found.items()]


DEEP = ("efficientnet_b0", "efficientnet_lite", "efficientnet_v2_b0", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3")
"""Without training they let every rounding grow from layer to layer, so that little more than chance is asked of them;
0.06 is the standard deviation of the correlation where there is none."""


@pytest.mark.parametrize(("name", "shape"), forms())
def test_int8_after_training(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    import tf_keras

    from edgepack.channels.statistics import renew

    tf_keras.utils.set_random_seed(0)
    model = zoo.build(zoo.Config(zoo=name, args=NARROW.get(name, {})), tmp_path, input_shape=shape, classes=7)
    x = np.random.default_rng(0).normal(size=(48, *shape)).astype(np.float32)
    if name == "efficientnet_b0":
        x = np.clip(128 + 40 * x, 0, 255)
    renew(model, x)  # activations like those of a trained model
    content = convert_model(model, "int8", x)
    require(content, "int8")
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with open_session("litert", path, 1) as session:
        assert (session.inputs[0].dtype, session.outputs[0].dtype) == ("int8", "int8")
        _, found = predict(session, x)
    expected = model(x, training=False).numpy()
    assert found.shape == expected.shape
    differences = [(values - values.mean(axis=0)).ravel() for values in (found, expected)]
    assert np.corrcoef(*differences)[0, 1] > (0.3 if name in DEEP else 0.9)


def test_resnet8_with_its_biases_is_pruned_and_quantised_in_training(tmp_path: Path) -> None:
    """Biases before BatchNormalization, and shortcuts without one: folding stays exact, and the file agrees."""
    import tf_keras

    from edgepack.keras_models.rewriting import rewrite
    from edgepack.schedules import one_cycle
    from edgepack.stages.models import figures
    from edgepack.techniques import prune_channels, qat
    from edgepack.training.fit import fit

    tf_keras.utils.set_random_seed(0)
    data = digits(600, 200, 200)
    model = zoo.build(zoo.Config(zoo="resnet8", args={"width": 8}), tmp_path, input_shape=(8, 8, 1), classes=10)
    for layer in model.layers:
        if "momentum" in layer.get_config():
            layer.momentum = 0.8  # so few steps would leave the statistics near where they start
    fit(
        model, data, context().training, epochs=8, learning_rate=0.005, schedule=one_cycle.Config(), seed=0,
        progress=lambda _: None, label="test",
    )  # fmt: skip
    assert all(proof.kept for proof in rewrite(model, quantisation=True).proofs)
    narrow = prune_channels.apply(model, data, prune_channels.Config(goal={"macs": 0.6}, epochs=2), context=context())
    assert figures(narrow.model)["macs"] <= 0.6 * figures(model)["macs"]
    kept = {layer.name: layer.use_bias for layer in narrow.model.layers if layer.name.endswith("_conv")}
    assert len(kept) == 9 and all(kept.values())
    trained = qat.apply(narrow.model, data, qat.Config(epochs=1), context=context())
    assert {note.status for note in trained.layers} <= {"quantised", "passed through"}
    path = files(trained.model, data, tmp_path, quantised=True)
    require(path.read_bytes(), "int8")
    with open_session("litert", path, 1) as session:
        _, found = predict(session, data.inputs("test"))
    expected = trained.model.predict(data.inputs("test"), verbose=0)
    assert np.mean(found.argmax(1) == expected.argmax(1)) > 0.98
    assert np.mean(found.argmax(1) == data.targets("test")) > 0.8
