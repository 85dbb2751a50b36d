import itertools
import statistics
import time

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import scipy.stats.mstats
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.runner import statistics as figures

SAMPLES = st.lists(st.integers(0, 10**12), min_size=1, max_size=50)


def latencies(samples: int, correlation: float, random: np.random.Generator) -> np.ndarray:
    """Log-normal around 1 ms, each as much like the one before it as ``correlation`` says, in nanoseconds."""
    steps = np.sqrt(1 - correlation**2) * random.standard_normal(samples)
    steps[0] = random.standard_normal()
    noise = scipy.signal.lfilter([1], [1, -correlation], steps)
    return (1e6 * np.exp(0.1 * noise)).astype(np.int64)


def test_summaries_are_the_textbooks() -> None:
    summary = figures.summarise([1_000_000, 2_000_000, 3_000_000, 4_000_000])
    assert summary["p50"] == pytest.approx(2.5)
    assert summary["p90"] == pytest.approx(3.7)
    assert summary["p99"] == pytest.approx(3.97)
    assert (summary["mean"], summary["min"], summary["max"]) == (2.5, 1.0, 4.0)
    assert summary["stdev"] == pytest.approx(statistics.stdev([1, 2, 3, 4]))
    assert figures.summarise([5])["stdev"] == 0.0


@given(SAMPLES)
def test_percentiles_are_in_order_and_numpys(samples_ns: list[int]) -> None:
    s = figures.summarise(samples_ns)
    ordered = [s["min"], s["p50"], s["p90"], s["p99"], s["max"]]
    assert all(low <= high or low == pytest.approx(high) for low, high in itertools.pairwise(ordered))
    assert s["p90"] == pytest.approx(np.percentile(samples_ns, 90) / 1e6)
    assert s["stdev"] == pytest.approx(np.std(samples_ns, ddof=1) / 1e6 if len(samples_ns) > 1 else 0)


@given(st.floats(0.5, 0.9995), st.floats(1, 300))
def test_students_quantiles_are_scipys(probability: float, freedom: float) -> None:
    expected = scipy.stats.t.ppf(probability, freedom)
    assert figures.student_quantile(probability, freedom) == pytest.approx(expected, rel=2e-3, abs=1e-3)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.sampled_from([0.95, 0.99]))
def test_the_mean_and_its_interval_are_scipys(values: list[float], level: float) -> None:
    mean, low, high = figures.mean_interval(values, level=level)
    assert low <= mean <= high
    spread = np.std(values, ddof=1)
    if spread > 1e-9:
        expected = scipy.stats.t.interval(level, len(values) - 1, np.mean(values), spread / np.sqrt(len(values)))
        assert (low, high) == pytest.approx(expected, rel=2e-3, abs=2e-3)


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=20), st.sampled_from([0.1, 0.2]))
def test_the_trimmed_mean_is_scipys(values: list[float], trim: float) -> None:
    mean, low, high = figures.mean_interval(values, level=0.99, trim=trim)
    assert mean == pytest.approx(scipy.stats.trim_mean(values, trim), abs=1e-12)
    drawn_in = np.asarray(scipy.stats.mstats.winsorize(np.array(values), (trim, trim)))
    kept = len(values) - 2 * int(trim * len(values))
    error = drawn_in.std(ddof=1) * np.sqrt((len(values) - 1) / (kept * (kept - 1)))
    assert high - low == pytest.approx(2 * scipy.stats.t.ppf(0.995, kept - 1) * error, rel=5e-3, abs=1e-9)


def test_an_outlier_does_not_hide_a_difference_and_makes_none() -> None:
    random, plain, trimmed, false = np.random.default_rng(6), 0, 0, 0
    for _ in range(100):
        rounds = random.normal(0, 0.01, 10)
        rounds[random.integers(10)] += random.choice([-0.3, 0.3])
        false += figures.mean_interval(rounds, level=0.99, trim=0.2)[1] > 0
        plain += figures.mean_interval(rounds + 0.095, level=0.99)[1] > 0
        trimmed += figures.mean_interval(rounds + 0.095, level=0.99, trim=0.2)[1] > 0
    assert trimmed >= 98 > plain
    assert false <= 3


