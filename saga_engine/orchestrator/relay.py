"""From what was committed to messages, and out: commands with their tokens and deadlines, domain events.

Sends only what a transaction returned. Knows no SQL; what the broker did not acknowledge is somebody else's to repeat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from saga_engine.core.events import Direction
from saga_engine.core.outgoing import PublishEvent, SendCommand
from saga_engine.core.plan import Plan
from saga_engine.core.state import Progress, SagaState, StepState, address, split
from saga_engine.core.timing import OpenCommand, must_succeed
from saga_engine.definition.model import Json
from saga_engine.envelope import Address, Command, DomainEvent, Message, partition_of
from saga_engine.immutable import replace
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.turns import Turned
from saga_engine.ports.transport import Transport
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.events import event_to_message

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from saga_engine.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending.

    `complete`: sagas all of whose messages were acknowledged, and up to which version; `failed`: the others. `commands`
    counts first sends, `again` repeated ones.
    """

    complete: Sequence[tuple[UUID, int]]
    failed: Sequence[UUID]
    commands: int
    again: int


class Relay:
    """Sends what turns led to, in the order of each stream. `tracing` None: no spans are made of it."""

    def __init__(
        self, transport: Transport, tokens: Tokens, now: Callable[[], int], tracing: Tracing | None = None
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._now = now
        self._tracing = tracing

    async def send(self, turned: Sequence[Turned]) -> Sent:
        """Send everything unsent, and ask again where that is due. Never raises for an unreachable broker.

        A turn whose messages cannot be made has `trouble` from then on, and is neither complete nor failed.

        Of one saga at most one domain event is under way at a time, so that subscribers first see them in order: a
        second one waits for the acknowledgement of the first, and is not sent without it.
        """
        wave: list[tuple[UUID, Message]] = []
        spans: list[tuple[UUID, Span]] = []
        later: dict[UUID, deque[Message]] = {}
        commands = again = 0
        now = self._now()
        for turn in turned:
            if turn.state is None or turn.plan is None:
                continue
            try:
                going, waiting, new = self._messages(turn, turn.plan, turn.state, now, spans)
            except Exception as error:  # noqa: BLE001 - a defect that one saga uncovers must not stop all others
                turn.trouble, turn.cause = f"{type(error).__name__}: {error}", error
                continue
            commands += new
            again += len(turn.again)
            for message in going:
                wave.append((turn.saga_id, message))
            if waiting:
                later[turn.saga_id] = deque(waiting)
        failed = await self._publish(wave, later)
        self._sent(spans, failed)
        complete = [
            (turn.saga_id, turn.state.version)
            for turn in turned
            if turn.state is not None and not turn.trouble and not (failed and turn.saga_id in failed)
        ]
        return Sent(complete, sorted(failed), commands, again)

    def _messages(
        self, turn: Turned, plan: Plan, state: SagaState, now: int, spans: list[tuple[UUID, Span]]
    ) -> tuple[Sequence[Message], Sequence[Message], int]:
        """What goes out at once, the domain events that wait behind another, and how many commands are first sends."""
        going: list[Message] = []
        waiting: list[Message] = []
        commands = 0
        published = False
        for sent in turn.unsent:
            if isinstance(sent, SendCommand):
                going.append(self._asking(self._first(plan, state, sent, now), spans))
                commands += 1
            elif isinstance(sent, PublishEvent):
                (waiting if published else going).append(self._telling(state, sent, spans))
                published = True
        for out in turn.again:
            going.append(self._asking(self._again(plan, state, out, now), spans))
        return going, waiting, commands

    async def _publish(self, wave: Sequence[tuple[UUID, Message]], later: Mapping[UUID, deque[Message]]) -> set[UUID]:
        """Publish the first wave, then the events that wait behind one. The sagas of what was not acknowledged."""
        failed: set[UUID] = set()
        while wave:
            acknowledged = await self._transport.publish([message for _, message in wave])
            if not all(acknowledged):
                failed |= {saga_id for (saga_id, _), ok in zip(wave, acknowledged, strict=True) if not ok}
            going_on = [(saga_id, events) for saga_id, events in later.items() if events and saga_id not in failed]
            wave = [(saga_id, events.popleft()) for saga_id, events in going_on]
        return failed

    def _asking(self, command: Command, spans: list[tuple[UUID, Span]]) -> Message:
        if self._tracing is None or command.traceparent is None:
            return command_to_message(command)
        span = self._tracing.sending(command)
        spans.append((command.address.saga_id, span))
        return command_to_message(replace(command, traceparent=self._tracing.context_of(span)))

    def _telling(self, state: SagaState, sent: PublishEvent, spans: list[tuple[UUID, Span]]) -> Message:
        event = _event(state, sent)
        if self._tracing is None or event.traceparent is None:
            return event_to_message(event)
        span = self._tracing.publishing(event)
        spans.append((event.saga_id, span))
        return event_to_message(replace(event, traceparent=self._tracing.context_of(span)))

    def _sent(self, spans: Sequence[tuple[UUID, Span]], failed: Collection[UUID]) -> None:
        if self._tracing is not None:
            for saga_id, span in spans:
                self._tracing.end(span, fault=_UNACKNOWLEDGED if saga_id in failed else None)

    def _first(self, plan: Plan, state: SagaState, sent: SendCommand, now: int) -> Command:
        step = state.steps[address(sent.step, sent.item)]
        progress = step.forward if sent.direction is Direction.FORWARD else step.backward
        if progress is None:
            raise ValueError(f"{sent.step} was never issued")
        return self._command(plan, state, sent.step, sent.item, sent.direction, step, progress, 1, now)

    def _again(self, plan: Plan, state: SagaState, out: OpenCommand, now: int) -> Command:
        """A repeated send. Its number is the time since the attempt was issued: new for each, whoever sends it."""
        step, item = split(out.place)
        send = 2 + max(0, now - out.progress.at) // 1000
        return self._command(plan, state, step, item, out.direction, out.step, out.progress, send, now)

    def _command(
        self,
        plan: Plan,
        state: SagaState,
        place: str,
        item: int | None,
        direction: Direction,
        step: StepState,
        progress: Progress,
        send: int,
        now: int,
    ) -> Command:
        node = plan.nodes[place]
        call = node.call
        if call is None or step.forward is None:
            raise ValueError(f"{place} has no command")
        whole = Address(state.saga_id, place, item, direction)
        participant, command, timeout, payload = call.participant, call.command, call.timeout, progress.payload
        strict, undone, undone_command = must_succeed(plan, state, node), _NOTHING, None
        compensation = call.compensation
        if direction is Direction.COMPENSATE and compensation is not None:
            participant, command, timeout = compensation.participant, compensation.command, compensation.timeout
            payload = step.forward.payload if compensation.payload is None else progress.payload
            strict, undone, undone_command = True, step.result, f"{call.participant}.{call.command}"
        return Command(
            address=whole,
            saga=state.saga,
            participant=participant,
            command=command,
            partition=partition_of(state.saga_id),
            attempt=progress.attempt,
            send=send,
            payload=payload,
            issued_at=progress.first_at,
            deadline=now + timeout.reply_us,
            must_succeed=strict,
            undone_result=undone,
            undone_command=undone_command,
            token=self._tokens.make(whole.key, participant),
            traceparent=state.traceparent,
        )


_NOTHING: Json = None
_UNACKNOWLEDGED: Final = "the broker has not acknowledged all that this saga sends"


def _event(state: SagaState, sent: PublishEvent) -> DomainEvent:
    return DomainEvent(
        state.saga_id,
        state.saga,
        state.key,
        sent.version,
        sent.name,
        sent.subject,
        sent.data,
        sent.at,
        state.traceparent,
    )
