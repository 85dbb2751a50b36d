"""A phone, an adb server of its own, and the program that is measured with: what the tests of Android share."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from adb_daemon import Daemon

STAND_IN = Path(__file__).parent / "benchmark_model_stand_in.py"
PROPERTIES = {
    "ro.product.manufacturer": "Example",
    "ro.product.model": "Stand-in",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
}
BATTERY = "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n  level: 85\n  temperature: 281\n"


@dataclass
class Server:
    """An adb server on a port of its own, with a home folder of its own for its key.

    Attributes:
        env: The environment in which adb finds it.
        home: Its home folder.
        port: Its port on the loopback interface.
    """

    env: dict[str, str]
    home: Path
    port: int

    def adb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run adb against it."""
        return subprocess.run(
            ["adb", *words],
            env=self.env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )


def need_adb() -> None:
    """Skip, or fail where everything has to run, when there is no adb."""
    if shutil.which("adb") is None:
        if os.environ.get("EDGEPACK_REQUIRE_DOCKER") == "1":
            pytest.fail("EDGEPACK_REQUIRE_DOCKER=1, and the program adb is not installed", pytrace=False)
        pytest.skip("the program adb is not installed")


@contextlib.contextmanager
def server(home: Path, *, host: str = "127.0.0.1") -> Iterator[Server]:
    """An adb server that is gone afterwards."""
    need_adb()
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    unwanted = ("ADB_SERVER_SOCKET", "ANDROID_SERIAL", "ANDROID_ADB_SERVER_PORT")
    env = {key: value for key, value in os.environ.items() if key not in unwanted}
    found = Server({**env, "HOME": str(home), "ANDROID_ADB_SERVER_PORT": str(port)}, home, port)
    try:
        yield found
    finally:
        found.adb("kill-server")


@contextlib.contextmanager
def phone(root: Path) -> Iterator[Daemon]:
    """A phone with four slow and two fast cores, some temperatures and a battery."""
    daemon = Daemon(root)
    cpu = root / "sys/devices/system/cpu"
    for core in range(6):
        folder = cpu / f"cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        highest = 2_800_000 if core > 3 else 1_800_000
        values = {"scaling_governor": "schedutil", "scaling_cur_freq": highest - 100_000, "scaling_min_freq": 300_000}
        for name, value in {**values, "scaling_max_freq": highest, "cpuinfo_max_freq": highest}.items():
            (folder / name).write_text(f"{value}\n")
    for number, (kind, degrees) in enumerate(
        [("battery", 281), ("cpu-1-0", 41200), ("cpu-1-1", 43900), ("gpu", 60000)]
    ):
        zone = root / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{degrees}\n")
    (root / "proc").mkdir()
    (root / "proc/loadavg").write_text("1.25 0.75 0.50 1/999 4242\n")
    known = "\n".join(f"{key}) echo {value};;" for key, value in PROPERTIES.items())
    scripts = {
        "getprop": f'case "$1" in\n{known}\nesac\n',
        "dumpsys": f'case "$1" in\nbattery) printf "{BATTERY}";;\nthermalservice) echo "Thermal Status: 0";;\nesac\n',
        # This machine may have fewer cores than the phone.
        "taskset": f'echo "$1" >> {root}/masks\nshift\nexec "$@"\n',
    }
    (root / "bin").mkdir()
    for name, text in scripts.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (root / "bin" / name).chmod(0o755)
    try:
        yield daemon
    finally:
        daemon.close()


def program(folder: Path) -> Path:
    """The stand-in for benchmark_model as a file that this machine can start."""
    path = folder / "benchmark_model"
    path.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
    return path
