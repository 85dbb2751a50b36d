"""What does the server count, and how does Prometheus read it?

Counting is adding to plain numbers on the event loop. The library that writes Prometheus' text is imported when
somebody asks for the text, and not while the server starts.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Histogram:
    """How often a figure fell into which range.

    Args:
        bounds: Upper ends of the ranges, ascending.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one figure."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Upper end and number of figures up to it, as Prometheus has them."""
        ends = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(ends, map(float, accumulate(self.counts)), strict=True))


class Metrics:
    """All that is counted; a collector for Prometheus' client library.

    Args:
        gauges: Figures of the moment, by name: what they are, and what gives them.
        info: Facts about the model.
    """

    def __init__(
        self,
        gauges: Mapping[str, tuple[str, Callable[[], float]]],
        info: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.request_s = Histogram(SECONDS)
        self.queue_s = Histogram(SECONDS)
        self.inference_s = Histogram(SECONDS)
        self.batch_rows = Histogram(ROWS)
        self._gauges, self._info = gauges, info

    def inference(self, seconds: float, rows: int) -> None:
        """Count one inference."""
        self.inference_s.observe(seconds)
        self.batch_rows.observe(rows)

    def collect(self) -> Iterator[Any]:
        """What Prometheus' registry asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        counter = CounterMetricFamily("edgepack_requests", "Requests by route and status.", labels=["route", "status"])
        for (route, status), count in sorted(self.requests.items()):
            counter.add_metric([route, status], count)
        yield counter
        for name, told, histogram in (
            ("request_seconds", "Inference requests, from the first byte read to the answer.", self.request_s),
            ("queue_seconds", "What a request waited for a free instance.", self.queue_s),
            ("inference_seconds", "One inference, of one request or of a batch.", self.inference_s),
            ("batch_rows", "Rows of one inference.", self.batch_rows),
        ):
            yield HistogramMetricFamily(f"edgepack_{name}", told, histogram.buckets(), histogram.sum)
        for name, (told, value) in self._gauges.items():
            yield GaugeMetricFamily(f"edgepack_{name}", told, value())
        info = self._info()
        if info:
            family = GaugeMetricFamily("edgepack_model_info", "The model that is served.", labels=list(info))
            family.add_metric(list(info.values()), 1)
            yield family

    def text(self) -> tuple[bytes, str]:
        """The metrics as Prometheus' text, with memory and processor time of the process, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        registry.register(self)
        return generate_latest(registry), CONTENT_TYPE_LATEST
