import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.runner import machine

from .test_environment import machine as folder

CPU = sorted(os.sched_getaffinity(0))[0]
STATE = {"governor": None, "frequency_khz": None, "temperature_c": None, "load_average": None}


def counted(**changes: object) -> machine.Counters:
    plain = {"clock_s": 0.0, "own_s": 0.0, "preempted": 0, "busy_s": 0.0, "stolen_s": 0.0}
    return machine.Counters(**{**plain, "heat_events": 0, "held_back": 0, "quota_events": 0, **changes})  # type: ignore[arg-type]


def test_a_machine_that_tells_nothing_is_not_guessed_at(tmp_path: Path) -> None:
    state = machine.state(tmp_path)
    assert (state["governor"], state["frequency_khz"], state["temperature_c"]) == (None, None, None)
    counters = machine.counters(tmp_path)
    assert (counters.busy_s, counters.stolen_s, counters.heat_events, counters.quota_events) == (None,) * 4
    assert machine.contention(counters, counters) is None


def test_governor_frequency_and_the_hottest_sensor_are_read(tmp_path: Path) -> None:
    cpufreq = f"sys__devices__system__cpu__cpu{CPU}__cpufreq__"
    folder(
        tmp_path,
        **{
            f"{cpufreq}scaling_cur_freq": "1500000\n",
            f"{cpufreq}scaling_governor": "ondemand\n",
            "sys__class__thermal__thermal_zone0__type": "cpu-thermal\n",
            "sys__class__thermal__thermal_zone0__temp": "55300\n",
            "sys__class__thermal__thermal_zone1__type": "battery\n",
            "sys__class__thermal__thermal_zone1__temp": "90000\n",
            "sys__class__hwmon__hwmon0__name": "coretemp\n",
            "sys__class__hwmon__hwmon0__temp1_input": "61000\n",
            "sys__class__hwmon__hwmon0__temp2_input": "-274000\n",
        },
    )
    state = machine.state(tmp_path)
    assert (state["governor"], state["frequency_khz"], state["temperature_c"]) == ("ondemand", 1_500_000, 61)


def test_zones_without_a_name_of_the_processor_are_better_than_nothing(tmp_path: Path) -> None:
    folder(
        tmp_path,
        sys__class__thermal__thermal_zone0__type="acpitz\n",
        sys__class__thermal__thermal_zone0__temp="27800\n",
    )
    assert machine.temperature_c(tmp_path) == 27.8


def test_the_kernels_counters_are_read(tmp_path: Path) -> None:
    folder(
        tmp_path,
        proc__stat=f"cpu  9 9 9 9 9 9 9 9 0 0\ncpu{CPU} 100 20 30 900 5 6 7 40 3 0\ncpu9999 1 1 1 1 1 1 1 1 0 0\n",
    )
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.stat").write_text("usage_usec 5\nnr_throttled 12\n")
    heat = tmp_path / "sys/devices/system/cpu/cpu0/thermal_throttle"
    heat.mkdir(parents=True)
    (heat / "core_throttle_count").write_text("3\n")
    (heat / "package_throttle_count").write_text("4\n")
    found = machine.counters(tmp_path)
    ticks = os.sysconf("SC_CLK_TCK")
    assert (found.busy_s, found.stolen_s) == (163 / ticks, 40 / ticks)
    assert (found.heat_events, found.quota_events) == (7, 12)


@given(st.from_regex(rf"(cpu{CPU}|cpu|intr)( [0-9x]{{1,3}}){{0,12}}\n", fullmatch=True))
@settings(max_examples=50)
def test_whatever_the_kernel_prints_is_read_or_left(text: str) -> None:
    busy_s, stolen_s = machine._processors(text)
    assert (busy_s is None) == (stolen_s is None)


def test_this_machine_counts_what_this_process_does() -> None:
    before = machine.counters()
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    after = machine.counters()
    assert after.own_s - before.own_s >= 0.04
    assert before.busy_s is not None and after.busy_s is not None and after.busy_s >= before.busy_s


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"own_s": 10.0, "busy_s": 10.1}, None),
        (
            {"own_s": 10.0, "busy_s": 10.0 + 5 * len(os.sched_getaffinity(0))},
            "Other programs used 50% of the processor",
        ),
        ({"stolen_s": 0.5 * len(os.sched_getaffinity(0))}, "The hypervisor took 5.0% of it away"),
        ({"preempted": 900}, "Inference was interrupted 90 times a second"),
        ({"quota_events": 4}, "The container's processor limit stopped it 4 times"),
    ],
)
def test_who_else_used_the_processor_is_said(changes: dict[str, float], said: str | None) -> None:
    text = machine.contention(counted(), counted(clock_s=10.0, **changes))
    assert text is None if said is None else text is not None and text.startswith(said)


@pytest.mark.parametrize(
    ("changes", "khz", "said"),
    [
        ({}, (2_000_000, 1_950_000), None),
        ({}, (1_000_000, 2_000_000), None),
        ({}, (2_000_000, 1_200_000), "Its frequency fell from 2.00 to 1.20 GHz at 84 °C"),
        ({"heat_events": 2}, (None, None), "The processor was slowed down for its heat (2 times) at 84 °C"),
        ({"held_back": 1}, (None, None), "Cooling held the processor back (by 1 steps) at 84 °C"),
    ],
)
def test_a_processor_that_is_slowed_down_is_said(
    changes: dict[str, int], khz: tuple[int | None, int | None], said: str | None
) -> None:
    start = {**STATE, "frequency_khz": khz[0]}
    end = {**STATE, "frequency_khz": khz[1], "temperature_c": 84.2}
    text = machine.throttling(counted(), counted(clock_s=10.0, **changes), start, end)
    assert text is None if said is None else text is not None and text.startswith(said)
