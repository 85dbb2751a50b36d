"""Do clustered weights stay few, and zeros zeros, up to the int8 file: CQAT and PCQAT?"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import SHAPES, by_shape, context, digits, files, network

from edgepack.dataset import Dataset
from edgepack.schedules import constant
from edgepack.verify.weights import judge, weights

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

KERNELS = tuple(SHAPES)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits()


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    return network(data)


@pytest.fixture(scope="module")
def pruned(data: Dataset, trained: Any) -> Any:
    """The network, half of its weights zero."""
    from edgepack.techniques import prune

    return prune.apply(trained, data, prune.Config(epochs=3), context=context())


def distinct(kernel: Any) -> int:
    return len(np.unique(kernel))


@pytest.mark.parametrize("initialization", ["density", "random"])
def test_a_kernel_has_as_many_weights_as_the_recipe_says(data: Dataset, trained: Any, initialization: str) -> None:
    from edgepack.techniques import cluster

    config = cluster.Config(clusters=8, initialization=initialization, epochs=1)
    result = cluster.apply(trained, data, config, context=context())
    for name in KERNELS:
        before = trained.get_layer(name).get_weights()[0]
        after = result.model.get_layer(name).get_weights()[0]
        assert distinct(before) == before.size
        assert 4 <= distinct(after) <= 8, name
    depthwise = result.model.get_layer("depthwise").get_weights()[0]
    assert distinct(depthwise) == depthwise.size
    assert result.metrics["clusters"] == 8
    notes = {note.layer: (note.status, note.reason) for note in result.layers}
    assert notes["conv"] == ("clustered", "at most 8 distinct weights in the kernel")
    assert notes["depthwise"][0] == "skipped"


def test_clustering_trains_the_centroids(data: Dataset, trained: Any) -> None:
    from edgepack.techniques import cluster

    accuracy = {}
    for epochs in (0, 3):
        result = cluster.apply(trained, data, cluster.Config(clusters=4, epochs=epochs), context=context())
        accuracy[epochs] = result.metrics["val_accuracy_after"]
        assert max(distinct(result.model.get_layer(name).get_weights()[0]) for name in KERNELS) == 4
    assert accuracy[3] > accuracy[0]


def test_channels_have_clusters_of_their_own(data: Dataset, trained: Any) -> None:
    from edgepack.techniques import cluster

    result = cluster.apply(trained, data, cluster.Config(clusters=4, per_channel=True, epochs=1), context=context())
    for name in KERNELS:
        kernel = result.model.get_layer(name).get_weights()[0]
        channels = [distinct(channel) for channel in np.moveaxis(kernel, -1, 0)]
        assert max(channels) == 4, name
        assert distinct(kernel) > 4, name
    skipped = cluster.apply(trained, data, cluster.Config(clusters=9, per_channel=True, epochs=0), context=context())
    reasons = {note.layer: note.reason for note in skipped.layers if note.status == "skipped"}
    assert reasons["stem"] == "each of its channels has 9 weights, no more than 9 clusters"
    assert reasons["pointwise"] == "each of its channels has 8 weights, no more than 9 clusters"


@pytest.mark.parametrize("per_channel", [False, True])
def test_zeros_stay_zeros_and_are_one_of_the_clusters(data: Dataset, pruned: Any, per_channel: bool) -> None:
    from edgepack.techniques import cluster

    config = cluster.Config(clusters=4, per_channel=per_channel, epochs=1)
    result = cluster.apply(pruned.model, data, config, context=context())
    for name in KERNELS:
        before = pruned.model.get_layer(name).get_weights()[0]
        after = result.model.get_layer(name).get_weights()[0]
        np.testing.assert_array_equal(before == 0, after == 0, err_msg=name)
        assert max(distinct(channel) for channel in np.moveaxis(after, -1, 0)) <= 4, name
        assert per_channel or distinct(after) == 4, name


def test_zeros_may_be_given_up(data: Dataset, pruned: Any) -> None:
    from edgepack.promises import standing
    from edgepack.techniques import cluster

    config = cluster.Config(clusters=4, preserve_sparsity=False, epochs=0)
    result = cluster.apply(pruned.model, data, config, context=context())
    records = [{"layers": [], "promises": [asdict(promise) for promise in step.promises]} for step in (pruned, result)]
    assert {promise["zeros"] for promise in standing(records)} == {0}


@pytest.mark.parametrize(
    ("first", "per_channel", "batch_normalization"),
    [("trained", False, "fold"), ("trained", True, "train"), ("pruned", False, "fold"), ("pruned", False, "train")],
)
def test_quantised_training_keeps_what_the_int8_file_is_held_to(
    data: Dataset,
    first: str,
    per_channel: bool,
    batch_normalization: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """CQAT with both kinds of clusters, and PCQAT."""
    from edgepack.promises import standing
    from edgepack.techniques import cluster, qat

    start = request.getfixturevalue(first)
    steps = [start] if first == "pruned" else []
    config = cluster.Config(clusters=6, per_channel=per_channel, epochs=1)
    steps.append(cluster.apply(steps[-1].model if steps else start, data, config, context=context()))
    source = steps[-1].model
    settings = qat.Config(
        epochs=1, learning_rate=0.001, batch_normalization=batch_normalization, calibration_samples=200, monitor=False
    )
    result = qat.apply(source, data, settings, context=context())
    path = files(result.model, data, tmp_path, quantised=True)
    stored = by_shape(path)
    for name in KERNELS:
        kernel = source.get_layer(name).get_weights()[0]
        item = stored[SHAPES[name]]
        assert item.values.dtype == np.int32
        assert 2 <= item.distinct_per_channel <= 6, name
        assert item.zeros >= np.count_nonzero(kernel == 0), name
    records = [{"layers": [], "promises": [asdict(promise) for promise in step.promises]} for step in steps]
    judged = {item.gate: item for item in judge(weights(path), standing(records), artifact=path.name)}
    assert judged["kept_clusters"].status == "ok"
    assert judged["kept_clusters"].limit == 6
    if first == "pruned":
        assert judged["kept_sparsity"].status == "ok"
        assert judged["kept_sparsity"].limit >= 0.48
    assert result.metrics["val_accuracy_after"] > steps[-1].metrics["val_accuracy_after"] - 0.1


def test_without_the_hold_quantised_training_loses_both(data: Dataset, pruned: Any) -> None:
    """What the constraint is for: the same model, trained without it."""
    from edgepack.techniques import cluster
    from edgepack.techniques._preserve import held
    from edgepack.training.fit import fit

    source = cluster.apply(pruned.model, data, cluster.Config(clusters=4, epochs=0), context=context()).model
    start = source.get_weights()
    options: dict[str, Any] = {"learning_rate": 0.001, "schedule": constant.Config(), "seed": 0, "label": "test"}
    found = {}
    for hold in (True, False):
        source.set_weights(start)
        if hold:
            with held(source) as kept:
                fit(source, data, context().training, epochs=1, progress=lambda _: None, **options)
            assert kept == ["zeros and clusters"] * len(KERNELS)
        else:
            fit(source, data, context().training, epochs=1, progress=lambda _: None, **options)
        kernel = source.get_layer("conv").get_weights()[0]
        found[hold] = (distinct(kernel), float((kernel == 0).mean()))
        assert not np.array_equal(kernel, start[0])
    assert found[True] == (4, pytest.approx(0.5, abs=0.01))
    assert found[False][0] > 1000
    assert found[False][1] < 0.05
