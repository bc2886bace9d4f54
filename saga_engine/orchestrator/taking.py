"""What domain events of others lead to: sagas that are started, signals that are taken, or nothing, and why.

Owns those verdicts. Goes the way of every start and signal, through the client. Blocking; settles nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID

from saga_engine.core.decider import Decided
from saga_engine.core.inputs import Signal
from saga_engine.definition.inputs import InputRejected
from saga_engine.definition.model import StartOn, Wait
from saga_engine.errors import SagaEngineError, StoreUnavailableError, UsageError
from saga_engine.immutable import dataclass
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.occasions import (
    NoValue,
    Occasion,
    Occurrence,
    input_of,
    is_own,
    key_of,
    read_occurrence,
)
from saga_engine.orchestrator.starting import AlreadyStarted, KeyConflict, Started
from saga_engine.ports import EventStore, HeardEvent
from saga_engine.wire import Unreadable

if TYPE_CHECKING:
    from saga_engine.definition.model import Json
    from saga_engine.orchestrator.starting import DefinitionChanged, StartOutcome


@dataclass(frozen=True, slots=True)
class Done:
    """Committed, or nothing to do. `saga_id`: the saga that has something new; None: none has. `why`: for nothing."""

    saga_id: UUID | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet. `outage`: not for any fault of the event, so that it is never given up."""

    reason: str
    outage: bool = False


@dataclass(frozen=True, slots=True)
class Hopeless:
    """It can never lead to anything: a dead letter."""

    reason: str


Verdict: TypeAlias = Done | Later | Hopeless

_OWN: Final = Done(why="the saga's own event")


class Taker:
    """Takes events. `occasions`: by durable name, as `occasions.occasions` makes them."""

    def __init__(self, client: Client, store: EventStore, occasions: Mapping[str, Sequence[Occasion]]) -> None:
        self._client = client
        self._store = store
        self._occasions = occasions

    def take(self, heard: Sequence[HeardEvent]) -> Sequence[Verdict]:
        """A verdict for each: starts of one definition in one commit, signals one by one. Never raises for an outage

        of the store, which is a verdict too.
        """
        verdicts: dict[int, Verdict] = {}
        starts: dict[str, list[tuple[int, _Start]]] = {}
        for place, one in enumerate(heard):
            event = read_occurrence(one.delivery.message)
            meant = self._occasions.get(one.listening, ())
            if isinstance(event, Unreadable):
                verdicts[place] = Hopeless(event.reason)
            elif not meant:
                verdicts[place] = Later("no definition here listens for it", outage=True)
            elif is_own(meant[0], event):
                verdicts[place] = _OWN
            elif isinstance(meant[0].on, StartOn):
                start = _start(meant[0], meant[0].on, event)
                if isinstance(start, Hopeless):
                    verdicts[place] = start
                else:
                    starts.setdefault(one.listening, []).append((place, start))
            else:
                verdicts[place] = self._signal(meant, event)
        for name, wanted in starts.items():
            outcomes = self._started(self._occasions[name][0].saga, [start for _, start in wanted])
            verdicts.update(zip((place for place, _ in wanted), outcomes, strict=True))
        return [verdicts[place] for place in range(len(heard))]

    def _started(self, saga: str, starts: Sequence[_Start]) -> Sequence[Verdict]:
        try:
            outcomes = self._client.start_many(
                saga,
                [start.input for start in starts],
                keys=[start.key for start in starts],
                traceparents=[start.traceparent for start in starts],
            )
        except StoreUnavailableError as error:
            return [Later(str(error), outage=True)] * len(starts)
        except SagaEngineError as error:
            return [Later(str(error))] * len(starts)
        return [_verdict(outcome) for outcome in outcomes]

    def _signal(self, meant: Sequence[Occasion], event: Occurrence) -> Verdict:
        missing: list[str] = []
        for occasion in meant:
            key = key_of(occasion, event, None)
            if isinstance(key, NoValue):
                missing.append(key.reason)
                continue
            try:
                known = self._store.find(key, occasion.saga)
                if known:
                    return self._told(known[0].stream_id, occasion.event or "", event)
            except StoreUnavailableError as error:
                return Later(str(error), outage=True)
            except UsageError as error:
                return Hopeless(str(error))
            except SagaEngineError as error:
                return Later(str(error))
            missing.append("")
        if all(missing):
            return Hopeless("; ".join(missing))
        return Later(f"there is no saga {meant[0].saga} of the business key that it names")

    def _told(self, saga_id: UUID, signal: str, event: Occurrence) -> Verdict:
        plan = self._client.plan(self._client.status(saga_id).definition_hash)
        if not any(isinstance(node.action, Wait) and node.action.event == signal for node in plan.nodes.values()):
            return Done(why=f"saga {saga_id} was started by a definition that does not wait for {signal}")
        taken_as = event.signal_id(signal)
        answer = self._client.act(saga_id, lambda at: Signal(at, taken_as, signal, event.data))
        return Done(saga_id) if isinstance(answer, Decided) else Done(why=answer.reason)


@dataclass(frozen=True, slots=True)
class _Start:
    input: Json
    key: str
    traceparent: str | None


def _start(occasion: Occasion, on: StartOn, event: Occurrence) -> _Start | Hopeless:
    given = input_of(on, event)
    if isinstance(given, NoValue):
        return Hopeless(given.reason)
    key = key_of(occasion, event, given)
    return Hopeless(key.reason) if isinstance(key, NoValue) else _Start(given, key, event.traceparent)


def _verdict(outcome: StartOutcome | InputRejected | DefinitionChanged) -> Verdict:
    match outcome:
        case Started(saga_id=saga_id):
            return Done(saga_id)
        case AlreadyStarted(saga_id=saga_id):
            return Done(why=f"saga {saga_id} is there already")
        case KeyConflict(saga_id=saga_id, key=key):
            return Hopeless(f"key {key!r} belongs to saga {saga_id}, which was started with another input")
        case InputRejected():
            return Hopeless(f"the input does not fit: {outcome}")
        case _:
            return Later(getattr(outcome, "reason", "the definition was changed after it was registered"))
