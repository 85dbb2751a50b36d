"""Which goals does channel pruning take, and how are they written back?"""

import pytest
from pydantic import ValidationError

from edgepack.techniques.prune_channels import Config, Goal, _shares


@pytest.mark.parametrize("kind", ["macs", "parameters", "latency"])
def test_a_goal_is_one_fraction_and_is_shown_as_it_was_written(kind: str) -> None:
    config = Config.model_validate({"use": "prune_channels", "goal": {kind: 0.4}})
    assert config.goal.given == {kind: 0.4}
    assert config.model_dump(mode="json")["goal"] == {kind: 0.4}


@pytest.mark.parametrize("goal", [{}, {"macs": 0.5, "parameters": 0.5}, {"macs": 1.0}, {"macs": 0.0}, {"flops": 0.5}])
def test_no_goal_two_goals_and_goals_that_are_no_fraction_are_refused(goal: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Goal.model_validate(goal)


@pytest.mark.parametrize(
    ("epochs", "iterations", "shares"), [(4, 1, [4]), (5, 2, [2, 3]), (2, 4, [0, 1, 0, 1]), (0, 3, [0, 0, 0])]
)
def test_epochs_are_shared_between_iterations(epochs: int, iterations: int, shares: list[int]) -> None:
    assert _shares(epochs, iterations) == shares