@settings(max_examples=50)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**31))
def test_a_difference_and_its_interval_are_welchs(before: int, after: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    old, new = random.normal(0, 1, before), random.normal(0.5, 3, after)
    difference, low, high = figures.difference_interval(old, new, level=0.95)
    theirs = scipy.stats.ttest_ind(new, old, equal_var=False).confidence_interval(0.95)
    assert difference == pytest.approx(new.mean() - old.mean())
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=5e-3, abs=5e-3)


def test_values_that_are_all_alike_differ_by_nothing_or_surely() -> None:
    assert figures.difference_interval([2, 2], [2, 2, 2], level=0.95) == (0, 0, 0)
    assert figures.difference_interval([2, 2], [3, 3], level=0.95) == (1, 1, 1)
    assert figures.mean_interval([4, 4], level=0.99) == (4, 4, 4)


@pytest.mark.parametrize(
    ("samples", "correlation", "p", "least"),
    [(200, 0, 0.5, 0.88), (2000, 0.5, 0.9, 0.88), (5000, 0.9, 0.5, 0.82), (2000, 0, 0.99, 0.85)],
)
def test_intervals_hold_the_true_quantile_about_as_often_as_they_say(
    samples: int, correlation: float, p: float, least: float
) -> None:
    random, true = np.random.default_rng(1), 1e6 * np.exp(0.1 * scipy.stats.norm.ppf(p))
    held = 0
    for _ in range(60):
        interval = figures.quantile_interval([latencies(samples, correlation, random)], p)
        assert interval is not None
        held += interval[0] <= true <= interval[1]
    assert least <= held / 60


def test_single_samples_would_be_taken_for_more_than_they_say() -> None:
    """The reason for blocks: of samples that resemble their neighbours, scipy's bootstrap is far too sure."""
    random, true, held = np.random.default_rng(2), 1e6, {"blocks": 0, "single": 0}
    for _ in range(20):
        samples = latencies(2000, 0.95, random)
        ours = figures.quantile_interval([samples], 0.5)
        theirs = scipy.stats.bootstrap(
            (samples,), np.median, n_resamples=200, method="percentile", rng=random, batch=50
        ).confidence_interval
        assert ours is not None
        held["blocks"] += ours[0] <= true <= ours[1]
        held["single"] += theirs.low <= true <= theirs.high
    assert held["blocks"] > 1.5 * held["single"]


def test_what_differs_between_processes_widens_the_interval() -> None:
    random = np.random.default_rng(3)
    processes = [latencies(500, 0, random) * factor for factor in (0.9, 0.95, 1.0, 1.05, 1.1)]
    together = figures.quantile_interval(processes, 0.5)
    single = figures.quantile_interval([processes[2]], 0.5)
    assert together is not None and single is not None
    assert together[1] - together[0] > 3 * (single[1] - single[0])


@given(st.integers(20, 400), st.sampled_from([0.5, 0.9, 0.99]), st.integers(0, 2**31))
@settings(max_examples=30)
def test_an_interval_lies_among_the_samples_and_around_the_quantile(samples: int, p: float, seed: int) -> None:
    values = np.random.default_rng(seed).integers(1, 10**9, samples)
    interval = figures.quantile_interval([values], p)
    if min(p, 1 - p) * samples < figures.BEYOND:
        assert interval is None
        return
    assert interval is not None
    assert values.min() <= interval[0] <= np.quantile(values, p, method="higher")
    assert np.quantile(values, p, method="lower") <= interval[1] <= values.max()
    assert interval == figures.quantile_interval([values], p)


def test_samples_that_are_all_the_same_leave_no_doubt() -> None:
    assert figures.intervals_ms([np.full(1000, 2_000_000)]) == {key: [2.0, 2.0] for key in ("p50", "p90", "p99")}


def test_a_few_runs_say_nothing_of_the_slowest_hundredth() -> None:
    intervals = figures.intervals_ms([np.arange(1, 61) * 1_000_000])
    assert intervals["p99"] is None
    assert intervals["p50"] is not None and intervals["p90"] is not None


def test_twenty_thousand_samples_cost_no_more_than_sorting_a_hundred_resamples_would() -> None:
    samples = latencies(20_000, 0, np.random.default_rng(4))
    begun = time.process_time()
    for _ in range(100):
        np.sort(samples[::-1].copy())
    sorting_s = time.process_time() - begun
    begun = time.process_time()
    figures.intervals_ms([samples])
    assert time.process_time() - begun < 10 * sorting_s
