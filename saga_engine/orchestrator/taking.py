"""What domain events of others lead to: sagas that are started, signals that are taken, or nothing, and why.

Owns the reading of events, and what comes of those that start a saga. Blocking; settles nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from saga_engine.definition.inputs import InputRejected
from saga_engine.definition.model import StartOn
from saga_engine.errors import SagaEngineError, StoreUnavailableError
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
from saga_engine.orchestrator.signalling import Signaller, Told
from saga_engine.orchestrator.starting import AlreadyStarted, KeyConflict, Started, StartRefused
from saga_engine.orchestrator.verdicts import Done, Hopeless, Later, Verdict
from saga_engine.ports.events import HeardEvent
from saga_engine.wire.reading import Unreadable

if TYPE_CHECKING:
    from saga_engine.definition.model import Json
    from saga_engine.orchestrator.starting import DefinitionChanged, StartOutcome


_OWN: Final = Done(why="the saga's own event")


class Taker:
    """Takes events. `occasions`: by durable name, as `occasions.occasions` makes them."""

    def __init__(self, client: Client, signaller: Signaller, occasions: Mapping[str, Sequence[Occasion]]) -> None:
        self._client = client
        self._signaller = signaller
        self._occasions = occasions

    def take(self, heard: Sequence[HeardEvent]) -> Sequence[Verdict]:
        """A verdict for each: starts of one definition in one commit, then all signals in another.

        Never raises for an outage of the store, which is a verdict too.
        """
        verdicts: dict[int, Verdict] = {}
        starts: dict[str, list[tuple[int, _Start]]] = {}
        told: list[tuple[int, Told]] = []
        for place, one in enumerate(heard):
            found = self._read(one)
            if isinstance(found, _Start):
                starts.setdefault(one.listening, []).append((place, found))
            elif isinstance(found, Told):
                told.append((place, found))
            else:
                verdicts[place] = found
        # First: what is told may be meant for a saga that begins here.
        for name, wanted in starts.items():
            outcomes = self._started(self._occasions[name][0].saga, [start for _, start in wanted])
            verdicts.update(zip((place for place, _ in wanted), outcomes, strict=True))
        if told:
            judged = self._signaller.tell([one for _, one in told])
            verdicts.update(zip((place for place, _ in told), judged, strict=True))
        return [verdicts[place] for place in range(len(heard))]

    def _read(self, heard: HeardEvent) -> _Start | Told | Verdict:
        event = read_occurrence(heard.delivery.message)
        meant = self._occasions.get(heard.listening, ())
        if isinstance(event, Unreadable):
            return Hopeless(event.reason)
        if not meant or meant[0].on.subject != event.subject:
            return Later(f"no definition here listens for {event.subject} as {heard.listening}", outage=True)
        if is_own(meant[0], event):
            return _OWN
        return _start(meant[0], meant[0].on, event) if isinstance(meant[0].on, StartOn) else Told(meant, event)

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
        case StartRefused(reason=reason):
            # Too many sagas are open: that is no fault of the event, and passes.
            return Later(reason, outage=True)
    return Later("the definition was changed after it was registered", outage=True)
