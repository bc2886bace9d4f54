"""The demo's stage: real processes of this project, as `saga run` makes them, and the project's store.

Owns the children: they are started with this interpreter, log to a file, and do not outlive the demo.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from saga_engine.adapters.embedded.child import die_with_parent
from saga_engine.bootstrap.clients import broker_url, ring
from saga_engine.core.events import Direction
from saga_engine.core.timing import open_commands
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead
from saga_engine.errors import SagaEngineError, UnavailableError
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import AlreadyStarted, Started
from saga_engine.private import make_private_folder, open_private
from saga_engine.refusals import refusal
from saga_engine.settings.settled import Settings

READY: Final = "Running "
"""What `saga run` says on stderr once it is connected."""
_REST: Final = "orchestrator"
"""The child that runs the orchestrator and the workers that nobody kills."""
_START_S: Final = 40.0
_STOP_S: Final = 15.0


@dataclass(slots=True)
class ProcessStage:
    """Runs the demo's processes and starts its sagas. `command`: the words before `run` that every child needs.

    Each child writes to `<logs>/<its name>.log`.
    """

    settings: Settings
    client: Client
    command: Sequence[str]
    logs: Path
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    begun: dict[str, int] = field(default_factory=dict)
    """By child, how long its log was when it was started: what stands before was said by the one it follows."""

    def open(self, participants: Sequence[str], alone: str | None) -> None:
        """Start the orchestrator with all workers but `alone`, which gets a process of its own to be killed in.

        Raises `SagaEngineError` when one of them ends, `UnavailableError` when one is not ready in time.
        """
        workers = [word for name in participants if name != alone for word in ("--worker", name)]
        # One after the other: the first to come owns the embedded server, and that must not be the one that is killed.
        self._spawn(_REST, ["--orchestrator", *workers])
        self._await_ready(_REST)
        if alone is not None:
            self.bring_back(alone)
            self._await_ready(alone)

    def start(self, saga: str, saga_input: Json) -> tuple[UUID, str]:
        outcome = refusal(self.client.start(saga, saga_input))
        if not isinstance(outcome, Started | AlreadyStarted):
            raise outcome
        url = broker_url(self.settings)
        if url is not None:
            asyncio.run(ring(self.settings, url, outcome.saga_id))
        return outcome.saga_id, outcome.key

    def look(self, saga_id: UUID) -> StreamHead:
        return self.client.status(saga_id)

    def at_work(self, participant: str, saga_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        return {
            saga_id: out.place
            for saga_id, state in self.client.states(saga_ids).items()
            for out in open_commands(self.client.plan(state.definition_hash), state)
            if out.direction is Direction.FORWARD
            if out.node.call is not None and out.node.call.participant == participant
        }

    def kill(self, participant: str) -> None:
        child = self.children.pop(participant)
        child.kill()
        child.wait()

    def bring_back(self, participant: str) -> None:
        self._spawn(participant, ["--worker", participant])

    def works(self, participant: str) -> bool:
        return READY in self._said(participant)

    def check(self) -> None:
        for name, child in self.children.items():
            if (code := child.poll()) is not None:
                words = self._said(name).strip().splitlines()
                last = words[-1].removeprefix("Error: ") if words else "it said nothing"
                raise SagaEngineError(f"the {name} process of the demo ended with exit code {code}: {last}")

    def close(self) -> None:
        """Ask all children to finish, and kill what has not within a bound."""
        for child in self.children.values():
            child.terminate()
        until = time.monotonic() + _STOP_S
        for child in self.children.values():
            try:
                child.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        with open(self._log(name), "ab", opener=open_private) as log:
            self.begun[name] = log.tell()
            # A session of its own: Ctrl-C is for the demo, which then ends them in order.
            self.children[name] = subprocess.Popen(
                [sys.executable, "-m", "saga_engine", *self.command, "run", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    def _await_ready(self, name: str) -> None:
        until = time.monotonic() + _START_S
        while not self.works(name):
            self.check()
            if time.monotonic() > until:
                raise UnavailableError(
                    f"the {name} process was not ready after {_START_S:.0f} s: see {self._log(name)}"
                )
            time.sleep(0.05)

    def _said(self, name: str) -> str:
        """What the child that runs under this name has logged so far."""
        return self._log(name).read_bytes()[self.begun[name] :].decode("utf-8", "replace")

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


@contextmanager
def process_stage(settings: Settings, client: Client, command: Sequence[str], logs: Path) -> Iterator[ProcessStage]:
    """A stage whose children are gone when the block ends. `logs`: the folder of what they write, emptied first."""
    make_private_folder(logs)
    for old in logs.glob("*.log"):
        old.unlink()
    stage = ProcessStage(settings, client, command, logs)
    try:
        yield stage
    finally:
        stage.close()
