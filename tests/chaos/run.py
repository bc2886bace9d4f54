"""A chaos run from its beginning to its end: load and faults, healing, rest, evidence.

Owns the order of these. What was found is `verdict`'s to judge.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import psycopg

from saga_engine.audit.files import Writer, read
from saga_engine.audit.history import Kept, Record, Section
from saga_engine.audit.records.surroundings import Fault, ProcessChange, ProcessChanged
from saga_engine.core.state import Status
from tests.chaos.evidence import waiting_messages, write_evidence
from tests.chaos.faults import Act, Faults, Pace
from tests.chaos.fleet import ENGINE, Fleet, Member
from tests.chaos.measures import Life, Progress, Sample, first_commits, progress, sample, silences
from tests.chaos.nemesis import Done, Nemesis

PROGRESS_EVERY_S: Final = 10.0
_LOOK_S: Final = 0.25
_SAMPLE_EVERY_S: Final = 5.0
_READY_TIMEOUT_S: Final = 180.0
_ENDED: Final = tuple(status.value for status in Status if status.ended)


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run. Times in seconds. `rate`: sagas a second. `patience`: how long the sagas may take once all is well.

    `between`: from one fault to the next, on average.
    """

    folder: Path
    seconds: float
    seed: int
    rate: float
    deck: Mapping[Act, int]
    pace: Pace
    between: float
    patience: float


@dataclass(slots=True)
class Outcome:
    """What came of a run: its history files, what was done to it, what was measured, and what went wrong outright.

    `felt`: see `Faults`.
    """

    done: Done
    histories: list[Path]
    felt: Counter[str] = field(default_factory=Counter)
    progress: Progress | None = None
    samples: list[Sample] = field(default_factory=list)
    healed_after: float | None = None
    troubles: list[str] = field(default_factory=list)


