import pytest
from pydantic import ValidationError

from edgepack.protocol import Protocol
from edgepack.recipe import Bench
from edgepack.runner import __main__ as runner


def test_a_recipe_says_how_long_and_quick_is_short_and_marked():
    bench = Bench(warmup_s=3, min_runs=7, min_time_s=4, max_time_s=5)
    assert Protocol.of(bench, quick=False) == Protocol(3, 7, 4, 5)
    quick = Protocol.of(bench, quick=True)
    assert quick.quick and quick.min_time_s < 1


def test_a_measurement_is_at_least_fifty_runs_and_ten_seconds():
    default = Protocol.of(Bench(), quick=False)
    assert (default.min_runs, default.min_time_s, default.quick) == (50, 10, False)


@pytest.mark.parametrize("protocol", [Protocol(0.5, 7, 1.5, 2.5), Protocol(0, 1, 0, quick=True)])
def test_the_runner_reads_the_words(protocol):
    args = runner._parser().parse_args(["bench", *protocol.arguments()])
    assert Protocol(args.warmup_s, args.min_runs, args.min_time_s, args.max_time_s, args.quick) == protocol


def test_a_longest_time_below_the_shortest_is_refused():
    with pytest.raises(ValidationError, match="max_time_s is 1 s, below min_time_s, which is 2 s"):
        Bench(min_time_s=2, max_time_s=1)
