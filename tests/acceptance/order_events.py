"""What a service on `ORDERS.*` sees of orders while their orchestrator is killed again and again: `make events`.

Owns the run: real processes, a stream made by somebody else, a consumer that knows JetStream and nothing of sagas.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nats
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.orchestrator.starting import Started
from tests.acceptance.projects import REPOSITORY, Project
from tests.nats_fixtures import NatsServer

STREAM: Final = "ORDERS"
SUBJECTS: Final = "ORDERS.*"

APPROVED: Final = ("created", "paymentdebited", "approved")
DECLINED: Final = ("created", "rejected")
REFUSED: Final = ("created", "paymentdebited", "paymentrefunded", "rejected")
_AMOUNTS: Final = {APPROVED: 4_200, DECLINED: 1_500_000, REFUSED: 700_000}
"""What the card is charged, what is above its limit, and what is above the review's only."""
_COURSES: Final = (APPROVED, APPROVED, DECLINED, APPROVED, REFUSED)

_ORCHESTRATOR: Final = "--orchestrator"
_OTHERS: Final = ("--worker", "order", "--worker", "review")
_PAYMENT: Final = ("--worker", "payment")

_PATIENCE_S: Final = 120.0
_CHANCE: Final = 20261123


@dataclass(frozen=True, slots=True)
class Seen:
    """What the consumer saw.

    `courses`: the last words of the subjects by order, in order of arrival, repeated ids dropped. `messages`: how many
    there are on the stream. `under_way`: kills with sagas that had not ended.
    """

    courses: Mapping[str, Sequence[str]]
    expected: Mapping[str, Sequence[str]]
    messages: int
    repeated: int
    kills: int
    under_way: int
    seconds: float

    @property
    def wrong(self) -> Sequence[str]:
        """The orders that were not seen as they should have been."""
        return [order for order in {**self.expected, **self.courses} if self._seen(order) != self._wanted(order)]

    def _seen(self, order: str) -> Sequence[str]:
        return tuple(self.courses.get(order, ()))

    def _wanted(self, order: str) -> Sequence[str]:
        return tuple(self.expected.get(order, ()))


class Shop:
    """A service that follows orders on JetStream. It keeps which ids it has seen, and needs nothing else."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._news = asyncio.Event()
        self.courses: dict[str, list[str]] = {}
        self.repeated = 0

    @property
    def events(self) -> int:
        """Different ones so far."""
        return len(self._ids)

    async def take(self, message: Msg) -> None:
        """Take one event, unless it was taken before."""
        headers = message.headers or {}
        if headers["Nats-Msg-Id"] in self._ids:
            self.repeated += 1
        else:
            self._ids.add(headers["Nats-Msg-Id"])
            self.courses.setdefault(headers["ce-subject"], []).append(message.subject.removeprefix("ORDERS."))
        await message.ack()
        self._news.set()

    async def until(self, events: int) -> None:
        """Wait until there were so many different events. TimeoutError when they do not come."""
        async with asyncio.timeout(_PATIENCE_S):
            while self.events < events:
                self._news.clear()
                await self._news.wait()


def course(number: int) -> tuple[str, ...]:
    """What happens to an order."""
    return _COURSES[number % len(_COURSES)]


def order_id(number: int) -> str:
    return f"o-{number:06d}"


async def follow(project: Project, url: str, orders: int, kills: int) -> Seen:
    """Place so many orders, a share before each kill, and tell what a service on `ORDERS.*` has seen at the end."""
    client = await nats.connect(url)
    try:
        jetstream, shop = client.jetstream(), Shop()
        await jetstream.add_stream(name=STREAM, subjects=[SUBJECTS])
        await jetstream.subscribe(SUBJECTS, stream=STREAM, durable="shop", manual_ack=True, cb=shop.take)
        begun = time.monotonic()
        project.begin(*_OTHERS)
        under_way = await _kill_again_and_again(project, shop, orders, kills)
        last = project.begin(_ORCHESTRATOR)
        expected = {order_id(number): course(number) for number in range(orders)}
        await shop.until(sum(len(one) for one in expected.values()))
        await asyncio.to_thread(project.wait_for_all, _PATIENCE_S)
        seconds = time.monotonic() - begun
        assert await asyncio.to_thread(last.stop) == 0
        await _all_taken(jetstream)
        messages = (await jetstream.stream_info(STREAM)).state.messages
        return Seen(shop.courses, expected, messages, shop.repeated, kills, under_way, seconds)
    finally:
        await client.close()


async def _kill_again_and_again(project: Project, shop: Shop, orders: int, kills: int) -> int:
    """Start the orders, a share each time, and kill their orchestrator in the middle; how often it was."""
    chance, under_way = random.Random(_CHANCE), 0
    for round_ in range(kills):
        numbers = range(orders * round_ // kills, orders * (round_ + 1) // kills)
        await asyncio.to_thread(_place, project, numbers)
        orchestrator = project.begin(_ORCHESTRATOR)
        # Nobody takes a payment before the first kill, so that this one surely finds sagas under way.
        to_come = sum(len(course(number)) if round_ else 1 for number in numbers)
        await shop.until(shop.events + max(1, int(to_come * chance.uniform(0.05, 0.8))))
        orchestrator.kill()
        under_way += await asyncio.to_thread(_open, project)
        if not round_:
            project.begin(*_PAYMENT)
    return under_way


def _place(project: Project, numbers: Sequence[int]) -> None:
    inputs: list[Json] = [
        {"order_id": order_id(number), "customer_id": f"c-{number % 10}", "amount": _AMOUNTS[course(number)]}
        for number in numbers
    ]
    with project.client() as client:
        outcomes = client.start_many("place_order", inputs)
    assert all(isinstance(outcome, Started) for outcome in outcomes), outcomes


def _open(project: Project) -> bool:
    """Whether there are sagas that have not ended."""
    with project.client() as client:
        return any(count and not Status(status).ended for (_, status), count in client.counts().items())


async def _all_taken(jetstream: JetStreamContext) -> None:
    """Wait until the shop has taken what there is, also of what may have come twice."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            info = await jetstream.consumer_info(STREAM, "shop")
            if not info.num_pending and not info.num_ack_pending:
                return
            await asyncio.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(prog="events", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000, help="how many are placed (default: 1000)")
    parser.add_argument("--kills", type=int, default=10, help="how often the orchestrator is killed (default: 10)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="events-") as folder:
        server = NatsServer(Path(folder))
        project = Project(Path(folder) / "project", REPOSITORY, SAGA_NATS__URL=server.url)
        try:
            server.start()
            seen = asyncio.run(follow(project, server.url, arguments.orders, arguments.kills))
        finally:
            project.close()
            server.kill()
    sys.stdout.write(f"{report(seen)}\n")
    return 1 if seen.wrong or seen.under_way < seen.kills // 2 else 0


def report(seen: Seen) -> str:
    """One line of figures."""
    ends = Counter(course[-1] for course in seen.courses.values())
    figures = {
        "orders": len(seen.expected),
        "approved": ends["approved"],
        "rejected": ends["rejected"],
        "events": sum(len(course) for course in seen.courses.values()),
        "messages": seen.messages,
        "repeated": seen.repeated,
        "wrong": len(seen.wrong),
        "kills": seen.kills,
        "under_way": seen.under_way,
        "seconds": round(seen.seconds),
    }
    return " ".join(f"{name}={figure}" for name, figure in figures.items())


if __name__ == "__main__":
    sys.exit(main())
