"""How much energy does one inference take, where the machine measures it?

Two sources: the energy counters of x86 packages (RAPL, https://docs.kernel.org/power/powercap/powercap.html), which
many kernels show to root alone; and the power that a battery gives while no charger is there
(https://docs.kernel.org/power/power_supply_class.html). Both are of the whole package or device, idle parts
included, and over the whole loop, inputs included.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .environment import integer, read


@dataclass(frozen=True)
class Reading:
    """What the meters showed at a moment.

    Attributes:
        clock_s: The moment, on the monotonic clock.
        counted_uj: Energy counter of each package.
        power_uw: Power that the batteries give; None when none does.
    """

    clock_s: float
    counted_uj: tuple[int, ...]
    power_uw: float | None


class Meter:
    """The meters of this machine.

    Args:
        root: Where ``sys`` is; another folder in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        packages = [zone for zone in zones if (read(zone / "name") or "").startswith("package")]
        ranges = {zone: integer(read(zone / "max_energy_range_uj")) for zone in packages}
        self._packages = {zone: top for zone, top in ranges.items() if top and integer(read(zone / "energy_uj"))}
        supplies = sorted((root / "sys/class/power_supply").glob("*"))
        self._batteries = [supply for supply in supplies if read(supply / "type") == "Battery"]

    @property
    def source(self) -> str | None:
        """``"rapl"``, ``"power_supply"``, or None where nothing is measured."""
        if self._packages:
            return "rapl"
        return "power_supply" if self.read().power_uw is not None else None

    def read(self) -> Reading:
        """What they show now."""
        counted = tuple(integer(read(zone / "energy_uj")) or 0 for zone in self._packages)
        powers = [power for battery in self._batteries if (power := _power_uw(battery)) is not None]
        return Reading(time.monotonic(), counted, sum(powers) if powers else None)

    def energy_mj(self, readings: Sequence[Reading], runs: int) -> float | None:
        """Energy of one inference in millijoules.

        Args:
            readings: Two or more, in order; counters wrap around at most once between two of them.
            runs: Inferences between the first and the last of them.

        Returns:
            None when nothing was measured.
        """
        pairs = list(itertools.pairwise(readings))
        if self._packages:
            tops = list(self._packages.values())
            spent_uj = sum(
                (after - before) % (top + 1)
                for old, new in pairs
                for before, after, top in zip(old.counted_uj, new.counted_uj, tops, strict=True)
            )
            return spent_uj / 1e3 / runs if spent_uj > 0 else None
        given_uj = 0.0
        for old, new in pairs:
            if old.power_uw is None or new.power_uw is None:
                return None
            given_uj += (old.power_uw + new.power_uw) / 2 * (new.clock_s - old.clock_s)
        return given_uj / 1e3 / runs if given_uj > 0 else None


def _power_uw(battery: Path) -> float | None:
    """What a battery gives just now; None while it is charged, or when it does not tell."""
    if read(battery / "status") != "Discharging":
        return None
    power = integer((read(battery / "power_now") or "").removeprefix("-"))
    if power is not None:
        return float(power)
    current = integer((read(battery / "current_now") or "").removeprefix("-"))
    voltage = integer(read(battery / "voltage_now"))
    return None if current is None or voltage is None else current * voltage / 1e6
