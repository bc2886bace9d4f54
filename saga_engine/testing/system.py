"""A system under test: sagas, participants that do what a test says, and time that passes when it is told to.

What a user's test is written with. Owns how such a system is made from definitions or from a whole project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine

from saga_engine import configuration
from saga_engine.bootstrap.definitions import load_project
from saga_engine.core.forward import EXPRESSION
from saga_engine.databases import MIGRATIONS
from saga_engine.definition.durations import EXPECTED, parse_duration
from saga_engine.definition.model import Call, Definition, Json
from saga_engine.handlers import load_participants
from saga_engine.participant.registry import MergedParticipant, Participant, merge
from saga_engine.projections.projection import Projection
from saga_engine.refusals import refusal
from saga_engine.testing.engine import Household, InMemoryEngine
from saga_engine.testing.handle import SagaHandle
from saga_engine.testing.projected import Projected
from saga_engine.testing.scripted import ScriptedParticipant
from saga_engine.testing.sources import Source, load
from saga_engine.testing.virtual_time import BEGIN, VirtualClock

_MOST_SAGAS: Final = 5


class SagaSystem:
    """The engine with these definitions, in memory and in virtual time. Use it in a `with`, or close it.

    `participants`: your own, with their handlers; every other participant that a definition names succeeds in whatever
    it is asked. Both do what `participant(...).on(...)` says first. `migrations`: the Alembic environment that makes
    the tables of your participants; `settings`: what their handlers see as `ctx.settings`, by participant. The same
    calls give the same events, with the same ids and times; another `seed` gives others.

    It runs an event loop of its own, so it is for tests that are a plain `def`.

    Raises ValueError for a definition that does not load.
    """

    def __init__(
        self,
        *definitions: Source,
        participants: Iterable[Participant] = (),
        migrations: Path | None = None,
        settings: Mapping[str, Mapping[str, Json]] | None = None,
        seed: int = 0,
    ) -> None:
        by_name: dict[str, dict[int, Definition]] = {}
        for definition in map(load, definitions):
            by_name.setdefault(definition.saga, {})[definition.version] = definition
        commands = _commands(by_name)
        own = merge(participants)
        self._projected: dict[type[Projection], Projected] = {}
        self._started: dict[UUID, SagaHandle] = {}
        self._engine = InMemoryEngine(
            by_name,
            lambda clock: _participants(commands, own, clock),
            Household(migrations, settings),
            seed,
        )

    @classmethod
    def of_project(cls, root: Path, *, handlers: bool = False, seed: int = 0) -> SagaSystem:
        """The system of a project: its definitions, and with `handlers` its handlers, tables and settings as well.

        Raises:
            UsageError: a definition, a handler or the configuration is wrong.
        """
        definitions = [file.definition for file in load_project(root)]
        if not handlers:
            return cls(*definitions, seed=seed)
        participants = load_participants(root)
        settings = configuration.load(root).settings
        migrations = root / MIGRATIONS
        return cls(
            *definitions,
            participants=participants,
            migrations=migrations if migrations.is_dir() else None,
            settings={one.name: settings.participant(one.name).settings for one in participants},
            seed=seed,
        )

    def participant(self, name: str) -> ScriptedParticipant:
        """The participant of that name, to say what it does and to see what it was asked.

        Raises ValueError when no definition names it.
        """
        try:
            return self._engine.participants[name]
        except KeyError:
            known = ", ".join(self._engine.participants)
            raise ValueError(f"no definition asks a participant named {name!r}; there are: {known}") from None

    def database(self, participant: str) -> Engine:
        """The database in memory that the handlers of a participant write in, to look into it between two calls.

        Raises ValueError for a participant without one: no definition names it, or its handlers are `async def`.
        """
        known = self._engine.databases
        if participant not in known:
            there = ", ".join(known) or "none"
            raise ValueError(f"no participant named {participant!r} has a database; those that have: {there}")
        return known[participant]

    def projected(self, projection: type[Projection]) -> Connection:
        """What a projection shows by now: a connection to its tables, in memory. It is taken back at the next call.

        Raises AssertionError when an event cannot be taken in.
        """
        if projection not in self._projected:
            self._projected[projection] = Projected(projection, self._engine.store)
        return self._projected[projection].look()

    def start(
        self,
        saga: str,
        input: Json = None,
        *,
        key: str | None = None,
        version: int | None = None,
        again: bool = False,
    ) -> SagaHandle:
        """Start a saga, and let everything happen that follows at once. The same key and input: the saga there is.

        Raises:
            SagaEngineError: it cannot be started; as for `saga start`.
        """
        outcome = self._engine.client.start(saga, {} if input is None else input, key=key, version=version, again=again)
        started = refusal(outcome)
        if isinstance(started, Exception):
            raise started
        self._engine.settle()
        return self._started.setdefault(started.saga_id, SagaHandle(self._engine, started.saga_id))

    def advance(self, duration: str) -> None:
        """Let time pass: `30d`, `90s`. What falls due meanwhile happens when it is due."""
        microseconds = parse_duration(duration)
        if microseconds is None:
            raise ValueError(f"{duration!r} is not {EXPECTED}")
        self._engine.advance(microseconds)

    @property
    def course(self) -> str:
        """What came of the sagas that were started last, and why: several lines, shown where a test fails."""
        latest = list(self._started.values())[-_MOST_SAGAS:]
        lines = [saga.course for saga in latest]
        failures = [saga.failure for saga in latest]
        if any(failure is not None and failure.code == EXPRESSION for failure in failures):
            lines += [_empty_results(each) for each in self._engine.participants.values() if each.unscripted]
        return "\n".join(lines)

    @property
    def time(self) -> float:
        """Seconds of virtual time since the system was made."""
        return (self._engine.clock.now() - BEGIN) / 1_000_000

    def close(self) -> None:
        """End it. May be repeated."""
        for projected in self._projected.values():
            projected.close()
        self._engine.close()

    def __enter__(self) -> SagaSystem:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def _empty_results(participant: ScriptedParticipant) -> str:
    """Which of its commands gave an empty result because nobody said another, and how to say one."""
    name, commands = participant.name, sorted(participant.unscripted)
    how = f'participant("{name}").on("{commands[0]}").succeeds({{...}}) gives one with fields'
    return f"unscripted, so with an empty result: {', '.join(f'{name}.{one}' for one in commands)}; {how}"


def _participants(
    commands: Mapping[str, set[str]], own: Mapping[str, MergedParticipant], clock: VirtualClock
) -> Iterator[ScriptedParticipant]:
    for name in sorted({*commands, *own}):
        yield ScriptedParticipant(name, commands.get(name, ()), own.get(name), clock.now)


def _commands(definitions: Mapping[str, Mapping[int, Definition]]) -> Mapping[str, set[str]]:
    """The commands that these definitions send, by participant."""
    found: dict[str, set[str]] = {}
    calls = (
        step.action
        for versions in definitions.values()
        for definition in versions.values()
        for step in definition.steps
        if isinstance(step.action, Call)
    )
    for call in calls:
        for target in (call, call.compensation):
            if target is not None:
                found.setdefault(target.participant, set()).add(target.command)
    return found
