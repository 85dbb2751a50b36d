"""What may a pruning step say, and how many zeros does it promise?"""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgepack.techniques._preserve import is_clustered, is_pruned, unique_values, zero_share
from edgepack.techniques.prune import Config, zeros_of


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pattern": (2, 4), "sparsity": 0.8}, "does not go with sparsity"),
        ({"pattern": (2, 4), "schedule": "constant", "end": 1.0}, "does not go with end, schedule"),
        ({"pattern": (2, 4), "block_size": (1, 4)}, "does not go with block_size"),
        ({"pattern": (2, 4), "layers": {"conv": 0.2}}, "does not go with layers"),
        ({"pattern": (4, 4)}, "must leave weights"),
        ({"pattern": (0, 4)}, "greater than 0"),
        ({"pattern": (2,)}, "Field required"),
        ({"block_size": (0, 4)}, "greater than 0"),
        ({"layers": {"conv": 1.0}}, "less than 1"),
        ({"begin": 0.7}, "must be below end"),
        ({"block_pooling": "AVG"}, "'average' or 'max'"),
    ],
)
def test_contradictions_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**keys)


def test_a_pattern_with_defaults_written_out_is_none() -> None:
    # A resolved recipe says every key.
    config = Config(pattern=(2, 4))
    assert Config(**config.model_dump()) == config


def test_zeros_of_single_weights_are_those_that_tfmot_does_not_keep() -> None:
    assert zeros_of((3, 3, 1, 8), 0.5) == 72 - 36 - 1
    assert zeros_of((16, 10), 0.999) == 160 - 1 - 1
    assert zeros_of((1, 1), 0.9) == 0


def test_zeros_of_a_pattern_count_whole_and_broken_groups() -> None:
    assert zeros_of((16, 10), 0.5, pattern=(2, 4)) == 80
    assert zeros_of((3, 3, 8, 16), 0.5, pattern=(1, 4)) == 9 * 16 * 2
    # 7 inputs: a group of 4 loses 2, one of 3 loses 1.
    assert zeros_of((7, 1), 0.5, pattern=(2, 4)) == 3


def test_zeros_of_blocks_come_in_blocks() -> None:
    assert zeros_of((8, 24), 0.5, block=(2, 4)) == (24 - 12 - 1) * 8
    # Blocks that stick out are counted as whole ones.
    assert zeros_of((9, 10), 0.5, block=(4, 4)) == 90 - (round(9 * 0.5) + 1) * 16


def test_kernels_tell_what_was_done_to_them() -> None:
    plain = np.random.default_rng(0).normal(size=(3, 3, 4, 8)).astype(np.float32)
    assert not is_pruned(plain)
    assert not is_clustered(plain)
    assert unique_values(plain) == plain.size
    pruned = np.where(np.abs(plain) < 0.5, np.float32(0), plain)
    assert is_pruned(pruned)
    assert not is_clustered(pruned)
    assert zero_share(pruned) == pytest.approx(0.38, abs=0.05)
    clustered = np.round(plain * 4) / 4
    assert is_clustered(clustered)
    # Folding a factor for each output channel into a clustered kernel leaves it clustered.
    factors = np.linspace(0.5, 1.5, 8, dtype=np.float32)
    assert is_clustered(clustered[..., :2] * factors[:2])
    assert not is_clustered(np.zeros((0, 4), np.float32))
