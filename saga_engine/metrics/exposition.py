"""From readings to the text that Prometheus reads, in a registry of its own: nothing is global.

Owns the format. Knows neither orchestrator nor worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from saga_engine.metrics.readings import Reading
from saga_engine.metrics.table import Kind, Metric
from saga_engine.tally import BOUNDS_US, Tally

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_LIMITS: Final = (*(f"{bound / 1_000_000:g}" for bound in BOUNDS_US), "+Inf")


class Exposition:
    """The metrics of one process. `read` gives the readings of the moment; memory, CPU and platform are added."""

    def __init__(self, read: Callable[[], Mapping[Metric, Iterable[Reading]]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Readings(read))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def text(self) -> bytes:
        """The readings of the moment, in the text format of Prometheus (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)


class _Readings(Collector):
    def __init__(self, read: Callable[[], Mapping[Metric, Iterable[Reading]]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Family]:
        """Nothing is read to register it."""
        return ()

    def collect(self) -> Iterator[Family]:
        for metric, readings in self._read().items():
            yield _family(metric, readings)


def _family(metric: Metric, readings: Iterable[Reading]) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, readings)
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = make(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in readings:
        assert not isinstance(value, Tally), f"{metric.name} is no histogram"
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, readings: Iterable[Reading]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, tally in readings:
        assert isinstance(tally, Tally), f"{metric.name} is a histogram"
        family.add_metric(
            labels, list(zip(_LIMITS, accumulate(tally.buckets), strict=True)), tally.total_us / 1_000_000
        )
    return family
