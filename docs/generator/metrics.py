"""The table of metrics, from the module that owns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from docs.generator.blocks import code, table
from saga_engine.metrics.table import API, COMMON, EVENTSTORE, ORCHESTRATOR, PROJECTION, WORKER, Metric

_GROUPS: Final[Mapping[str, Sequence[Metric]]] = {
    "every": COMMON,
    "orchestrator": ORCHESTRATOR,
    "worker": WORKER,
    "projection": PROJECTION,
    "api": API,
    "eventstore": EVENTSTORE,
}


def listed(group: str) -> str:
    """The metrics of one group: `every` process, `orchestrator`, `worker`, `projection`, `api`, `eventstore`."""
    rows = [
        (code(metric.name), metric.kind.value, ", ".join(map(code, metric.labels)), metric.meaning)
        for metric in _GROUPS[group]
    ]
    return table(("name", "kind", "labels", "meaning"), rows)
