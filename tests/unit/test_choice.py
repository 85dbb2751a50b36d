"""Is the fastest that passed chosen, the smallest of equals, and nothing that failed?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.choice import EQUALLY_FAST, Candidate, of_bundle, ranked

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(["litert", "onnxruntime"]),
        st.one_of(st.none(), st.integers(1, 9)),
        st.one_of(st.none(), st.floats(0.01, 10)),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda item: (item.artifact, item.runtime),
)


@given(CANDIDATES)
def test_nothing_is_lost_and_the_first_is_as_fast_as_any(candidates: list[Candidate]) -> None:
    order = ranked(candidates)
    assert sorted(order, key=repr) == sorted(candidates, key=repr)
    times = [item.p50_ms for item in candidates if item.p50_ms is not None]
    if times:
        first = order[0].p50_ms
        assert first is not None
        assert first <= EQUALLY_FAST * min(times)
        close = [item for item in candidates if item.p50_ms is not None and item.p50_ms <= EQUALLY_FAST * min(times)]
        smallest = min(item.size or float("inf") for item in close)
        assert (order[0].size or float("inf")) == smallest


def documents(**times: float | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """verify.json and latency.json of some files, of which the later ones are larger."""
    verification = {
        "artifacts": [
            {"file": name, "runtime": "litert", "size_bytes": 10 * size, "status": "ok"}
            for size, name in enumerate(times, 1)
        ],
        "gates": [],
    }
    results = [
        {"artifact": name, "runtime": "litert", "status": "ok", "latency_ms": {"p50": time}}
        for name, time in times.items()
        if time is not None
    ]
    host = {"results": results, "environment": {"emulated": False}}
    return verification, {"host": host, "container": None, "gates": []}


def test_runners_up_follow_in_the_order_of_their_times() -> None:
    found = of_bundle(*documents(a=3.0, b=1.04, c=1.0, d=2.0))
    assert found is not None
    assert (found["artifact"], found["where"], found["p50_ms"]) == ("b", "host", 1.04)  # as fast as c, and smaller
    assert [item["artifact"] for item in found["runners_up"]] == ["c", "d", "a"]


@pytest.mark.parametrize("document", [0, 1])
@pytest.mark.parametrize("name", ["a", "a@litert"])
def test_what_missed_a_gate_is_not_chosen(document: int, name: str) -> None:
    both = documents(a=1.0, b=2.0)
    both[document]["gates"].append({"artifact": name, "status": "failed"})
    found = of_bundle(*both)
    assert found is not None
    assert (found["artifact"], found["runners_up"]) == ("b", [])


def test_emulated_times_decide_nothing() -> None:
    verification, latency = documents(a=2.0, b=1.0)
    latency["host"]["environment"]["emulated"] = True
    found = of_bundle(verification, latency)
    assert found is not None
    assert (found["artifact"], found["where"], found["p50_ms"]) == ("a", None, None)


def test_the_containers_times_go_before_the_hosts() -> None:
    verification, latency = documents(a=1.0, b=2.0)
    _, other = documents(a=5.0, b=4.0)
    latency["container"] = other["host"]
    found = of_bundle(verification, latency)
    assert found is not None
    assert (found["artifact"], found["where"]) == ("b", "container")


def test_nothing_is_chosen_where_nothing_passed() -> None:
    verification, latency = documents(a=1.0)
    verification["artifacts"][0]["status"] = "failed"
    assert of_bundle(verification, latency) is None
