"""Replies from the broker to the agenda: is it a reply, of the right saga, from whom it says, with our token?

Owns receiving and checking. Decides nothing: an input that passes may still turn out to be late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import field
from typing import Final, TypeAlias
from uuid import UUID

import structlog

from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.definition.values import MAX_PAYLOAD, canonical_json
from saga_engine.envelope import Message, Reply, partition_of
from saga_engine.errors import TransportUnavailableError
from saga_engine.immutable import dataclass, replace
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.keyring import Keyring
from saga_engine.orchestrator.tokens import TokenFault, Tokens
from saga_engine.ports.clock import Clock
from saga_engine.ports.transport import Delivery, Subscription, Transport
from saga_engine.tasks import end_tasks
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import MOST_CODE, MOST_WORDS, POISON, failed_instead, message_to_reply

TOO_LARGE: Final = "result_too_large"
"""The code that the SDK gives as well."""

_GROWTH: Final = 4
"""Times that JSON may grow when it is written as we write it: `1e15` becomes `1000000000000000.0`."""

_FLOOD_DELAY_S: Final = 1.0
_KEY_DELAY_S: Final = 1.0

_MOST_LOOKS: Final = 4
"""Deliveries of a reply whose key is unknown, after which it is dropped even if the keys could not be read anew.

A genuine one is not lost by that: the command is sent again, with a token of a key that is known.
"""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A genuine reply, as an input for its saga.

    `spoilt`: why it is no reply as it came, and goes to the dead letters as well; the saga sees a failed attempt.
    """

    saga_id: UUID
    input: ReplyReceived
    spoilt: str = ""


@dataclass(frozen=True, slots=True)
class Forged:
    """Not an answer to anything that this participant was asked. Counted and dropped."""

    participant: str
    why: TokenFault


Checked: TypeAlias = Accepted | Forged | Unreadable


@dataclass(frozen=True, slots=True)
class _Sorted:
    """What is not on the agenda.

    Once `dead` is published, `wrong` is done with and `spoilt` goes there; `flood` comes again later, and `unknown` is
    checked once more with the newest keys.
    """

    wrong: list[Delivery] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    spoilt: list[tuple[Accepted, Delivery]] = field(default_factory=list)
    flood: list[Delivery] = field(default_factory=list)
    unknown: list[tuple[Forged, Delivery]] = field(default_factory=list)


def check_reply(message: Message, tokens: Tokens, at: int) -> Checked:
    """Read and check one reply. `Unreadable` belongs to the dead letters, `Forged` is dropped."""
    reply, spoilt = _read(message)
    if isinstance(reply, Unreadable):
        return reply
    address = reply.address
    fault = tokens.fault(reply.token, address.key, reply.participant)
    if fault is not None:
        return Forged(reply.participant, fault)
    if reply.partition != partition_of(address.saga_id):
        return Unreadable(f"partition {reply.partition} is not the saga's")
    # Only now: whoever forges a reply is not to make us write its result.
    size = len(canonical_json(reply.result)) if len(message.body) * _GROWTH > MAX_PAYLOAD else 0
    if size > MAX_PAYLOAD:
        spoilt = f"the result has {size:,} bytes of JSON, at most {MAX_PAYLOAD:,} may be"
        reply = replace(reply, outcome=Outcome.FAILED, result=None, code=TOO_LARGE, message=spoilt)
    return Accepted(
        address.saga_id,
        ReplyReceived(
            at,
            address.step,
            address.item,
            address.direction,
            reply.attempt,
            reply.send,
            reply.outcome,
            reply.result,
            reply.code[:MOST_CODE],
            reply.message[:MOST_WORDS],
            reply.effect,
            reply.fenced,
        ),
        spoilt,
    )


def _read(message: Message) -> tuple[Reply | Unreadable, str]:
    """A reply, or what it is to its saga when it cannot be taken, and why that is. Left alone, its step would hang."""
    reply = message_to_reply(message)
    if isinstance(reply, Unreadable):
        instead = failed_instead(message, POISON, f"the reply cannot be read: {reply.reason}")
        return (reply, "") if isinstance(instead, Unreadable) else (instead, reply.reason)
    return reply, ""


