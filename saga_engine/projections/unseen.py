"""What a projection has not seen of sagas yet: their events after a version, with what each of them publishes.

Reads the event store, and derives published events from the streams as the relay does. Writes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from saga_engine.codec import decode_event
from saga_engine.core.events import Event, SagaClosed, SagaCompensated, SagaCompleted
from saga_engine.core.evolve import evolve
from saga_engine.core.outgoing import PublishEvent, outgoing
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError, UnavailableError
from saga_engine.ports.store import WHOLE, EventStore, LoadedStream

_ENDS: Final = (SagaCompleted, SagaCompensated, SagaClosed)
_KEPT: Final = 10_000
"""Folded sagas that are kept, so that their next events need not be read from the start."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a stream, and what it publishes."""

    version: int
    event: Event
    published: PublishEvent | None


@dataclass(frozen=True, slots=True)
class Unseen:
    """The events of one saga after version `after`, in their order. `trouble`: why what follows cannot be read."""

    head: StreamHead
    after: int
    happened: Sequence[Happened]
    trouble: str | None = None

    @property
    def last(self) -> int:
        """Up to which version these events come."""
        return self.happened[-1].version if self.happened else self.after

    @property
    def ended(self) -> bool:
        """Whether the saga's end is among them: nothing ever follows it."""
        return bool(self.happened) and isinstance(self.happened[-1].event, _ENDS)


class UnseenEvents:
    """Reads them. `plan_of` None: nobody wants published events, which takes less work.

    Not safe to use from several threads at once.
    """

    def __init__(self, store: EventStore, plan_of: Callable[[str], Plan] | None) -> None:
        self._store = store
        self._plan_of = plan_of
        self._states: OrderedDict[UUID, SagaState] = OrderedDict()

    def read(self, after: Mapping[UUID, int]) -> list[Unseen]:
        """What follows these versions (0: everything). Sagas that are not in the store are left out. Blocking.

        Raises:
            StoreUnavailableError: the store cannot be asked.
        """
        known = {stream_id: self._state(stream_id, version) for stream_id, version in after.items()}
        loaded = self._store.load({stream_id: state.version or WHOLE for stream_id, state in known.items()})
        return [self._unseen(loaded[one], known[one], version) for one, version in after.items() if one in loaded]

    def _state(self, stream_id: UUID, version: int) -> SagaState:
        """What is known of a saga at that version; empty when it must be read from its start."""
        if self._plan_of is None:
            # Not folded: only the version counts.
            return SagaState(stream_id, version=version)
        kept = self._states.pop(stream_id, None)
        return kept if kept is not None and kept.version == version else SagaState(stream_id)

    def _unseen(self, loaded: LoadedStream, state: SagaState, after: int) -> Unseen:
        happened: list[Happened] = []
        try:
            plan = None if self._plan_of is None else self._plan_of(loaded.head.definition_hash)
            for record in loaded.events:
                event = decode_event(record)
                published = None
                if plan is not None:
                    state = evolve(state, event)
                    sent = outgoing(plan, state, event) if record.version > after else None
                    published = sent if isinstance(sent, PublishEvent) else None
                if record.version > after:
                    happened.append(Happened(record.version, event, published))
        except UnavailableError:
            raise
        except SagaEngineError as error:
            # A damaged row, or one of a newer release: it holds back this saga alone.
            return Unseen(loaded.head, after, happened, str(error))
        unseen = Unseen(loaded.head, after, happened)
        if plan is not None and not unseen.ended:
            self._keep(state)
        return unseen

    def _keep(self, state: SagaState) -> None:
        self._states[state.saga_id] = state
        if len(self._states) > _KEPT:
            self._states.popitem(last=False)
