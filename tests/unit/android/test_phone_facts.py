"""Is what a phone says of itself read as it is meant, with anything missing as None?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.android.facts import chosen_cores, mask, parse_identity, parse_state

PIXEL = """manufacturer=Google
model=Pixel 8
android=14
abis=arm64-v8a
soc=Tensor G3
kernel=Linux 5.15.110-android14
machine=aarch64
has=taskset
has=sha256sum
core=0 1704000
core=4 2367000
core=8 2914000
memory=MemTotal: 7654321 kB
"""
STATE = """core=0 sched_pixel 300000 300000 1704000
core=8 sched_pixel 2049000 500000 2914000
zone=BIG 47000
zone=battery 30100
zone=cpu-off -274000
load=8.01 7.50 7.25 3/3210 12345
thermalservice=
IsStatusOverride: false
Thermal Status: 2
Current temperatures from HAL:
\tTemperature{mValue=46.5, mType=0, mName=BIG, mStatus=0}
battery=
  AC powered: false
  USB powered: true
  level: 76
  temperature: 301
"""


def test_a_phone() -> None:
    phone = parse_identity(PIXEL)
    assert (phone.name, phone.abis, phone.emulated) == ("Google Pixel 8", ("arm64-v8a",), False)
    assert phone.tools == {"taskset", "sha256sum"}
    assert phone.highest_khz == {0: 1704000, 4: 2367000, 8: 2914000}


def test_an_emulator() -> None:
    assert parse_identity("model=sdk_gphone64\nqemu=1\n").emulated
    assert parse_identity("qemu_boot=1\n").emulated


@pytest.mark.parametrize(("wanted", "expected"), [("big", (8,)), ("all", ()), ("4-6,8", (4, 5, 6, 8)), ("0", (0,))])
def test_cores(wanted: str, expected: tuple[int, ...]) -> None:
    assert chosen_cores(parse_identity(PIXEL), wanted) == expected


def test_cores_that_are_all_alike_or_cannot_be_chosen() -> None:
    assert chosen_cores(parse_identity("has=taskset\ncore=0 1800000\ncore=1 1800000\n"), "big") == ()
    assert chosen_cores(parse_identity("has=taskset\ncore=0 \ncore=1 \n"), "big") == ()
    assert chosen_cores(parse_identity(PIXEL.replace("has=taskset\n", "")), "4") == ()


def test_a_mask_is_hexadecimal() -> None:
    assert mask((4, 5, 6, 7)) == "f0"
    assert mask((8, 8)) == "100"


def test_a_state() -> None:
    assert parse_state(STATE, (8,)) == {
        "governor": "sched_pixel",
        "frequency_khz": 2049000,
        "frequency_limit_khz": 2914000,
        "temperature_c": 47.0,
        "load_average": [8.01, 7.5, 7.25],
        "thermal_status": 2,
        "battery": {"level": 76, "temperature_c": 30.1, "powered": ["USB"]},
    }
    assert parse_state(STATE, ())["frequency_khz"] == 2049000
    assert parse_state(STATE, (0,))["frequency_khz"] == 300000


def test_without_zones_androids_own_service_tells() -> None:
    text = "\n".join(line for line in STATE.splitlines() if not line.startswith("zone"))
    assert parse_state(text, ())["temperature_c"] == 46.5


def test_what_is_not_told_is_none() -> None:
    found = parse_state("", ())
    assert set(found.values()) == {None}


@given(st.lists(st.one_of(st.sampled_from((PIXEL + STATE).splitlines()), st.text(max_size=40)), max_size=30))
def test_any_text_is_read(lines: list[str]) -> None:
    text = "\n".join(lines)
    parse_state(text, chosen_cores(parse_identity(text), "big"))