class Intake:
    """Receives the replies of the partitions held, and puts the genuine ones on the agenda.

    Stops receiving while the agenda is full: what is not received stays with the broker.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: Tokens,
        clock: Clock,
        agenda: Agenda,
        counters: Counters,
        backlog: int,
        keyring: Keyring | None = None,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._clock = clock
        self._agenda = agenda
        self._counters = counters
        self._backlog = backlog
        self._keyring = keyring
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    async def listen(self, partitions: frozenset[int]) -> asyncio.Task[None] | None:
        """Receive from exactly these partitions from now on. The task that does, for whoever must know if it fails."""
        await self.close()
        if partitions:
            self._subscription = await self._transport.replies(sorted(partitions))
            self._task = asyncio.create_task(self._receive(self._subscription))
        return self._task

    async def pause(self) -> None:
        """Receive no more. What was received can still be settled, until `close`."""
        if self._task is not None:
            await end_tasks([self._task])

    async def close(self) -> None:
        if self._subscription is not None and self._task is not None:
            await self._subscription.close()
            await end_tasks([self._task])
        self._subscription = self._task = None

    async def done_with(self, deliveries: Sequence[Delivery]) -> None:
        """These are committed, or nothing follows from them."""
        if deliveries and self._subscription is not None:
            await self._subscription.ack(deliveries)

    async def put_back(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """These cannot be worked on now; they come again after `delay` seconds."""
        if deliveries and self._subscription is not None:
            await self._subscription.retry_later(deliveries, delay)

    async def beat(self, interval: float) -> None:
        """For ever, keep what waits or is worked on for longer than `interval` seconds from being delivered again.

        Nothing is told of what comes and goes between two looks, so that it costs nothing as long as we keep up.
        """
        seen: dict[int, Delivery] = {}
        while True:
            if not seen:
                await self._agenda.arrival()
            await self._clock.sleep(interval)
            here = {id(delivery): delivery for delivery in self._agenda.deliveries()}
            still = [delivery for known, delivery in here.items() if known in seen]
            if still and self._subscription is not None:
                await self._subscription.in_progress(still)
            seen = here

    async def _receive(self, subscription: Subscription) -> None:
        while True:
            await self._agenda.room(self._backlog)
            try:
                deliveries = await subscription.receive(self._backlog)
            except TransportUnavailableError:
                return
            self._counters.replies += len(deliveries)
            out, now = _Sorted(), self._clock.now()
            for delivery in deliveries:
                self._sort(delivery, out, now)
            await self._look_again(out, subscription)
            # What cannot be put with the dead letters comes again after its ack wait.
            if not out.dead or all(await self._transport.publish(out.dead)):
                for accepted, delivery in out.spoilt:
                    self._put(accepted, delivery, out)
                await subscription.ack(out.wrong)
            if out.flood:
                await subscription.retry_later(out.flood, _FLOOD_DELAY_S)

    def _sort(self, delivery: Delivery, out: _Sorted, now: int) -> None:
        """Put a good reply on the agenda, everything else where it belongs. `now`: when it came."""
        checked = check_reply(delivery.message, self._tokens, now)
        if isinstance(checked, Forged):
            if checked.why is TokenFault.UNKNOWN_KEY and self._keyring is not None:
                out.unknown.append((checked, delivery))
            else:
                self._drop(checked, delivery, out)
        elif isinstance(checked, Unreadable):
            self._bury(delivery, checked.reason, out)
            out.wrong.append(delivery)
        elif checked.spoilt:
            self._bury(delivery, checked.spoilt, out)
            out.spoilt.append((checked, delivery))
        else:
            self._put(checked, delivery, out)

    async def _look_again(self, out: _Sorted, subscription: Subscription) -> None:
        """Another orchestrator may have signed with a key that we do not know yet. Read anew, it is known or none."""
        if not out.unknown or self._keyring is None:
            return
        fresh, now = await self._keyring.refresh(), self._clock.now()
        later: list[Delivery] = []
        for forged, delivery in out.unknown:
            checked = check_reply(delivery.message, self._tokens, now)
            if not isinstance(checked, Forged):
                self._sort(delivery, out, now)
            elif fresh or delivery.deliveries >= _MOST_LOOKS:
                self._drop(forged, delivery, out)
            else:
                later.append(delivery)
        await subscription.retry_later(later, _KEY_DELAY_S)

    def _drop(self, forged: Forged, delivery: Delivery, out: _Sorted) -> None:
        self._counters.forged += 1
        self._counters.forgeries[forged.why] += 1
        count = self._counters.forgeries[forged.why]
        _warn_rarely("forged replies are dropped", count, participant=forged.participant, reason=forged.why.value)
        out.wrong.append(delivery)

    def _put(self, accepted: Accepted, delivery: Delivery, out: _Sorted) -> None:
        if not self._agenda.reply(accepted.saga_id, accepted.input, delivery):
            self._counters.flooded += 1
            saga_id = str(accepted.saga_id)
            _warn_rarely("too many replies to one saga; the rest must wait", self._counters.flooded, saga_id=saga_id)
            out.flood.append(delivery)

    def _bury(self, delivery: Delivery, reason: str, out: _Sorted) -> None:
        self._counters.unreadable += 1
        _warn_rarely(
            "replies that cannot be taken go to the dead letters",
            self._counters.unreadable,
            subject=delivery.message.subject,
            reason=reason,
        )
        out.dead.append(dead_letter("orchestrator", delivery.message, reason))


def _warn_rarely(what: str, count: int, **more: str) -> None:
    """Say it the first time, and whenever the count has doubled: whoever floods us must not flood the log."""
    if count.bit_count() == 1:
        _log.warning(what, count=count, **more)
