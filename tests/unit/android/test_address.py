"""Does an address say which phone is meant and how it is to be measured, and is a wrong one refused in words?"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.android.address import Settings, identity, parse, settings
from edgepack.android.errors import WordsError


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", (None, {})),
        ("//", (None, {})),
        ("R58M123ABC", ("R58M123ABC", {})),
        ("//emulator-5554?delegate=gpu", ("emulator-5554", {"delegate": "gpu"})),
        ("192.168.1.5:5555?delegate=nnapi&cores=4-7", ("192.168.1.5:5555", {"delegate": "nnapi", "cores": "4-7"})),
        ("?benchmark_model=%7E/a%20b", (None, {"benchmark_model": "~/a b"})),
    ],
)
def test_forms(address: str, expected: tuple[str | None, dict[str, str]]) -> None:
    assert parse(address) == expected


@pytest.mark.parametrize(
    ("address", "message"),
    [("a b", "no phone's serial number"), ("X?delegat=gpu", "'delegat' is not known"), ("X?gpu", "cannot be read")],
)
def test_wrong_forms(address: str, message: str) -> None:
    with pytest.raises(WordsError, match=message) as caught:
        parse(address)
    assert caught.value.exit_code == 2 and caught.value.fix


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_the_one_error(text: str) -> None:
    with contextlib.suppress(WordsError):
        settings(None, parse(text)[1])


def test_the_address_goes_over_the_target() -> None:
    of_target = {"benchmark_model": "a", "sha256": "0" * 64, "delegate": "nnapi", "accelerator": "dsp", "cores": "all"}
    assert settings(of_target, {}) == Settings("a", "0" * 64, "nnapi", "dsp", (), "all", ())
    # Another program has another digest, and only NNAPI has accelerators with names.
    assert settings(of_target, {"benchmark_model": "b", "delegate": "gpu"}) == Settings("b", None, "gpu", cores="all")


def test_a_target_without_a_word_of_phones_has_the_usual_settings() -> None:
    assert settings(None, {}) == settings({"delegate": None, "arguments": None}, {}) == Settings()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"delegate": "tpu"}, "use one of: cpu, gpu, nnapi, npu"),
        ({"cores": "fast"}, "4-7"),
        ({"sha256": "abc"}, "sha256sum"),
        ({"accelerator": "dsp"}, "delegate=nnapi"),
    ],
)
def test_settings_that_are_none(values: dict[str, str], message: str) -> None:
    with pytest.raises(WordsError, match=message):
        settings(values, {})


def test_the_name_of_a_result() -> None:
    assert identity("A1", {}) == identity("A1", {"benchmark_model": "x", "sha256": "0" * 64}) == "adb://A1"
    assert identity("A1", {"cores": "4-7", "delegate": "gpu"}) == "adb://A1?delegate=gpu&cores=4-7"
