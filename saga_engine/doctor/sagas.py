"""Sagas that need somebody, or that nobody looks after: blocked, suspended, over their sla, overdue, not told on.

Looks at a few of each, whatever there is; which command one of them waits for is `waiting`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from saga_engine.codec import decode_events
from saga_engine.core.events import Suspended
from saga_engine.core.state import SagaState, Status, address
from saga_engine.core.waits import AwaitedOperator, blocked_steps
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.elapsed import elapsed
from saga_engine.envelope import PARTITIONS, StreamHead
from saga_engine.identifiers import lowest_id
from saga_engine.orchestrator.loading import Unloadable, load
from saga_engine.orchestrator.plans import Plans
from saga_engine.plural import several
from saga_engine.ports.store import WHOLE, EventStore, StreamFilter

NAMED: Final = 5
"""How many sagas of a kind are named; the others are counted."""

LOOKED_AT: Final = 500
MINUTE: Final = 60_000_000
LONG: Final = 86_400_000_000
"""For how long a saga may be suspended, or wait for a signal, before it is worth a line: a day, in microseconds."""

OPEN: Final = tuple(str(status) for status in Status if not status.ended)


@dataclass(frozen=True, slots=True)
class Look:
    """The store, as one examination sees it. `now`: its time, microseconds."""

    store: EventStore
    plans: Plans
    now: int


def state_of(look: Look, saga_ids: Sequence[UUID]) -> Iterator[SagaState]:
    """The states of those that can be read; the audit tells of the others."""
    for one in load(look.store, look.plans, saga_ids).values():
        if not isinstance(one, Unloadable):
            yield one.state


def blocked(look: Look) -> Iterator[Finding]:
    """Sagas that only an operator brings further."""
    total = sum(number for (_, status), number in look.store.counts().items() if status == Status.BLOCKED)
    heads = look.store.list(StreamFilter(statuses=(str(Status.BLOCKED),), limit=NAMED))
    if not total:
        yield fine("blocked", "sagas", "none is blocked")
    for state in state_of(look, [head.stream_id for head in heads]):
        why = "Something that was done is not undone, or cannot go on, before somebody acts."
        next_ = f"saga show {state.saga_id}, then saga retry, resolve or skip it"
        what = f"is blocked: {_causes(blocked_steps(state))}"
        yield Finding("blocked", Severity.ERROR, f"{state.saga} {state.key}", what, why, next_)
    if total > len(heads):
        what = f"and {several(total - len(heads), 'saga')} more"
        yield Finding("blocked", Severity.ERROR, "sagas", what, "", "saga list --status blocked")


def _causes(steps: Sequence[AwaitedOperator]) -> str:
    """What blocks the saga, each cause once, with the steps and items that it stands in the way of."""
    places: dict[str, list[str]] = defaultdict(list)
    for one in sorted(steps, key=lambda one: (one.step, one.item or 0)):
        places[f"{one.code}: {one.message}" if one.message else one.code].append(address(one.step, one.item))
    return "; ".join(f"{_first(names)}: {cause}" for cause, names in places.items())


def _first(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def suspended(look: Look) -> Iterator[Finding]:
    """Sagas that somebody has suspended, and perhaps forgotten."""
    wanted = StreamFilter(statuses=(str(Status.SUSPENDED),), before=lowest_id(look.now - LONG), limit=NAMED)
    found = False
    for saga_id, stream in look.store.load({head.stream_id: WHOLE for head in look.store.list(wanted)}).items():
        held = [event for event in decode_events(saga_id, stream.events) if isinstance(event, Suspended)]
        if held and held[-1].at < look.now - LONG:
            found = True
            what = f"has been suspended for {elapsed(look.now - held[-1].at)}"
            why = "Nothing is sent for it, and its own time-out runs on."
            where = f"{stream.head.saga} {stream.head.key}"
            yield Finding("suspended", Severity.WARNING, where, what, why, f"saga resume {saga_id} --why TEXT")
    if not found:
        yield fine("suspended", "sagas", "none has been suspended for more than a day")


def over_sla(look: Look) -> Iterator[Finding]:
    """Sagas that take longer than their definition's `sla`."""
    shortest: dict[str, int] = {}
    for record in look.store.definitions():
        limit = look.plans.get(record.hash).definition.sla_us
        if limit is not None:
            shortest[record.saga] = min(limit, shortest.get(record.saga, limit))
    found = False
    for saga, limit in sorted(shortest.items()):
        wanted = StreamFilter(saga, OPEN, before=lowest_id(look.now - limit), limit=LOOKED_AT)
        late = [head for head in look.store.list(wanted) if _is_late(look, head)]
        if late:
            found = True
            many = f"{'at least ' if len(late) == LOOKED_AT else ''}{several(len(late), 'saga')}"
            yield Finding(
                "sla",
                Severity.WARNING,
                saga,
                f"{many} over the sla, the oldest started {elapsed(look.now - late[-1].started_at)} ago",
                "Its author expected it to have ended by now.",
                f"saga show {late[-1].stream_id}",
            )
    if not found:
        yield fine("sla", "sagas", "none is over its sla")


def _is_late(look: Look, head: StreamHead) -> bool:
    limit = look.plans.get(head.definition_hash).definition.sla_us
    return limit is not None and head.started_at + limit < look.now


def overdue(look: Look) -> Iterator[Finding]:
    """Sagas at which somebody should have looked long ago."""
    heads = look.store.due(range(PARTITIONS), look.now - MINUTE, LOOKED_AT)
    if not heads:
        yield fine("overdue", "sagas", "none has been due for more than a minute")
        return
    many = f"{'at least ' if len(heads) == LOOKED_AT else ''}{several(len(heads), 'saga')}"
    since = elapsed(look.now - (heads[0].next_due or look.now))
    yield Finding(
        "overdue",
        Severity.ERROR,
        f"{heads[0].saga} {heads[0].key}" + ("" if len(heads) == 1 else " and others"),
        f"{many} due for more than a minute, the first for {since}",
        "Its timers and resends are late: no orchestrator looks at it, or none keeps up.",
        f"saga run --orchestrator, or saga show {heads[0].stream_id} where one runs",
    )


def unpublished(look: Look) -> Iterator[Finding]:
    """Sagas whose last commands or events the broker has not confirmed for long."""
    heads = [head for partition in range(PARTITIONS) for head in look.store.unpublished(partition, None, NAMED)]
    loaded = look.store.load({head.stream_id: head.version - 1 for head in heads})
    late = [one.head for one in loaded.values() if one.events and one.events[-1].at < look.now - MINUTE]
    if not late:
        yield fine("unpublished", "sagas", "what was decided more than a minute ago has been sent")
        return
    yield Finding(
        "unpublished",
        Severity.ERROR,
        f"{late[0].saga} {late[0].key}" + ("" if len(late) == 1 else " and others"),
        f"what {'at least ' if len(heads) > NAMED else ''}{several(len(late), 'saga')} decided more than a minute ago "
        "is not confirmed by NATS",
        "Its commands may not have reached anybody: no orchestrator runs, or NATS takes no messages.",
        "saga run --orchestrator; the findings about NATS stand above",
    )
