"""The clients: they start sagas and ask again when they do not know, send signals, and act as operators.

Owns what is asked and when, and that it is asked until there is an answer. Knows no fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from saga_engine.audit.records.clients import ClientAnswer, ClientAnswered, ClientCalled, ClientVerb
from saga_engine.clock import StoreClock
from saga_engine.core.decider import Decided
from saga_engine.core.events import Verb
from saga_engine.core.inputs import Cancel, Input, Operate, Resume, Signal, Suspend
from saga_engine.core.state import Status
from saga_engine.definition.inputs import InputRejected, check_input, input_hash
from saga_engine.definition.model import Json
from saga_engine.envelope import partition_of
from saga_engine.errors import UnavailableError
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import AlreadyStarted, KeyConflict, Started
from saga_engine.ports.store import StreamFilter
from saga_engine.ports.transport import Transport
from tests.simulation.hosts import Host, patiently
from tests.simulation.processes import Process
from tests.simulation.stores import open_store
from tests.simulation.world import World

_AGAIN_S: Final = 1.0
_SELDOM_S: Final = 60.0
"""How long a client waits before it asks once more: at first, and after many times in vain."""

_OPERATOR_S = 30.0


@dataclass(slots=True)
class _Errand:
    """Something that a client has set out to do at a time, and does until it has an answer."""

    at: float
    verb: ClientVerb
    saga: int
    input: Json = None
    name: str = ""
    signal_id: str = ""
    done: bool = False


@dataclass(slots=True)
class Errands:
    """What all clients have before them; it outlives them. `started`: the sagas they know, by number."""

    all: list[_Errand] = field(default_factory=list)
    started: dict[int, UUID] = field(default_factory=dict)
    calls: int = 0

    @property
    def done(self) -> bool:
        return all(errand.done for errand in self.all)


def errands(world: World) -> Errands:
    """What the clients of this seed have before them."""
    random, mix = world.chance.of("clients"), world.mix
    made: list[_Errand] = []
    for number in range(mix.sagas):
        begin = random.uniform(0, mix.faulty_for / 3)
        given = world.workload.input(random, number)
        made.append(_Errand(begin, ClientVerb.START, number, given))
        made += _later(world, random, number, given, begin)
    return Errands(made)


def _later(world: World, random: Random, number: int, given: Json, begin: float) -> list[_Errand]:
    made: list[_Errand] = []

    def some_time() -> float:
        return begin + (world.mix.faulty_for - begin) * random.random() ** 2

    if random.random() < 0.2:
        made.append(_Errand(some_time(), ClientVerb.START, number, given))
    if random.random() < 0.1:
        assert isinstance(given, dict)
        made.append(_Errand(some_time(), ClientVerb.START, number, {**given, "amount": 999}))
    for _ in range(random.randint(0, 3)):
        name = random.choice(world.workload.signals)
        made.append(_Errand(some_time(), ClientVerb.SIGNAL, number, name=name, signal_id=f"s{random.randint(0, 3)}"))
    for verb in (ClientVerb.CANCEL, ClientVerb.SUSPEND, ClientVerb.RESUME):
        if random.random() < 0.2:
            made.append(_Errand(some_time(), verb, number))
    return made


def client_host(world: World, todo: Errands) -> Host:
    """A host that runs the client, whoever kills it meanwhile."""

    async def serve(_host: Host, process: Process) -> None:
        store = open_store(world, process)
        clock = StoreClock(store.now, lambda: round(asyncio.get_running_loop().time() * 1_000_000_000))
        ids = TimeOrderedIds(world.chance.of("ids").randbytes)
        client = Client(
            store, lambda: world.workload.definitions, ids, clock, pause=lambda longest: process.block(longest / 2)
        )
        await patiently(process, clock.sample)
        caller = _Caller(world, todo, process, client, world.network.connect(process))
        work = [asyncio.create_task(caller.do(errand)) for errand in todo.all if not errand.done]
        await asyncio.gather(*work, caller.operate())

    return Host(world, "client", "client", serve)


class _Caller:
    """One life of the client."""

    def __init__(self, world: World, todo: Errands, process: Process, client: Client, transport: Transport) -> None:
        self._world = world
        self._todo = todo
        self._process = process
        self._client = client
        self._transport = transport

    async def do(self, errand: _Errand) -> None:
        await asyncio.sleep(max(0.0, errand.at - asyncio.get_running_loop().time()))
        again = _AGAIN_S
        while not errand.done:
            saga_id = self._todo.started.get(errand.saga)
            if errand.verb is ClientVerb.START:
                errand.done = await self._start(errand)
            elif saga_id is not None:
                errand.done = await self._act(errand.verb, saga_id, _input(errand), errand.signal_id)
            if not errand.done:
                await asyncio.sleep(again)
                again = min(2 * again, _SELDOM_S)

    async def operate(self) -> None:
        """Look for what needs an operator, for ever: blocked sagas now and then, suspended ones when all is healed."""
        random = self._world.chance.of("operator")
        while True:
            await asyncio.sleep(_OPERATOR_S * (10 if self._world.mix.long else 1))
            wanted = [Status.BLOCKED.value] + ([Status.SUSPENDED.value] if self._world.healed else [])
            try:
                heads = await self._process.run_sync(partial(self._client.list, StreamFilter(statuses=wanted)))
            except UnavailableError:
                continue
            for head in heads:
                if head.status == Status.SUSPENDED:
                    await self._act(ClientVerb.RESUME, head.stream_id, lambda at: Resume(at, "operator", "healed"), "")
                elif random.randrange(10) < self._world.mix.operator:
                    verb = random.choice((Verb.RETRY, Verb.SKIP, Verb.SKIP, Verb.RESOLVE))
                    operating = _operating(verb)
                    await self._act(ClientVerb(verb.value), head.stream_id, operating, "")

    async def _start(self, errand: _Errand) -> bool:
        world, name = self._world, self._world.workload.name
        checked = check_input(world.workload.definition, errand.input)
        assert not isinstance(checked, InputRejected)
        assert isinstance(checked, dict)
        call = self._called(ClientVerb.START, saga=name, key=str(checked["id"]), input_hash=input_hash(checked))
        try:
            outcome = await self._process.run_sync(lambda: self._client.start(name, errand.input))
        except UnavailableError:
            self._answered(call, ClientAnswer.TROUBLE)
            return False
        match outcome:
            case Started(saga_id):
                answer = ClientAnswer.DONE
            case AlreadyStarted(saga_id):
                answer = ClientAnswer.EXISTING
            case KeyConflict(saga_id):
                answer = ClientAnswer.CONFLICT
            case _:
                world.defect(f"a start was refused: {outcome}", None)
                return True
        self._answered(call, answer, saga_id)
        if answer is not ClientAnswer.CONFLICT:
            self._todo.started[errand.saga] = saga_id
        await self._transport.ring([partition_of(saga_id)])
        return True

    async def _act(self, verb: ClientVerb, saga_id: UUID, given: Callable[[int], Input], signal_id: str) -> bool:
        call = self._called(verb, saga_id=saga_id, signal_id=signal_id)
        try:
            decision = await self._process.run_sync(lambda: self._client.act(saga_id, given))
        except UnavailableError:
            self._answered(call, ClientAnswer.TROUBLE)
            return False
        self._answered(call, ClientAnswer.DONE if isinstance(decision, Decided) else ClientAnswer.REFUSED, saga_id)
        await self._transport.ring([partition_of(saga_id)])
        return True

    def _called(
        self,
        verb: ClientVerb,
        *,
        saga: str = "",
        key: str = "",
        input_hash: str = "",
        saga_id: UUID | None = None,
        signal_id: str = "",
    ) -> str:
        self._todo.calls += 1
        call, recorder = f"call-{self._todo.calls}", self._world.recorder
        recorder.counts["client calls"] += 1
        recorder.add(
            ClientCalled(call, verb, recorder.now(), recorder.tick(), saga, key, input_hash, saga_id, signal_id)
        )
        return call

    def _answered(self, call: str, answer: ClientAnswer, saga_id: UUID | None = None) -> None:
        recorder = self._world.recorder
        recorder.counts[f"client: {answer}"] += 1
        recorder.add(ClientAnswered(call, answer, recorder.now(), recorder.tick(), saga_id))


def _operating(verb: Verb) -> Callable[[int], Input]:
    return lambda at: Operate(at, verb, "operator", "the simulation wants it")


def _input(errand: _Errand) -> Callable[[int], Input]:
    match errand.verb:
        case ClientVerb.SIGNAL:
            return lambda at: Signal(at, errand.signal_id, errand.name, {})
        case ClientVerb.CANCEL:
            return lambda at: Cancel(at, "client", "changed its mind")
        case ClientVerb.SUSPEND:
            return lambda at: Suspend(at, "client", "wants to look")
        case _:
            return lambda at: Resume(at, "client", "has looked")
