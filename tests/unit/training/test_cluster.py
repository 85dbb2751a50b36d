"""Is TF_CONFIG read as TensorFlow reads it, and is a batch split evenly or not at all?"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import RecipeError
from edgepack.training import cluster
from edgepack.training.config import Distribution, Training

WORKERS = ["a:1", "b:2", "c:3"]


def variable(index: object = 1, kind: str = "worker", **jobs: object) -> dict[str, str]:
    document = {"cluster": jobs or {"worker": WORKERS}, "task": {"type": kind, "index": index}}
    return {"TF_CONFIG": json.dumps(document)}


def test_the_machines_are_read() -> None:
    found = cluster.read(variable(2))
    assert (found.workers, found.index, found.is_chief) == (("a:1", "b:2", "c:3"), 2, False)
    assert cluster.read(variable(0)).is_chief


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "is not set"),
        ({"TF_CONFIG": "{"}, "does not say cluster.worker"),
        ({"TF_CONFIG": "{}"}, "KeyError"),
        ({"TF_CONFIG": "[1]"}, "TypeError"),
        (variable(3), "task.index is 3, but cluster.worker lists 3"),
        (variable("1"), "task.index is '1'"),
        (variable(0, "ps"), "the task 'ps'"),
        (variable(0, worker=WORKERS, chief=["d:4"]), "a cluster of workers only"),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        cluster.read(environment)
    assert caught.value.fix


def test_one_machine_needs_no_variable() -> None:
    assert cluster.of(Training(), {}) is None
    assert cluster.of(Training(distribution=Distribution(strategy="mirrored")), {}) is None
    with pytest.raises(RecipeError):
        cluster.of(Training(distribution=Distribution(strategy="multi_worker")), {})


def test_the_split_of_the_paper() -> None:
    """1706.02677, section 2.3: a minibatch of 8,192 on 256 GPUs is 32 images for each."""
    assert cluster.share(8192, 256) == 32


@given(st.integers(1, 4096), st.integers(1, 300))
def test_every_sample_has_one_replica(batch_size: int, replicas: int) -> None:
    try:
        assert cluster.share(batch_size, replicas) * replicas == batch_size
    except RecipeError as error:
        assert batch_size % replicas
        wanted = [int(word) for word in str(error.fix).replace("set it to", "").split(" or ")]
        assert all(size % replicas == 0 and abs(size - batch_size) < replicas for size in wanted)
