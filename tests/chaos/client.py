"""The load: starts sagas all along, repeats what it did not hear back of, signals and cancels a few.

`python -m tests.chaos.client PROJECT ...`, one process with a history file of its own. SIGTERM ends the load: no new
sagas, but every start is repeated until it is acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from saga_engine.audit.files import Writer
from saga_engine.audit.history import Kept, Section
from saga_engine.audit.records.clients import ClientAnswer, ClientAnswered, ClientCalled, ClientVerb
from saga_engine.bootstrap.clients import broker_url, ring
from saga_engine.bootstrap.clients import client as project_client
from saga_engine.configuration import load
from saga_engine.core.decider import Decided, Ignored
from saga_engine.core.inputs import Cancel, Input, Signal
from saga_engine.definition.inputs import input_hash
from saga_engine.definition.model import Json
from saga_engine.errors import NotFoundError, StoreUnavailableError
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import AlreadyStarted, KeyConflict, Started
from saga_engine.settings.settled import Settings
from tests.chaos.fleet import ACCOUNTS

WHO: Final = "chaos"
_TICK_S: Final = 0.1
_BATCH: Final = 20
_AGAIN_CHANCE: Final = 0.05
_CANCEL_CHANCE: Final = 0.02
_SIGNAL_CHANCE: Final = 0.8
_VERB_DELAY_S: Final = (0.0, 3.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A saga to start, the same however often it is asked for."""

    saga: str
    key: str
    input: Json


@dataclass(frozen=True, slots=True)
class Verb:
    """A signal or a cancel, due at a time, the same however often it is sent."""

    due: float
    saga_id: UUID
    signal_id: str | None


def wanted(chance: random.Random, number: int) -> Wanted:
    """The saga of that number: of which kind, and with what luck, is drawn."""
    key = f"s-{number}"
    saga = chance.choices(("place_order", "transfer", "fan_out", "approval"), (50, 25, 15, 10))[0]
    moods = [chance.choices(("fine", "refuse", "fail_once", "fail"), (70, 18, 8, 4))[0] for _ in range(2)]
    if saga == "place_order":
        return Wanted(saga, key, {"id": key, "mood": moods[0]})
    if saga == "transfer":
        account, wallet = (chance.randrange(ACCOUNTS) for _ in range(2))
        amount = chance.choice((1, 20, 500))
        seal = chance.choices(("fine", "refuse"), (90, 10))[0]
        places: dict[str, Json] = {"from": f"account-{account}", "to": f"wallet-{wallet}"}
        return Wanted(saga, key, {"id": key, **places, "amount": amount, "mood": moods[0], "seal": seal})
    if saga == "fan_out":
        skus: list[Json] = [f"sku-{n}" for n in range(chance.randint(1, 4))]
        return Wanted(saga, key, {"id": key, "skus": skus, "goods": moods[0], "money": moods[1]})
    return Wanted(saga, key, {"id": key})


