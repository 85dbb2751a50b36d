"""Are the architectures those of their papers?"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from edgepack import extensions
from edgepack.catalogue import FIGURES, published
from edgepack.errors import RecipeError
from edgepack.models import zoo
from edgepack.stages.models import figures, weight_bytes

# TensorFlow and Keras warn of their own futures on import.
pytestmark = pytest.mark.filterwarnings("ignore")


def images(size: int) -> dict[str, Any]:
    """The shape of ImageNet at a resolution."""
    return {"input_shape": (size, size, 3), "classes": 1000}


IMAGENET = images(224)
APPLICATIONS = "https://keras.io/api/applications"
LITE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
TINY = "https://github.com/mlcommons/tiny, benchmark/training"

# All parameters as Keras counts them, or the trainable ones where the source leaves out the moving statistics of
# BatchNormalization, in millions as far as the source gives them.
PUBLISHED: list[Any] = [
    ("mobilenet_v1", {}, IMAGENET, "all", 4.3, APPLICATIONS),
    ("mobilenet_v1", {"width": 0.75}, IMAGENET, "all", 2.6, "1704.04861, table 6"),
    ("mobilenet_v1", {"width": 0.5}, IMAGENET, "all", 1.3, "1704.04861, table 6"),
    ("mobilenet_v1", {"width": 0.25}, IMAGENET, "all", 0.5, "1704.04861, table 6"),
    ("mobilenet_v2", {}, IMAGENET, "all", 3.5, APPLICATIONS),
    ("mobilenet_v3", {"size": "small"}, IMAGENET, "trainable", 2.5, "1905.02244, table 3"),
    ("mobilenet_v3", {"size": "large"}, IMAGENET, "all", 5.5, "1905.02244, table 3: 5.4, without the bias of its end"),
    ("efficientnet_b0", {}, IMAGENET, "all", 5.3, APPLICATIONS),
    ("efficientnet_v2_b0", {}, IMAGENET, "all", 7.2, APPLICATIONS),
    ("efficientnet_lite", {"variant": 0}, images(224), "trainable", 4.7, LITE),
    ("efficientnet_lite", {"variant": 1}, images(240), "trainable", 5.4, LITE),
    ("efficientnet_lite", {"variant": 2}, images(260), "trainable", 6.1, LITE),
    ("efficientnet_lite", {"variant": 3}, images(280), "trainable", 8.2, LITE),
    ("efficientnet_lite", {"variant": 4}, images(300), "trainable", 13.0, LITE),
    ("autoencoder", {}, {"input_shape": (640,), "classes": None}, "all", 0.269992, f"{TINY}/anomaly_detection"),
    ("resnet8", {}, {"input_shape": (32, 32, 3), "classes": 10}, "all", 0.078666, f"{TINY}/image_classification"),
    ("resnet", {}, {"input_shape": (32, 32, 3), "classes": 10}, "trainable", 0.27, "1512.03385, table 6: ResNet-20"),
    (
        "resnet", {"blocks": (7, 7, 7)}, {"input_shape": (32, 32, 3), "classes": 10}, "trainable", 0.66,
        "1512.03385, table 6: ResNet-44",
    ),
    (
        "ds_cnn", {}, {"input_shape": (49, 10, 1), "classes": 12}, "all", 0.024908,
        f"{TINY}/keyword_spotting",
    ),
]  # fmt: skip

# Multiply-accumulate operations in millions, and how far a figure may be off: half of the last published digit.
OPERATIONS: list[Any] = [
    ("mobilenet_v1", {}, IMAGENET, 569, 0.5, "1704.04861, table 6"),
    ("mobilenet_v1", {"width": 0.75}, IMAGENET, 325, 0.5, "1704.04861, table 6"),
    ("mobilenet_v1", {"width": 0.5}, IMAGENET, 149, 0.5, "1704.04861, table 6"),
    ("mobilenet_v1", {"width": 0.25}, IMAGENET, 41, 0.5, "1704.04861, table 6"),
    ("mobilenet_v2", {}, IMAGENET, 300, 2.5, "1801.04381, table 4; its figures are multiples of 5"),
    ("mobilenet_v2", {"width": 0.75}, images(96), 39, 0.5, "tf_keras.applications.mobilenet_v2"),
    ("mobilenet_v3", {"size": "small"}, IMAGENET, 56, 1, "1905.02244, table 3; 56.51 is nearly rounded so"),
    ("mobilenet_v3", {"size": "large"}, IMAGENET, 217, 0.5, "tf_keras.applications.mobilenet_v3"),
    ("efficientnet_b0", {}, IMAGENET, 390, 5, "1905.11946, table 2"),
    ("efficientnet_v2_b0", {}, IMAGENET, 720, 5, "https://github.com/google/automl/tree/master/efficientnetv2"),
    ("ds_cnn", {}, {"input_shape": (49, 10, 1), "classes": 12}, 2.7, 0.05, "1711.07128, table 5: 5.4 M operations"),
]

# These count BatchNormalization and activations, too, and so are up to 6 % above ours.
OPERATIONS_OF_LITE = {0: (224, 407), 1: (240, 631), 2: (260, 899), 3: (280, 1440), 4: (300, 2640)}

OTHER_SHAPES = ("mlp", "autoencoder")
"""No architectures for images."""


def build(name: str, arguments: Mapping[str, Any], **shape: Any) -> Any:
    return extensions.load("edgepack.zoo", name).build(zoo.arguments(zoo.Config(zoo=name, args=arguments)), **shape)


def measured(name: str, arguments: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of `edgepack models`, and ``all`` and ``trainable``, the parameters as Keras counts them."""
    return _measured(name, tuple(arguments.items()), tuple(shape["input_shape"]), shape["classes"])


