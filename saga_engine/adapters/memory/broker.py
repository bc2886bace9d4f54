"""A message broker in memory, as unkind as JetStream: ack wait, redelivery, delays, duplicate window, outage, amnesia.

Owns what is stored and when it may be delivered. All times are seconds of the event loop's clock, which may be virtual.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from saga_engine.envelope import Message
from saga_engine.ports.transport import Delivery
from saga_engine.wire.sizes import sent_size

ACK_WAIT: Final = 5.0
DUPLICATE_WINDOW: Final = 120.0
MAX_PAYLOAD: Final = 1_048_576
CHECK_INTERVAL: Final = 3.0
"""The defaults of the NATS adapter and server."""

_MICROSECOND: Final = 0.000_001
"""Times are sums of floats: a timer may go off so much before what it was set for."""


@dataclass(eq=False, slots=True)
class _Stored:
    """A message in a queue. `due`: when it may be delivered (again); None while it waits in line."""

    message: Message
    deliveries: int = 0
    due: float | None = None


@dataclass(eq=False, slots=True)
class _Queue:
    """What one durable consumer has before it: new messages in order, and those that were delivered or put back."""

    line: deque[int] = field(default_factory=deque)
    later: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a broker had stored at one time. Opaque: for `MemoryBroker.roll_back`."""

    stored: Mapping[int, _Stored]
    queues: Mapping[str, _Queue]
    ids: Mapping[str, float]
    events: Sequence[Message]
    dead: Sequence[Message]


