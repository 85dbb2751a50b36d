import json
import platform
from pathlib import Path

import pytest

from edgepack.runner import environment

PI4 = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\nCPU revision\t: 3\n"
XEON = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 106\nmodel name\t: Intel(R) Xeon(R)\n"


def machine(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_this_machine_is_described_in_json() -> None:
    facts = environment.describe()
    json.dumps(facts, allow_nan=False)
    assert facts["machine"] == platform.machine()
    assert facts["cores"] >= 1
    assert facts["cpu"]
    assert facts["memory_mib"] > 100
    assert facts["emulated"] in (False, None)


def test_a_machine_that_tells_nothing_gives_nothing(tmp_path: Path) -> None:
    facts = environment.describe(tmp_path, {})
    assert facts["governor"] is None
    assert facts["frequency_khz"] == {"current": None, "min": None, "max": None}
    assert facts["memory_mib"] is None
    assert facts["container"] is False
    assert facts["emulated"] is None


def test_governor_frequency_and_board_are_read(tmp_path: Path) -> None:
    machine(
        tmp_path,
        sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="performance\n",
        sys__devices__system__cpu__cpu0__cpufreq__scaling_cur_freq="1500000\n",
        sys__devices__system__cpu__cpu0__cpufreq__scaling_max_freq="1800000\n",
        sys__firmware__devicetree__base__model="Raspberry Pi 4 Model B\0",
        proc__meminfo="MemTotal:        4096000 kB\nMemAvailable:    1024000 kB\n",
    )
    facts = environment.describe(tmp_path, {})
    assert facts["governor"] == "performance"
    assert facts["frequency_khz"] == {"current": 1500000, "min": None, "max": 1800000}
    assert facts["machine_model"] == "Raspberry Pi 4 Model B"
    assert (facts["memory_mib"], facts["memory_available_mib"]) == (4000, 1000)


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        (XEON, "Intel(R) Xeon(R)"),
        (PI4, "Arm Cortex-A72"),
        (PI4 + "Model\t\t: Raspberry Pi 4 Model B\n", "Raspberry Pi 4 Model B"),
        ("CPU implementer\t: 0x61\nCPU part\t: 0x022\n", "CPU implementer 0x61 part 0x022"),
        ("", None),
    ],
)
def test_the_processor_has_a_name_on_every_architecture(cpuinfo: str, model: str | None) -> None:
    assert environment.cpu_model(cpuinfo) == model


@pytest.mark.parametrize(
    ("files", "environ"),
    [
        ({".dockerenv": ""}, {}),
        ({"run__.containerenv": ""}, {}),
        ({}, {"container": "podman"}),
        ({"proc__1__cgroup": "0::/kubepods/burstable/pod1\n"}, {}),
    ],
)
def test_a_container_is_known_by_its_marks(tmp_path: Path, files: dict[str, str], environ: dict[str, str]) -> None:
    assert environment.in_container(tmp_path, {}) is False
    assert environment.in_container(machine(tmp_path, **files), environ) is True


@pytest.mark.parametrize(
    ("seen", "files", "environ", "expected"),
    [
        ("x86_64", {"proc__sys__kernel__arch": "x86_64\n"}, {}, False),
        ("aarch64", {"proc__sys__kernel__arch": "x86_64\n"}, {}, True),
        ("aarch64", {"proc__sys__kernel__arch": "aarch64\n"}, {}, False),
        ("armv7l", {"proc__sys__kernel__arch": "aarch64\n"}, {}, False),
        (
            "aarch64",
            {"sys__devices__system__cpu__modalias": "cpu:type:x86,ven0000fam0006:feature:"},
            {},
            True,
        ),
        ("aarch64", {"sys__devices__system__cpu__modalias": "cpu:type:aarch64:feature:,0001"}, {}, False),
        ("aarch64", {"proc__cpuinfo": XEON}, {}, True),
        ("x86_64", {"proc__cpuinfo": XEON}, {}, False),
        ("aarch64", {"proc__cpuinfo": PI4}, {"QEMU_CPU": "cortex-a72"}, True),
        ("aarch64", {"proc__cpuinfo": PI4}, {}, None),
        (
            "aarch64",
            {
                "proc__sys__kernel__arch": "aarch64\n",
                "sys__firmware__devicetree__base__compatible": "linux,dummy-virt\0",
            },
            {},
            None,
        ),
    ],
)
def test_emulation_is_told_from_what_the_kernel_still_says(
    tmp_path: Path, seen: str, files: dict[str, str], environ: dict[str, str], expected: bool | None
) -> None:
    assert environment.emulated(seen, machine(tmp_path, **files), environ) is expected