class Run:
    """One run. Single-threaded: it forks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._faults: list[Fault] = []
        self._lives: list[Life] = []
        self._history = settings.folder / "harness.jsonl"
        self._client_history = settings.folder / "client.jsonl"
        self._writer = Writer(self._history)
        self._writer.write(Kept((Section.FAULTS, Section.PROCESSES)))
        self._fleet = Fleet(settings.folder, self._report)
        faults = Faults(self._fleet, self._report, settings.seed, settings.pace)
        self._nemesis = Nemesis(faults, settings.seed, settings.deck, settings.between)
        self._outcome = Outcome(self._nemesis.done, [self._history], faults.felt)
        self._began = time.monotonic()
        self._phase = "starting"

    async def run(self) -> Outcome:
        """Run it. Whatever it started is ended when this returns or raises."""
        watching: list[asyncio.Task[None]] = []
        try:
            await self._fleet.open()
            await self._ready()
            self._lives.clear()  # those that began without anything to do
            client = await self._start_client()
            await self._first_saga()
            watching = [asyncio.create_task(each()) for each in (self._tell, self._sample, self._bury_the_dead)]
            self._phase = "faults"
            await self._nemesis.run(self._settings.seconds)
            self._phase = "healed"
            await self._come_to_rest(client)
            await self._stop_all()
            await self._collect()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await self._fleet.close()
            self._writer.close()
        return self._outcome

    def _report(self, record: Record) -> None:
        self._writer.write(record)
        if isinstance(record, Fault):
            self._faults.append(record)
        if isinstance(record, ProcessChanged):
            self._note_life(record)

    def _note_life(self, changed: ProcessChanged) -> None:
        member = self._fleet.members.get(changed.process)
        if member is None or member not in self._fleet.orchestrators:
            return
        at = changed.at / 1e6
        if changed.change is ProcessChange.STARTED:
            self._lives.append(Life(member.name, member.application, at, None))
        elif changed.change in (ProcessChange.KILLED, ProcessChange.DIED, ProcessChange.STOPPED):
            self._lives = [
                replace(life, ended=at) if life.member == member.name and life.ended is None else life
                for life in self._lives
            ]

    async def _ready(self) -> None:
        """Wait until every member says that it works."""
        logs = {member.process.program.log for member in self._fleet.members.values()}
        await _eventually(
            lambda: all("Running" in log.read_text(encoding="utf-8") for log in logs), _READY_TIMEOUT_S, "the fleet"
        )

    async def _start_client(self) -> Member:
        self._outcome.histories.append(self._client_history)
        return await self._fleet.start_client(
            (
                "--history",
                str(self._client_history),
                "--seed",
                str(self._settings.seed),
                "--rate",
                str(self._settings.rate),
            )
        )

    async def _first_saga(self) -> None:
        """Wait until the load has begun."""
        history = self._client_history
        await _eventually(
            lambda: history.exists() and b"ClientAnswered" in history.read_bytes(), _READY_TIMEOUT_S, "the first saga"
        )

    async def _come_to_rest(self, client: Member) -> None:
        """All is well from here on: the load ends, and every saga must end in time."""
        healed = time.monotonic()
        until = healed + self._settings.patience
        if await client.process.stop(self._settings.patience) != 0:
            self._trouble(f"the client did not get all its starts acknowledged within {self._settings.patience:.0f} s")
        rest = asyncio.create_task(self._rest())
        await asyncio.wait({rest}, timeout=max(0.0, until - time.monotonic()))
        if not rest.done():
            rest.cancel()
            open_ = await self._open_sagas()
            self._trouble(
                f"{open_} sagas had not ended or published all {self._settings.patience:.0f} s after the last fault"
            )
        else:
            self._outcome.healed_after = time.monotonic() - healed

    async def _rest(self) -> None:
        """Until all sagas have ended and published all, and the work queues are empty."""
        # Neither the database nor the broker tells when it is at rest.
        while await self._open_sagas() != 0:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        while any((await waiting_messages(self._fleet)).values()):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)

    async def _open_sagas(self) -> int | None:
        """How many sagas have not ended, or have not published all; None when the database does not say."""
        counts = await self._ask(
            "SELECT count(*) FROM saga_streams WHERE NOT status = ANY(%s) OR published < version", [list(_ENDED)]
        )
        return None if counts is None else int(str(counts[0][0]))

    async def _ask(self, query: str, parameters: list[object]) -> list[tuple[object, ...]] | None:
        try:
            async with asyncio.timeout(PROGRESS_EVERY_S):
                url = self._fleet.postgres.url(ENGINE)
                async with await psycopg.AsyncConnection.connect(url, connect_timeout=2) as connection:
                    return await (await connection.execute(query, parameters)).fetchall()
        except (psycopg.Error, TimeoutError):
            return None

    async def _stop_all(self) -> None:
        """SIGTERM for every member, all at once: each must end by itself, cleanly."""
        members = list(self._fleet.members.values())
        codes = await asyncio.gather(*(member.process.stop() for member in members))
        for member, code in zip(members, codes, strict=True):
            if code != 0:
                self._trouble(f"{member.name} ended with {code} on SIGTERM")

    async def _collect(self) -> None:
        path = self._settings.folder / "stores.jsonl"
        await write_evidence(self._fleet, path)
        self._outcome.histories.append(path)
        silent = silences(read(self._client_history))
        self._outcome.progress = progress(self._lives, self._faults, first_commits(self._fleet), silent)

    async def _bury_the_dead(self) -> None:
        """A process that ends by itself is a defect: it is told, and another takes its place."""
        while True:
            for member in self._fleet.members.values():
                if self._phase == "faults" and member.process.died:
                    code = member.process.bury()
                    self._trouble(f"{member.name} ended by itself with {code}")
                    member.start()
            await asyncio.sleep(_LOOK_S)

    async def _sample(self) -> None:
        while True:
            self._outcome.samples += sample(self._fleet.processes)
            await asyncio.sleep(_SAMPLE_EVERY_S)

    async def _tell(self) -> None:
        """A line of progress every ten seconds."""
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            rows = await self._ask("SELECT status, count(*) FROM saga_streams GROUP BY status ORDER BY status", [])
            sagas = "database away" if rows is None else " ".join(f"{status}={count}" for status, count in rows)
            done = self._nemesis.done
            faults = sum(done.acts.values())
            seconds = time.monotonic() - self._began
            sys.stderr.write(f"{seconds:5.0f} s {self._phase}: faults={faults} kills={done.kills} {sagas}\n")
            sys.stderr.flush()

    def _trouble(self, what: str) -> None:
        self._outcome.troubles.append(what)
        sys.stderr.write(f"trouble: {what}\n")


async def _eventually(reached: Callable[[], bool], timeout: float, what: str) -> None:
    until = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < until, f"waited {timeout:.0f} s for {what}"
        await asyncio.sleep(_LOOK_S)
