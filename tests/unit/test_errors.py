"""Does each class of failure have an exit code of its own?"""

import pytest

from edgepack import errors
from edgepack.errors import CLASSES, EdgepackError, RecipeError


def test_the_exit_codes_are_those_that_are_documented() -> None:
    assert {name: cls.exit_code for name, cls in CLASSES.items()} == {
        "BugError": 1,
        "RecipeError": 2,
        "MissingError": 3,
        "ConversionError": 4,
        "VerificationError": 5,
        "DeviceError": 6,
        "BudgetError": 7,
    }


def test_no_class_is_left_out_and_none_shares_its_code() -> None:
    defined = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, EdgepackError)}
    assert defined - {EdgepackError} == set(CLASSES.values())
    assert len({cls.exit_code for cls in CLASSES.values()}) == len(CLASSES)


@pytest.mark.parametrize("cls", CLASSES.values())
def test_a_failure_carries_message_and_fix(cls: type[EdgepackError]) -> None:
    failure = cls("what was wrong", fix="what to do")
    assert (failure.message, failure.fix) == ("what was wrong", "what to do")
    assert str(failure) == "what was wrong\n  fix: what to do"


def test_without_a_fix_the_message_stands_alone() -> None:
    assert str(RecipeError("what was wrong")) == "what was wrong"
