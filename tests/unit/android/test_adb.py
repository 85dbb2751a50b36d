"""Are adb's lists and states of phones told in words that help?"""

import pytest

from edgepack.android.adb import choose, parse_devices, quoted
from edgepack.android.errors import AndroidError

LISTED = """List of devices attached
R58M123ABC\tdevice
emulator-5554\toffline
0123\tno permissions (user in plugdev group; are your udev rules wrong?); see [http://developer.android.com/tools/device.html]

"""


def test_a_list() -> None:
    assert list(parse_devices(LISTED)) == ["R58M123ABC", "emulator-5554", "0123"]
    assert choose(parse_devices(LISTED), "R58M123ABC") == "R58M123ABC"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("unauthorized", "has not allowed this computer"),
        ("offline", "is offline"),
        ("no permissions (user in plugdev group)", "may not be opened by this user"),
        ("recovery", "is in recovery mode"),
        ("rescue", "is in the state 'rescue'; expected 'device'"),
    ],
)
def test_states(state: str, message: str) -> None:
    with pytest.raises(AndroidError, match=message) as caught:
        choose({"X": state}, None)
    assert caught.value.exit_code == 6 and caught.value.fix


def test_words_are_quoted_for_the_phones_shell() -> None:
    assert quoted(["echo", "a b", "$HOME"]) == "echo 'a b' '$HOME'"
