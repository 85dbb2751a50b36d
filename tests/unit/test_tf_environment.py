"""In what environment do processes that import TensorFlow start?"""

import pytest

from edgepack.tf_environment import environment


def test_onednn_is_used_whatever_the_processor() -> None:
    assert environment({})["TF_ENABLE_ONEDNN_OPTS"] == "1"


@pytest.mark.parametrize("choice", ["0", "1"])
def test_a_choice_for_or_against_onednn_is_kept(choice: str) -> None:
    assert environment({"TF_ENABLE_ONEDNN_OPTS": choice})["TF_ENABLE_ONEDNN_OPTS"] == choice


def test_keras_2_is_not_a_choice_and_the_rest_is_passed_on() -> None:
    found = environment({"TF_USE_LEGACY_KERAS": "0", "CUDA_VISIBLE_DEVICES": "1"})
    assert (found["TF_USE_LEGACY_KERAS"], found["CUDA_VISIBLE_DEVICES"]) == ("1", "1")
