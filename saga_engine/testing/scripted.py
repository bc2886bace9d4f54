"""A participant that does what a test says: its handlers, before which a script comes, and what it was asked.

Owns which script a command obeys. Knows no transport; how silence is kept is `silence`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from pydantic import TypeAdapter

from saga_engine.definition.model import Json
from saga_engine.definition.problems import nearest
from saga_engine.envelope import Command
from saga_engine.participant.context import Context, Rejected
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.results import ResultRefusedError
from saga_engine.participant.signature import Handler
from saga_engine.testing.script import Fails, Outcome, Rejects, Script, Scripted, Silence, Succeeds


@dataclass(frozen=True, slots=True)
class Done:
    """A command that took effect."""

    command: str
    payload: Json


class ScriptedParticipant:
    """One participant of the system under test. `handlers`: its own ones; else whatever it is asked succeeds with `{}`.

    `received`: the commands that reached it, repeated sends too. `done`: those that took effect, in order.
    `unscripted`: the commands that succeeded with `{}`, as neither a script nor a handler said anything.
    """

    def __init__(
        self, name: str, commands: Iterable[str], own: MergedParticipant | None, now: Callable[[], int]
    ) -> None:
        self.name = name
        self.received: list[Command] = []
        self.done: list[Done] = []
        self.unscripted: set[str] = set()
        self._now = now
        self._own = {} if own is None else own.handlers
        self._commands = sorted(commands if own is None else own.handlers)
        self._scripts: list[Scripted] = []

    def on(self, command: str | None = None, where: Mapping[str, Json] | None = None) -> Script:
        """A new script for a command (None: for all), or for those whose payload has the values of `where`.

        Of several that concern a command the newest is obeyed. Raises ValueError for a command that nobody sends.
        """
        if command is not None and command not in self._commands:
            hint = " ".join(filter(None, (nearest(command, self._commands), f"it has: {', '.join(self._commands)}")))
            raise ValueError(f"{self.name} has no command {command!r}; {hint}")
        script = Script(self._now)
        self._scripts.insert(0, Scripted(command, where or {}, script))
        return script

    def silence(self, command: str, payload: Json) -> Silence | None:
        """Whether it is silent about this command now."""
        script = self._script(command, payload)
        return None if script is None else script.silence()

    def handlers(self) -> MergedParticipant:
        """Its handlers as a worker needs them."""
        return MergedParticipant(self.name, {command: self._handler(command) for command in self._commands})

    def _script(self, command: str, payload: Json) -> Script | None:
        return next((each.script for each in self._scripts if each.concerns(command, payload)), None)

    def _handler(self, command: str) -> Handler:
        own = self._own.get(command)
        fenced = own is None or own.fenced

        def answer(ctx: Context, payload: Json) -> object:
            script = self._script(command, payload)
            outcome = None if script is None else script.outcome()
            if outcome is not None:
                return _answer(outcome)
            if own is not None:
                return own.call(ctx, payload)
            self.unscripted.add(command)
            return {}

        def run(ctx: Context, payload: Json) -> object:
            result = answer(ctx, payload)
            self.done.append(Done(command, payload))
            return result

        async def run_async(ctx: Context, payload: Json) -> object:
            result = answer(ctx, payload)
            if inspect.isawaitable(result):
                result = await result
            self.done.append(Done(command, payload))
            return result

        return Handler(
            command=command,
            function=run if fenced else run_async,
            fenced=fenced,
            input=TypeAdapter(object),
            output=None if own is None else own.output,
            place="<script>" if own is None else own.place,
        )


def _answer(outcome: Outcome) -> Json:
    match outcome:
        case Succeeds(result):
            return result
        case Rejects(code, message):
            raise Rejected(code, message)
        case Fails(code, message):
            # What the SDK makes a `failed` reply of, with exactly this code.
            raise ResultRefusedError(code, message or "the script says so")
    assert_never(outcome)
