"""Where the value of each metric comes from: what a running process counts anyway, read when somebody asks.

Owns the way from counts to the table. Counts nothing itself, and knows no metrics library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from saga_engine.metrics import table
from saga_engine.metrics.table import Metric
from saga_engine.orchestrator.counters import Counters
from saga_engine.participant.counters import WorkCounters
from saga_engine.tally import Tally

Reading: TypeAlias = tuple[tuple[str, ...], float | Tally]
"""The values of the labels, in their order, and the value."""


class Orchestrating(Protocol):
    """What is read of an orchestrator."""

    @property
    def counters(self) -> Counters: ...
    @property
    def waiting(self) -> int: ...
    @property
    def cached(self) -> int: ...
    @property
    def partitions(self) -> int: ...


class Working(Protocol):
    """What is read of a worker."""

    @property
    def name(self) -> str: ...
    @property
    def counters(self) -> WorkCounters: ...
    @property
    def hanging(self) -> int: ...


class Answering(Protocol):
    """What is read of an HTTP API. `answered`: by operation and status."""

    @property
    def answered(self) -> Mapping[tuple[str, str], Tally]: ...
    @property
    def open(self) -> int: ...
    @property
    def following(self) -> int: ...


class Heeding(Protocol):
    """What is read of a listener for domain events. `counts`: by what came of them."""

    @property
    def counts(self) -> Mapping[str, int]: ...


class Following(Protocol):
    """What is read of a projection's follower."""

    @property
    def name(self) -> str: ...
    @property
    def events(self) -> int: ...


class Storing(Protocol):
    """What is read of an event store service. `unpublished`: aggregates, when it was last tried."""

    @property
    def stored(self) -> int: ...
    @property
    def appending(self) -> Tally: ...
    @property
    def waiting(self) -> int: ...
    @property
    def published(self) -> int: ...
    @property
    def unpublished(self) -> int: ...
    @property
    def followers(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Lagging:
    """How far a projection is behind: sagas, those of them that are held back, and since when, in seconds."""

    behind: int
    held_back: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """What a process does, of which it tells. `losses`: how often its broker's streams were lost."""

    orchestrator: Orchestrating | None = None
    workers: Sequence[Working] = ()
    api: Answering | None = None
    losses: Callable[[], int] = int
    listeners: Sequence[Heeding] = ()
    followers: Sequence[Following] = ()
    eventstore: Storing | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found out for this reading. `open_sagas` None: the store could not be asked.

    `lags`: by projection, those that could be compared.
    """

    ready: Mapping[str, bool]
    open_sagas: Mapping[tuple[str, str], int] | None
    losses: int
    lags: Mapping[str, Lagging] = field(default_factory=dict)


def of_process(version: str, looked: Looked) -> Mapping[Metric, Iterable[Reading]]:
    """What every process tells."""
    return {
        table.INFO: [((version,), 1)],
        table.READY: [((check,), float(passed)) for check, passed in looked.ready.items()],
    }


def of_orchestrator(orchestrator: Orchestrating, looked: Looked) -> Mapping[Metric, Iterable[Reading]]:
    """What an orchestrator tells."""
    counters = orchestrator.counters
    single: Mapping[Metric, float | Tally] = {
        table.OVER_SLA: counters.over_sla,
        table.LONG: counters.long,
        table.EVENTS: counters.events,
        table.APPENDS: counters.commits,
        table.BATCHES: counters.committing,
        table.COMMANDS_SENT: counters.commands,
        table.SENT_AGAIN: counters.sent_again,
        table.UNACKNOWLEDGED: counters.unacknowledged,
        table.REPLIES: counters.replies,
        table.REPLIES_UNREADABLE: counters.unreadable,
        table.FLOODED: counters.flooded,
        table.WAITING: orchestrator.waiting,
        table.CACHED: orchestrator.cached,
        table.PARTITIONS: orchestrator.partitions,
        table.LOSSES: looked.losses,
    }
    return {
        **{metric: [((), value)] for metric, value in single.items()},
        table.ENDED: counters.ended.items(),
        table.LASTED: [((saga,), tally) for saga, tally in counters.lasted.items()],
        table.OPEN: () if looked.open_sagas is None else looked.open_sagas.items(),
        table.STEPS: counters.steps.items(),
        table.IGNORED: [((reason,), count) for reason, count in counters.ignored.items()],
        table.FORGED: [((str(reason),), count) for reason, count in counters.forgeries.items()],
    }


def of_workers(workers: Iterable[Working]) -> Mapping[Metric, Iterable[Reading]]:
    """What the workers of a process tell."""
    read: dict[Metric, list[Reading]] = {metric: [] for metric in table.WORKER}
    for worker in workers:
        counters, name = worker.counters, (worker.name,)
        read[table.COMMANDS] += [((worker.name, *labels), tally) for labels, tally in counters.handled.items()]
        read[table.RECEIVED].append((name, counters.received))
        read[table.REDELIVERED].append((name, counters.redelivered))
        read[table.COMMANDS_UNREADABLE].append((name, counters.unreadable))
        read[table.UNSETTLED].append((name, counters.open))
        read[table.HANGING].append((name, worker.hanging))
    return read


def of_api(api: Answering) -> Mapping[Metric, Iterable[Reading]]:
    """What an HTTP API tells."""
    return {
        table.REQUESTS: api.answered.items(),
        table.REQUESTS_OPEN: [((), api.open)],
        table.FOLLOWERS: [((), api.following)],
    }


def of_listeners(listeners: Iterable[Heeding]) -> Mapping[Metric, Iterable[Reading]]:
    """What an orchestrator tells of the events for which definitions listen."""
    counted: Counter[str] = Counter()
    for listener in listeners:
        counted.update(listener.counts)
    return {table.HEARD: [((result,), count) for result, count in counted.items()]}


def of_followers(followers: Iterable[Following], lags: Mapping[str, Lagging]) -> Mapping[Metric, Iterable[Reading]]:
    """What a process tells of the projections that it follows."""
    return {
        table.PROJECTED: [((one.name,), one.events) for one in followers],
        table.BEHIND: [((name,), lag.behind) for name, lag in lags.items()],
        table.LAG: [((name,), lag.seconds) for name, lag in lags.items()],
        table.HELD_BACK: [((name,), lag.held_back) for name, lag in lags.items()],
    }


def of_eventstore(eventstore: Storing) -> Mapping[Metric, Iterable[Reading]]:
    """What an event store service tells."""
    return {
        table.STORED: [((), eventstore.stored)],
        table.APPENDING: [((), eventstore.appending)],
        table.APPENDS_WAITING: [((), eventstore.waiting)],
        table.PUBLISHED: [((), eventstore.published)],
        table.UNPUBLISHED: [((), eventstore.unpublished)],
        table.STREAMING: [((), eventstore.followers)],
    }
