from pathlib import Path

import pytest

from edgepack.runner.energy import Meter, Reading

from .test_environment import machine

RAPL = "sys__class__powercap__"


def package(root: Path, number: int, energy_uj: int, *, name: str = "package-0", top_uj: int = 999_999) -> None:
    zone = f"{RAPL}intel-rapl:{number}__"
    machine(
        root,
        **{f"{zone}name": name, f"{zone}energy_uj": f"{energy_uj}\n", f"{zone}max_energy_range_uj": f"{top_uj}\n"},
    )


def battery(root: Path, **fields: str) -> None:
    machine(root, **{f"sys__class__power_supply__BAT0__{key}": value for key, value in fields.items()})


def test_where_nothing_is_measured_nothing_is_invented(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    assert meter.source is None
    assert meter.energy_mj([meter.read(), meter.read()], 10) is None


def test_packages_are_added_up_and_their_counters_wrap_around(tmp_path: Path) -> None:
    package(tmp_path, 0, 999_000)
    package(tmp_path, 1, 500_000, name="package-1")
    package(tmp_path, 2, 1, name="psys")
    meter = Meter(tmp_path)
    assert meter.source == "rapl"
    first = meter.read()
    package(tmp_path, 0, 3_000)
    package(tmp_path, 1, 502_000, name="package-1")
    assert meter.energy_mj([first, meter.read()], 3) == pytest.approx((4_000 + 2_000) / 1e3 / 3)


def test_a_counter_that_only_root_may_read_is_no_meter(tmp_path: Path) -> None:
    package(tmp_path, 0, 5)
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    assert Meter(tmp_path).source is None


@pytest.mark.parametrize(
    "fields", [{"power_now": "2000000"}, {"current_now": "-500000", "voltage_now": "4000000"}], ids=["power", "current"]
)
def test_a_battery_tells_its_power_while_nothing_charges_it(tmp_path: Path, fields: dict[str, str]) -> None:
    battery(tmp_path, type="Battery", status="Discharging", **fields)
    meter = Meter(tmp_path)
    assert meter.source == "power_supply"
    assert meter.read().power_uw == 2e6
    readings = [Reading(0.0, (), 2e6), Reading(2.0, (), 4e6)]  # 3 W for 2 s
    assert meter.energy_mj(readings, 100) == pytest.approx(60)
    battery(tmp_path, type="Battery", status="Charging", **fields)
    assert meter.source is None
    assert meter.energy_mj([readings[0], meter.read()], 100) is None
