"""Are limits what was measured, and is it said where nothing was?"""

from typing import Any

import pytest

from edgepack.clusters._resources import of_bundle


def measured(peak_mib: float | None, *, emulated: bool = False, other_mib: float = 10.0) -> dict[str, Any]:
    results = [
        {"artifact": "a", "runtime": "litert", "status": "ok", "peak_rss_mib": other_mib},
        {"artifact": "b", "runtime": "litert", "status": "ok", "peak_rss_mib": peak_mib},
        {"artifact": "c", "runtime": "litert", "status": "error", "peak_rss_mib": 9000.0},
    ]
    return {"environment": {"emulated": emulated}, "results": results}


def test_the_container_counts_before_the_host() -> None:
    found = of_bundle(1, {"host": measured(500.0), "container": measured(64.0)}, gpu=False)
    assert (found.memory_mib, found.memory_limit_mib) == (128, 256)
    assert (
        found.basis
        == "Memory: peak of 64.0 MiB, measured in the container, and 64 MiB for the server; the limit is 2 times that."
    )


def test_what_was_chosen_to_be_served_counts() -> None:
    latency = {"host": measured(500.0, other_mib=70.0), "container": None}
    assert of_bundle(1, latency, choice={"artifact": "a", "runtime": "litert"}, gpu=False).memory_mib == 144
    assert of_bundle(1, latency, gpu=False).memory_mib == 576


@pytest.mark.parametrize(
    "latency",
    [None, {}, {"host": None, "container": None}, {"host": measured(80.0, emulated=True)}],
    ids=["no file", "empty", "nothing measured", "emulated"],
)
def test_what_was_not_measured_is_a_default_and_said_so(latency: dict[str, Any] | None) -> None:
    found = of_bundle(1, latency, gpu=False)
    assert (found.memory_mib, found.memory_limit_mib) == (512, 1024)
    assert "nothing was measured for this target, so 1024 MiB is a default" in found.basis
    assert of_bundle(1, latency, gpu=True).memory_limit_mib == 4096


def test_what_the_user_states_counts_most() -> None:
    found = of_bundle(1, {"host": measured(80.0)}, gpu=False, memory_mib=333)
    assert (found.memory_mib, found.memory_limit_mib) == (333, 333)
    assert "as stated on the command line" in found.basis


def test_threads_are_cores_and_the_server_has_one_more() -> None:
    found = of_bundle(4, None, gpu=False)
    assert (found.cpus, found.cpu_limit) == (4, 5)
