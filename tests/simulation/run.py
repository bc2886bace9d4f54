"""One schedule: a seed gives a world, faults strike it, it is healed, it must come to rest, and its history is judged.

Owns the phases. `run_seed` is a plain function of its arguments.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeAlias

from saga_engine.audit.check import check
from saga_engine.audit.grouping import group
from saga_engine.audit.history import Kept, Record, Rest, Section
from saga_engine.audit.records.surroundings import Remainder
from saga_engine.testing.virtual_time import VirtualLoop
from tests.simulation.attempts import spent_by_trouble
from tests.simulation.clients import Errands, client_host, errands
from tests.simulation.dump import participant_records, store_records, stored_prefix
from tests.simulation.faults import Hit
from tests.simulation.hosts import orchestrator_host, worker_host
from tests.simulation.liveness import bound
from tests.simulation.logs import defects_in_logs
from tests.simulation.nemesis import Nemesis
from tests.simulation.processes import ProcessKilledError, adopt
from tests.simulation.world import Setting, World, setting_of

Bug: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Breaks one thing of the engine while the context lasts."""

_SECTIONS: Final = tuple(section for section in Section if section is not Section.INPUTS)
_OPEN: Final = (
    "SELECT count(*) FROM saga_streams WHERE status NOT IN ('completed', 'compensated', 'closed', 'blocked')"
    " OR published < version OR next_due IS NOT NULL"
)


_STANDING: Final = "SELECT count(*) FROM saga_streams WHERE status NOT IN ('completed', 'compensated')"
_BY_HAND: Final = (
    "SELECT count(*) FROM saga_events WHERE type = 'OperatorActed' AND json_extract(data, '$.verb') = 'resolve'"
)

_UNKNOWN: Final = (
    "SELECT count(*) FROM saga_events WHERE type = 'StepGivenUp'"
    " OR (type = 'StepFailed' AND json_extract(data, '$.retry_at') IS NULL)"
)
_BLOCKED: Final = "SELECT count(DISTINCT stream_id) FROM saga_events WHERE type = 'StepBlocked'"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one schedule. `violations`: what no fault excuses, the number of the invariant first.

    `counts` shows what the faults brought about.
    """

    seed: int
    saga: str
    violations: Sequence[str]
    hits: Sequence[Hit]
    counts: Counter[str]
    history: Sequence[Record]
    seconds: float

    @property
    def trace(self) -> str:
        """A hash of everything that happened, in order."""
        digest = hashlib.sha256()
        for record in self.history:
            digest.update(repr(record).encode())
        return digest.hexdigest()


def run_seed(seed: int, *, bug: Bug | None = None, allowed: Set[str] | None = None) -> Result:
    """Run the schedule of a seed. `allowed`: of the faults that it draws only these hit, by name; None: all."""
    return run(setting_of(seed), bug=bug, allowed=allowed)


def run(setting: Setting, *, bug: Bug | None = None, allowed: Set[str] | None = None) -> Result:
    """Run one schedule."""
    with ExitStack() as stack:
        with nullcontext() if bug is None else bug(), _virtual_loop() as loop:
            world, changed, seconds = loop.run_until_complete(_schedule(setting, allowed, stack))
        # Whoever judges uses the engine's own reading of streams: it must not have the bug that it is to find.
        return _judged(world, changed, seconds)


@contextmanager
def _virtual_loop() -> Iterator[VirtualLoop]:
    """As `asyncio.Runner`, which for each run asks the signal module for a handler, at the cost of many statements."""
    loop = VirtualLoop()
    loop.set_task_factory(adopt)  # type: ignore[arg-type]  # typeshed's factory takes no keywords
    try:
        yield loop
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(_all_ended(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _all_ended(tasks: Set[asyncio.Task[object]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


async def _schedule(setting: Setting, allowed: Set[str] | None, stack: ExitStack) -> tuple[World, list[str], float]:
    """What is there to judge: the world at rest, what was changed after it was written, how long it took."""
    loop = asyncio.get_running_loop()
    world = World(setting, allowed)
    stack.callback(world.close)
    loop.set_exception_handler(lambda _loop, context: _uncaught(world, context))
    with defects_in_logs(world.defects):
        changed = await _run(world)
    return world, changed, loop.time()


async def _run(world: World) -> list[str]:
    todo = errands(world)
    hosts = [orchestrator_host(world, number) for number in range(world.mix.orchestrators)]
    hosts += [worker_host(world, one, number) for one in world.services for number in range(world.mix.workers)]
    hosts.append(client_host(world, todo))
    loop = asyncio.get_running_loop()
    lives = [loop.create_task(host.run()) for host in hosts]
    nemesis = loop.create_task(Nemesis(world, hosts).run())
    await asyncio.sleep(world.mix.faulty_for)
    await nemesis
    world.heal()
    before = stored_prefix(world.store.connection)
    await _come_to_rest(world, todo)
    world.recorder.add(Rest(world.machine_time(), world.recorder.tick()))
    now = stored_prefix(world.store.connection)
    changed = [
        f"A2 {key[0].hex()} version {key[1]} was changed" for key, event in before.items() if now.get(key) != event
    ]
    for host in hosts:
        if host.process is not None:
            host.process.kill()
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)
    return changed


async def _come_to_rest(world: World, todo: Errands) -> None:
    """Wait until every saga has ended or is blocked and every message is done with, at most as long as it may take."""
    loop = asyncio.get_running_loop()
    most = bound(world.workload.definition, world.mix)
    give_up_at, step = loop.time() + most, 1.0
    while loop.time() < give_up_at:
        await asyncio.sleep(step)
        step = min(60.0, step * 1.3)
        still_open = world.store.connection.execute(_OPEN).fetchone()[0]
        if todo.done and not still_open and not world.broker.unsettled and not world.network.in_flight:
            return


def _judged(world: World, changed: Sequence[str], seconds: float) -> Result:
    recorder = world.recorder
    standing = sum(world.store.connection.execute(query).fetchone()[0] for query in (_STANDING, _BY_HAND))
    # Where an operator left an effect standing, or has yet to act, money is on its way. Nor does the simulation's do by
    # hand what it says that it has.
    sections = [each for each in _SECTIONS if each is not Section.BALANCES or not standing]
    records: list[Record] = [Kept(tuple(sections)), *recorder.records, *store_records(world.store.connection)]
    for name, database in world.participants.items():
        records += participant_records(name, database.connection)
    records += [
        Remainder("messages that nobody is done with", world.broker.unsettled),
        Remainder("messages under way", world.network.in_flight),
    ]
    found = [*changed, *world.early_acks.found, *spent_by_trouble(world.store.connection)]
    found += [f"{violation}" for violation in check(group(records))]
    counts = Counter(recorder.counts)
    for status, number in world.store.connection.execute("SELECT status, count(*) FROM saga_streams GROUP BY 1"):
        counts[status] += number
        counts["sagas"] += number
    counts["unknown outcomes"] += world.store.connection.execute(_UNKNOWN).fetchone()[0]
    counts["blocked sagas"] += world.store.connection.execute(_BLOCKED).fetchone()[0]
    return Result(
        world.seed,
        world.workload.name,
        [*(f"E0 {defect}" for defect in world.defects), *found],
        world.faults.hits,
        counts + world.faults.counts,
        records,
        seconds,
    )


def _uncaught(world: World, context: dict[str, object]) -> None:
    cause = context.get("exception")
    if not isinstance(cause, ProcessKilledError):
        world.defect(str(context.get("message")), cause if isinstance(cause, BaseException) else None)
