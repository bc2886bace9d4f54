"""The nemesis: strikes whole processes, servers and clocks at times drawn in advance, and lets them recover.

Owns the plan of blows of one seed. What strikes at single calls is `faults`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from saga_engine.audit.records.surroundings import ProcessChange
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Message
from saga_engine.participant.answers import Answer, reply_to
from saga_engine.wire.commands import message_to_command
from saga_engine.wire.headers import KEY, TOKEN
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import reply_to_message
from tests.simulation.databases import Database
from tests.simulation.faults import Strike
from tests.simulation.hosts import Host
from tests.simulation.mix import LONGEST_JUMP_S, SHORT_JUMP_S, Blow
from tests.simulation.world import World

_RECENT: Final = 4
_OF_COMMANDS: Final = 3
"""From which kind on a forgery answers a recent command; the others are made of replies that were heard."""

_STOP_WITHIN_S: Final = 120.0
"""When a process that was asked to stop must have ended, whatever goes on around it."""


class Nemesis:
    """Strikes the hosts and servers of one world."""

    def __init__(self, world: World, hosts: Sequence[Host]) -> None:
        self._world = world
        self._hosts = hosts
        self._random = world.chance.of("nemesis")

    async def run(self) -> None:
        """All blows of the seed, each at its time. Ends when the last has passed."""
        mix, random = self._world.mix, self._random
        blows = [
            (random.uniform(0, mix.faulty_for * 0.9), blow, Random(random.random()))
            for blow, count in mix.blows.items()
            for _ in range(count)
        ]
        await asyncio.gather(*(self._strike(at, blow, own) for at, blow, own in blows))

    async def _strike(self, at: float, blow: Blow, random: Random) -> None:
        await asyncio.sleep(at)
        target, act = self._aim(blow, random)
        if self._world.faults.hit(blow, target, at):
            lasts = self._lasts(random)
            until = self._world.recorder.now() + round(lasts * 1_000_000)
            self._world.recorder.fault(blow, target, until)
            await act(lasts)

    def _lasts(self, random: Random) -> float:
        """Mostly short, and over when the faulty time is."""
        mix = self._world.mix
        left = max(0.0, mix.faulty_for - asyncio.get_running_loop().time())
        return min(left, 1 + mix.longest * random.random() ** 2)

    def _aim(self, blow: Blow, random: Random) -> tuple[str, Callable[[float], Coroutine[object, object, None]]]:
        world = self._world
        host = random.choice(self._hosts)
        holders = [each for each in self._hosts if each.role == "orchestrator"]
        participant = random.choice([*world.participants.values(), world.store])
        trouble = random.choice((Strike.UNREACHABLE, Strike.FULL, Strike.READ_ONLY))
        match blow:
            case Blow.KILL:
                return host.name, lambda lasts: self._kill(host, lasts * random.choice((0.0, 0.0, 1.0)))
            case Blow.STOP:
                return host.name, lambda _: self._stop(host)
            case Blow.PAUSE:
                # Who holds partitions does not know that they are others' by now.
                paused = random.choice(holders) if random.random() < 0.5 or world.mix.contended else host
                return paused.name, lambda lasts: self._pause(paused, world.mix.tuning.lease + lasts)
            case Blow.BROKER_OUTAGE:
                return "broker", self._broker_outage
            case Blow.AMNESIA:
                return "broker", lambda _: self._wipe()
            case Blow.ROLL_BACK:
                return "broker", lambda lasts: self._roll_back(lasts, noticed=random.random() < 0.7)
            case Blow.STORE_OUTAGE:
                return "store", lambda lasts: self._trouble(Strike.UNREACHABLE, lasts, world.store)
            case Blow.STORE_READ_ONLY:
                return "store", lambda lasts: self._trouble(Strike.READ_ONLY, lasts, world.store)
            case Blow.STORE_FULL:
                return "store", lambda lasts: self._trouble(Strike.FULL, lasts, world.store)
            case Blow.DATABASE_OUTAGE:
                return participant.name, lambda lasts: self._trouble(trouble, lasts, participant)
            case Blow.CLOCK_JUMP:
                return "machine", lambda _: self._jump(random)
            case Blow.FORGERY:
                return "broker", lambda lasts: self._forge(random, lasts)

    async def _kill(self, host: Host, down_for: float) -> None:
        if host.process is not None:
            host.down_for = down_for
            host.process.kill()

    async def _stop(self, host: Host) -> None:
        process, stop = host.process, host.stop
        if process is None or stop is None:
            return
        process.start(stop())
        give_up_at = asyncio.get_running_loop().time() + _STOP_WITHIN_S
        while host.process is process:
            if process.paused:
                # Who is stopped by SIGSTOP hears of it when it goes on.
                give_up_at = asyncio.get_running_loop().time() + _STOP_WITHIN_S
            if asyncio.get_running_loop().time() > give_up_at:
                self._world.defect(f"{process.name} has not ended {_STOP_WITHIN_S} s after it was asked to", None)
                process.kill()
            await asyncio.sleep(1)

    async def _pause(self, host: Host, lasts: float) -> None:
        process = host.process
        if process is not None:
            process.pause()
            self._world.recorder.process(process.name, process.role, ProcessChange.PAUSED)
            await asyncio.sleep(lasts)
            process.go_on()
            self._world.recorder.process(process.name, process.role, ProcessChange.CONTINUED)

    async def _broker_outage(self, lasts: float) -> None:
        self._world.broker.stop()
        await asyncio.sleep(lasts)
        self._world.broker.start()

    async def _wipe(self) -> None:
        self._world.broker.wipe()

    async def _roll_back(self, lasts: float, *, noticed: bool) -> None:
        memory = self._world.broker.remember()
        await asyncio.sleep(lasts)
        self._world.broker.roll_back(memory, noticed=noticed)

    async def _trouble(self, trouble: Strike, lasts: float, database: Database) -> None:
        database.trouble = trouble
        await asyncio.sleep(lasts)
        database.trouble = None

    async def _jump(self, random: Random) -> None:
        longest = LONGEST_JUMP_S if self._world.mix.long else SHORT_JUMP_S
        self._world.jump(random.uniform(-longest, longest))

    async def _forge(self, random: Random, lasts: float) -> None:
        """Replies that nobody who was asked has sent: with another's token, another outcome, or no sense at all.

        As soon as a command goes out, if one does in so many seconds: whoever wants to be heard answers what is open.
        """
        network = self._world.network
        await network.command_sent(lasts)
        for _ in range(random.randint(1, 4)):
            message = _forged(random, network.commands[-_RECENT:], network.replies)
            if message is not None:
                self._world.recorder.published(message, "nemesis", forged=True)
                self._world.recorder.counts["forged replies"] += 1
                self._world.broker.store(message)


def _forged(random: Random, asked: Sequence[Message], answered: Sequence[Message]) -> Message | None:
    """One of several forgeries, None when there is nothing to forge yet."""
    token = "1." + random.randbytes(32).hex()
    kind = random.randrange(5)
    if kind >= _OF_COMMANDS and asked:
        open_perhaps, other = random.choice(asked), random.choice(answered or asked)
        if kind > _OF_COMMANDS and other.headers[KEY] != open_perhaps.headers[KEY]:
            # What the participant was asked at another time, it might pass off as the leave to answer this.
            token = other.headers[TOKEN]
        return _made_up(open_perhaps, token, random.choice(list(Outcome)))
    if not answered:
        return None
    one, other = random.choice(answered), random.choice(answered)
    match kind:
        case 0:
            # The right token, but under the name of another participant.
            *_, participant = one.subject.split(".")
            subject = one.subject.removesuffix(participant) + "mallory"
            return replace(one, subject=subject, message_id=None)
        case 1:
            return replace(one, headers={**one.headers, TOKEN: token}, body=b'{"result": NaN', message_id=None)
        case _:
            # The token of another command, where there is one.
            stolen = token if other.headers[KEY] == one.headers[KEY] else other.headers[TOKEN]
            return replace(one, headers={**one.headers, TOKEN: stolen}, message_id=None)


def _made_up(asked: Message, token: str, outcome: Outcome) -> Message | None:
    """An answer to a command that is open perhaps, by somebody who was not asked and has no token for it."""
    command = message_to_command(asked)
    if isinstance(command, Unreadable):
        return None
    reply = reply_to(replace(command, token=token), Answer(outcome, code="forged"), fenced=True)
    return replace(reply_to_message(reply), message_id=None)