@cache
def _measured(name: str, arguments: Any, input_shape: Any, classes: int | None) -> dict[str, Any]:
    model = build(name, dict(arguments), input_shape=input_shape, classes=classes)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {**figures(model), "all": model.count_params(), "trainable": trainable}


@pytest.mark.parametrize(("name", "arguments", "shape", "which", "millions", "source"), PUBLISHED)
def test_the_number_of_parameters_is_the_published_one(
    name: str, arguments: dict[str, Any], shape: dict[str, Any], which: str, millions: float, source: str
) -> None:
    digits = len(str(millions).partition(".")[2])
    assert round(measured(name, arguments, shape)[which] / 1e6, digits) == millions, source


@pytest.mark.parametrize(("name", "arguments", "shape", "millions", "half_a_digit", "source"), OPERATIONS)
def test_the_number_of_operations_is_the_published_one(
    name: str, arguments: dict[str, Any], shape: dict[str, Any], millions: float, half_a_digit: float, source: str
) -> None:
    assert measured(name, arguments, shape)["macs"] / 1e6 == pytest.approx(millions, abs=half_a_digit), source


def test_the_number_of_operations_of_each_lite_is_near_the_published_one() -> None:
    found = {item["args"]["variant"]: item for item in published("efficientnet_lite")["models"]}
    for variant, (resolution, millions) in OPERATIONS_OF_LITE.items():
        assert found[variant]["input_shape"] == [resolution, resolution, 3]
        assert 0.94 < found[variant]["macs"] / 1e6 / millions < 1, LITE


@pytest.mark.parametrize("name", extensions.names("edgepack.zoo"))
def test_listed_figures_are_those_of_the_models(name: str) -> None:
    """Each published form is built, and everything that `edgepack models` says of it is counted anew."""
    assert published(name)["models"], "an architecture of ours names its published form"
    for entry in published(name)["models"]:
        found = measured(name, entry["args"], entry)
        assert {key: found[key] for key in FIGURES} == {key: entry[key] for key in FIGURES}, entry["title"]
        assert found["all"] == entry["parameters"]


def test_bytes_of_weights_are_counted_as_by_hand() -> None:
    import tf_keras
    from tf_keras import layers

    from edgepack.keras_models.graph import from_keras

    model = tf_keras.Sequential(
        [
            layers.InputLayer((8, 8, 3)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.SeparableConv2D(5, 3),
            layers.PReLU(shared_axes=(1, 2)),
            layers.Flatten(),
            layers.Dense(7),
        ]
    )
    kernels = 3 * 3 * 3 * 4 + 3 * 3 * 4 * 2 + (3 * 3 * 8 + 8 * 5) + 2 * 2 * 5 * 7
    others = 4 + 8 + 5 + 5 + 7
    assert weight_bytes(from_keras(model)) == (4 * (kernels + others), kernels + 4 * others)


@pytest.mark.parametrize("name", [name for name in extensions.names("edgepack.zoo") if name not in OTHER_SHAPES])
def test_every_architecture_gives_one_probability_for_each_class(name: str) -> None:
    """With the dropout that was asked for, where it has one."""
    shape = (49, 10, 1) if name == "ds_cnn" else (32, 32, 3)
    takes_dropout = "dropout" in extensions.load("edgepack.zoo", name).Config.model_fields
    model = build(name, {"dropout": 0.35} if takes_dropout else {}, input_shape=shape, classes=7)
    outputs = model(np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32), training=False).numpy()
    assert outputs.shape == (2, 7)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)
    # What has a shape of noise leaves out whole residual branches of EfficientNets.
    dropouts = [layer for layer in model.layers if type(layer).__name__ == "Dropout" and not layer.noise_shape]
    assert {layer.rate for layer in dropouts} == ({0.35} if takes_dropout else set())


def test_keywords_can_be_spotted_in_one_dimension() -> None:
    model = build("ds_cnn", {"filters": 16}, input_shape=(49, 10), classes=12)
    assert {type(layer).__name__ for layer in model.layers} >= {"Conv1D", "DepthwiseConv1D"}
    assert model.output_shape == (None, 12)


@pytest.mark.parametrize(("name", "blocks"), [("small_cnn", 2), ("mlp", 2), ("autoencoder", 9)])
def test_batch_normalisation_is_as_asked_for(name: str, blocks: int) -> None:
    for wanted in (True, False):
        model = build(name, {"batch_normalization": wanted}, input_shape=(8, 8, 1), classes=7)
        kinds = [type(layer).__name__ for layer in model.layers]
        assert kinds.count("BatchNormalization") == (blocks if wanted else 0)


def test_blocks_and_filters_are_of_as_many_stages() -> None:
    expected = r"arguments of 'resnet': blocks \(\[2, 2\]\) has 2 stages, filters \(\[16, 32, 64\]\) 3"
    with pytest.raises(ValueError, match=expected):
        zoo.arguments(zoo.Config(zoo="resnet", args={"blocks": [2, 2]}))


def test_images_that_are_too_small_are_named(tmp_path: Any) -> None:
    with pytest.raises(RecipeError, match=r"mobilenet_v2 cannot be built for samples of shape \(28, 28, 1\)") as caught:
        zoo.build(zoo.Config(zoo="mobilenet_v2"), tmp_path, input_shape=(28, 28, 1), classes=10)
    assert "image_shape" in caught.value.fix
