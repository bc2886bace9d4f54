"""Domain events as the signals that they count as: each for the saga that it names, many in one commit.

Owns which saga that is, and what came of each. Settles nothing itself. Blocking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from saga_engine.core.decider import Decided
from saga_engine.core.inputs import Signal
from saga_engine.definition.model import Wait
from saga_engine.definition.values import payload_problem
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError, StoreUnavailableError
from saga_engine.immutable import dataclass, replace
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.insisting import insist
from saga_engine.orchestrator.occasions import NoValue, Occasion, Occurrence, key_of
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.turns import Turn, Turned
from saga_engine.orchestrator.verdicts import Done, Hopeless, Later, Verdict
from saga_engine.ports.store import EventStore
from saga_engine.sql.pacing import ThreadPacing


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and for what it is meant: occasions of one name, which differ in the key."""

    meant: Sequence[Occasion]
    event: Occurrence

    @property
    def signal(self) -> str:
        return self.meant[0].event or ""


@dataclass(frozen=True, slots=True)
class _Named:
    """The signal that an event counts as, and the saga that it names."""

    saga_id: UUID
    signal: Signal


class Signaller:
    """Gives sagas what they wait for. `transactor` is its alone."""

    def __init__(self, client: Client, store: EventStore, transactor: Transactor) -> None:
        self._client = client
        self._store = store
        self._transactor = transactor

    def tell(self, events: Sequence[Told]) -> Sequence[Verdict]:
        """A verdict for each; all that are taken are committed at once. An outage of the store is a verdict too."""
        found: dict[int, Verdict | UUID] = {place: self._found(one) for place, one in enumerate(events)}
        try:
            heads = self._store.heads(sorted({one for one in found.values() if isinstance(one, UUID)}))
        except StoreUnavailableError as error:
            return [Later(str(error), outage=True) if isinstance(one, UUID) else one for one in found.values()]
        verdicts: dict[int, Verdict] = {}
        named: dict[int, _Named] = {}
        for place, one in found.items():
            judged = self._signal(one, events[place], heads) if isinstance(one, UUID) else one
            if isinstance(judged, _Named):
                named[place] = judged
            else:
                verdicts[place] = judged
        verdicts.update(self._committed(named))
        return [verdicts[place] for place in range(len(events))]

    def _found(self, told: Told) -> Verdict | UUID:
        """The saga that is meant: of one whose definition makes the key in one of the ways there are."""
        missing: list[str] = []
        for occasion in told.meant:
            key = key_of(occasion, told.event, None)
            if isinstance(key, NoValue):
                missing.append(key.reason)
                continue
            try:
                known = self._store.find(key, occasion.saga)
            except StoreUnavailableError as error:
                return Later(str(error), outage=True)
            if known:
                return known[0].stream_id
        if len(missing) == len(told.meant):
            return Hopeless("; ".join(missing))
        return Later(f"there is no saga {told.meant[0].saga} of the business key that it names")

    def _signal(self, saga_id: UUID, told: Told, heads: Mapping[UUID, StreamHead]) -> Verdict | _Named:
        if saga_id not in heads:
            return Later(f"no saga with id {saga_id}")
        try:
            plan = self._client.plan(heads[saga_id].definition_hash)
        except StoreUnavailableError as error:
            return Later(str(error), outage=True)
        except SagaEngineError as error:
            return Later(str(error))
        if not any(isinstance(node.action, Wait) and node.action.event == told.signal for node in plan.nodes.values()):
            return Done(why=f"saga {saga_id} was started by a definition that does not wait for {told.signal}")
        problem = payload_problem(told.event.data)
        if problem is not None:
            return Hopeless(f"the data of signal {told.signal} is no payload: {problem}")
        taken_as = told.event.signal_id(told.signal)
        return _Named(saga_id, Signal(self._client.now, taken_as, told.signal, told.event.data))

    def _committed(self, named: Mapping[int, _Named]) -> Mapping[int, Verdict]:
        places: dict[UUID, list[int]] = {}
        for place, one in named.items():
            places.setdefault(one.saga_id, []).append(place)

        def turns() -> Sequence[Turn]:
            at = self._client.now
            return [
                Turn(saga_id, [replace(named[place].signal, at=at) for place in those], looked_after=False)
                for saga_id, those in places.items()
            ]

        try:
            turned = insist(self._transactor, turns, ThreadPacing().pause)
        except StoreUnavailableError as error:
            return dict.fromkeys(named, Later(str(error), outage=True))
        return {
            place: verdict
            for one, those in zip(turned, places.values(), strict=True)
            for place, verdict in zip(those, _verdicts(one, len(those)), strict=True)
        }


def _verdicts(turned: Turned, wanted: int) -> Sequence[Verdict]:
    saga_id = turned.saga_id
    if turned.missing or turned.trouble:
        return [Later(f"saga {saga_id} cannot be worked on: {turned.trouble or 'it is not there'}")] * wanted
    return [Done(saga_id) if isinstance(one, Decided) else Done(why=one.reason) for one in turned.answers]