class MemoryBroker:
    """The server that several `MemoryTransport`s of one event loop talk to."""

    def __init__(
        self,
        *,
        ack_wait: float = ACK_WAIT,
        duplicate_window: float = DUPLICATE_WINDOW,
        max_payload: int = MAX_PAYLOAD,
        check_interval: float = CHECK_INTERVAL,
    ) -> None:
        self.ack_wait = ack_wait
        self.events: list[Message] = []
        self.letters: dict[int, tuple[float, Message]] = {}
        self.up = asyncio.Event()
        self.up.set()
        self._duplicate_window = duplicate_window
        self._max_payload = max_payload
        self._check_interval = check_interval
        self._stored: dict[int, _Stored] = {}
        self._queues: dict[str, _Queue] = {}
        self._ids: dict[str, float] = {}
        self._sequence = 0
        self._letter = 0
        self._wipes: list[float] = []
        # Not a set: who waits must be woken in the same order on every run.
        self._watchers: dict[Callable[[], None], frozenset[str]] = {}
        self._ringing: list[Callable[[int], None]] = []

    def stop(self) -> None:
        """Be unreachable from now on; what is stored stays."""
        self.up.clear()

    def start(self) -> None:
        """Be reachable again. Like a restarted server, it knows the ids of the messages that it still has only."""
        kept = {stored.message.message_id for stored in self._stored.values()}
        kept.update(message.message_id for message in (*self.events, *self.dead))
        self._ids = {name: at for name, at in self._ids.items() if name in kept}
        self.up.set()
        self._notify()

    def wipe(self) -> None:
        """Forget everything."""
        self._stored.clear()
        self._queues.clear()
        self._ids.clear()
        self.events.clear()
        self.letters.clear()
        self._wipes.append(_now())

    def remember(self) -> Memory:
        """What it has stored now, as a copy of its files would hold it."""
        stored = {number: replace(message) for number, message in self._stored.items()}
        queues = {name: _Queue(deque(queue.line), list(queue.later)) for name, queue in self._queues.items()}
        return Memory(stored, queues, dict(self._ids), tuple(self.events), tuple(self.dead))

    def roll_back(self, memory: Memory, *, noticed: bool = True) -> None:
        """Come back with an older store: what was stored since is gone, what was done with since comes again.

        `noticed`: transports find out, as from a stream that ends before what was acknowledged. They do not when as
        much was stored again before they look.
        """
        self._stored = {number: replace(message) for number, message in memory.stored.items()}
        self._queues = {name: _Queue(deque(queue.line), list(queue.later)) for name, queue in memory.queues.items()}
        self._ids = dict(memory.ids)
        self.events[:] = memory.events
        self.dead[:] = memory.dead
        if noticed:
            self._wipes.append(_now())
        self._notify()

    def wipes_noticed(self) -> int:
        """How many wipes a transport has found out about by now: it looks every few seconds."""
        return sum(at + self._check_interval <= _now() for at in self._wipes)

    @property
    def dead(self) -> list[Message]:
        """The dead letters, oldest first; `letters` has them by sequence, with the time of each."""
        return [message for _, message in self.letters.values()]

    @property
    def unsettled(self) -> int:
        """How many commands and replies are not done with: in line, out, or put back."""
        return len(self._stored)

    def store(self, message: Message) -> bool:
        """Keep a message; True when it is kept or was already, False when it is refused."""
        if sent_size(message.headers, message.body) > self._max_payload or any(
            "\n" in name.strip() for name in message.headers
        ):
            return False
        if message.message_id is not None:
            now = _now()
            if now - self._ids.get(message.message_id, float("-inf")) < self._duplicate_window:
                return True
            self._ids[message.message_id] = now
        queue = queue_of(message.subject)
        if queue is not None:
            self._sequence += 1
            self._stored[self._sequence] = _Stored(message)
            self._queue(queue).line.append(self._sequence)
            self._notify(queue)
        elif message.subject.startswith("saga.dead."):
            self._letter += 1
            self.letters[self._letter] = (_now(), message)
        else:
            self.events.append(message)
        return True

    def deliver(self, queue: str, limit: int) -> list[Delivery]:
        """Hand out what is due: first what comes again, then what is new."""
        waiting = self._queue(queue)
        now = _now()
        taken: list[int] = []
        while waiting.later and waiting.later[0][0] <= now + _MICROSECOND and len(taken) < limit:
            due, sequence = heapq.heappop(waiting.later)
            stored = self._stored.get(sequence)
            if stored is not None and stored.due == due:
                taken.append(sequence)
        while waiting.line and len(taken) < limit:
            sequence = waiting.line.popleft()
            # After a roll-back, what waits in line anew may be acknowledged by who had it before.
            if sequence in self._stored:
                taken.append(sequence)
        return [self._hand_out(waiting, sequence, now) for sequence in taken]

    def next_due(self, queues: Iterable[str]) -> float | None:
        """When the first of what was delivered or put back comes again."""
        return min((q.later[0][0] for name in queues if (q := self._queue(name)).later), default=None)

    def remove(self, sequence: int) -> None:
        """A message is done with."""
        self._stored.pop(sequence, None)

    def postpone(self, sequence: int, delay: float) -> None:
        """Deliver a message that is out again after `delay` seconds, unless it is done with by then."""
        stored = self._stored.get(sequence)
        if stored is None or stored.due is None:
            return
        queue = queue_of(stored.message.subject)
        if queue is not None:
            stored.due = _now() + delay
            heapq.heappush(self._queue(queue).later, (stored.due, sequence))
            self._notify(queue)

    def watch(self, changed: Callable[[], None], queues: Iterable[str]) -> Callable[[], None]:
        """Call this whenever something may have become deliverable in these queues; the result ends that."""
        self._watchers[changed] = frozenset(queues)

        def end() -> None:
            self._watchers.pop(changed, None)

        return end

    def ring(self, partition: int) -> None:
        """Call all listeners, from the event loop."""
        for ringing in self._ringing:
            asyncio.get_running_loop().call_soon(ringing, partition)

    def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], None]:
        """Listen; the result ends that."""
        self._ringing.append(ringing)
        return lambda: self._ringing.remove(ringing) if ringing in self._ringing else None

    def _hand_out(self, queue: _Queue, sequence: int, now: float) -> Delivery:
        stored = self._stored[sequence]
        stored.deliveries += 1
        stored.due = now + self.ack_wait
        heapq.heappush(queue.later, (stored.due, sequence))
        return Delivery(stored.message, stored.deliveries, sequence)

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue()
        return queue

    def _notify(self, queue: str | None = None) -> None:
        """Tell who watches this queue; None: everybody."""
        for changed, queues in tuple(self._watchers.items()):
            if queue is None or queue in queues:
                changed()


def queue_of(subject: str) -> str | None:
    """The durable consumer that takes a subject; None for a log."""
    tokens = subject.split(".")
    return ".".join(tokens[:3]) if tokens[:2] in (["saga", "command"], ["saga", "reply"]) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