class Load:
    """Starts `rate` sagas a second, on the whole: what an outage held up is caught up on."""

    def __init__(self, client: Client, settings: Settings, writer: Writer, seed: int, rate: float) -> None:
        self._client = client
        self._settings = settings
        self._writer = writer
        self._rate = rate
        self._sagas = random.Random(f"{seed}/sagas")
        self._chance = random.Random(f"{seed}/client")
        self._asked = 0
        self._calls = 0
        self._starts: deque[Wanted] = deque()
        self._verbs: list[Verb] = []
        self.told: Counter[str] = Counter()
        self.ending = False

    def run(self) -> None:
        """Until it is told to end and nothing is unanswered."""
        began = time.monotonic()
        while not (self.ending and not self._starts and not self._verbs):
            due = int((time.monotonic() - began) * self._rate)
            while not self.ending and self._asked < due:
                self._starts.append(wanted(self._sagas, self._asked))
                self._asked += 1
            self._start_some()
            self._act_on_some()
            time.sleep(_TICK_S)

    def _start_some(self) -> None:
        if not self._starts:
            return
        saga = self._starts[0].saga
        batch = [one for one in self._starts if one.saga == saga][:_BATCH]
        calls = [self._called(one) for one in batch]
        try:
            outcomes = self._client.start_many(saga, [one.input for one in batch])
        except StoreUnavailableError:
            for call in calls:
                self._answered(call, ClientAnswer.TROUBLE)
            return
        answered = {one.key for one in batch}
        self._starts = deque(one for one in self._starts if one.key not in answered)
        started: list[UUID] = []
        for one, call, outcome in zip(batch, calls, outcomes, strict=True):
            match outcome:
                case Started(saga_id):
                    self._answered(call, ClientAnswer.DONE, saga_id)
                    started.append(saga_id)
                    self._plan_verbs(one, saga_id)
                case AlreadyStarted(saga_id):
                    self._answered(call, ClientAnswer.EXISTING, saga_id)
                case KeyConflict():
                    self._answered(call, ClientAnswer.CONFLICT)
                case _:
                    self._answered(call, ClientAnswer.REFUSED)
            if self._chance.random() < _AGAIN_CHANCE:
                self._starts.append(one)
        self._ring(started)

    def _plan_verbs(self, one: Wanted, saga_id: UUID) -> None:
        due = time.monotonic() + self._chance.uniform(*_VERB_DELAY_S)
        if self._chance.random() < _CANCEL_CHANCE:
            self._verbs.append(Verb(due, saga_id, None))
        elif one.saga == "approval" and self._chance.random() < _SIGNAL_CHANCE:
            self._verbs.append(Verb(due, saga_id, f"approved-{one.key}"))

    def _act_on_some(self) -> None:
        now = time.monotonic()
        for verb in [verb for verb in self._verbs if verb.due <= now]:
            if self._act(verb):
                self._verbs.remove(verb)
                self._ring([verb.saga_id])

    def _act(self, verb: Verb) -> bool:
        """Whether an answer came."""
        kind = ClientVerb.CANCEL if verb.signal_id is None else ClientVerb.SIGNAL
        call = self._next_call()
        self._writer.write(ClientCalled(call, kind, _now(), saga_id=verb.saga_id, signal_id=verb.signal_id or ""))
        try:
            decision = self._client.act(verb.saga_id, lambda at: _input(verb, at))
        except StoreUnavailableError:
            self._answered(call, ClientAnswer.TROUBLE, verb.saga_id)
            return False
        except NotFoundError:
            # It was acknowledged: this is a loss, which the checkers are to see.
            self._answered(call, ClientAnswer.REFUSED, verb.saga_id)
            return True
        taken = isinstance(decision, Decided | Ignored)
        self._answered(call, ClientAnswer.DONE if taken else ClientAnswer.REFUSED, verb.saga_id)
        return True

    def _ring(self, saga_ids: Sequence[UUID]) -> None:
        if saga_ids and (url := broker_url(self._settings)) is not None:
            asyncio.run(ring(self._settings, url, *saga_ids))

    def _next_call(self) -> str:
        self._calls += 1
        return f"c-{self._calls}"

    def _called(self, one: Wanted) -> str:
        call = self._next_call()
        self._writer.write(
            ClientCalled(call, ClientVerb.START, _now(), saga=one.saga, key=one.key, input_hash=input_hash(one.input))
        )
        return call

    def _answered(self, call: str, answer: ClientAnswer, saga_id: UUID | None = None) -> None:
        self.told[answer] += 1
        self._writer.write(ClientAnswered(call, answer, _now(), saga_id=saga_id))


def _input(verb: Verb, at: int) -> Input:
    if verb.signal_id is None:
        return Cancel(at, WHO, "cancelled on purpose")
    return Signal(at, verb.signal_id, "Approved", {"mood": "fine"})


def _now() -> int:
    return time.time_ns() // 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The load of a chaos run.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="sagas a second")
    given = parser.parse_args(arguments)
    settings = load(given.project).settings
    client = project_client(settings, new=True)
    try:
        with Writer(given.history) as writer:
            writer.write(Kept((Section.CLIENTS,)))
            load_ = Load(client, settings, writer, given.seed, given.rate)

            def end(_number: int, _frame: object) -> None:
                load_.ending = True

            signal.signal(signal.SIGTERM, end)
            load_.run()
    finally:
        client.close()
    sys.stderr.write(f"{dict(load_.told)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
