"""The pure hot path alone: what is computed for one saga of three steps, without store and broker.

`python -m benchmarks.hot_path [sagas]` prints microseconds of CPU per saga and part, and how the ninth hundred steps
of a saga of a thousand compare with its second. Owns no server and writes no file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from saga_engine.codec import encode_event
from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, decide
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Input, Outcome, Start
from saga_engine.core.outgoing import SendCommand
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, Status, address
from saga_engine.core.timing import due_after, must_succeed
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Json
from saga_engine.envelope import Address, Command, Message, Reply, partition_of
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.intake import Accepted, check_reply
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.wire.commands import command_to_message, message_to_command
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import reply_to_message

ROUNDS: Final = 9
NOW: Final = 1_800_000_000_000_000

ORDER: Final = """
saga: order
version: 1
key: ${{ input.order_id }}
timeout: 15m
steps:
  - step: create_order
    call: order.create
    with: {order_id: "${{ input.order_id }}", customer_id: "${{ input.customer_id }}", amount: "${{ input.amount }}",
           note: "${{ input.note }}"}
    compensate: {call: order.reject, with: {order_id: "${{ input.order_id }}", reason: "${{ failure.code }}"}}
  - step: debit_payment
    call: payment.debit
    with: {order_id: "${{ input.order_id }}", amount: "${{ input.amount }}"}
    compensate: {call: payment.refund}
  - step: approve_order
    kind: retriable
    call: order.approve
    with: {order_id: "${{ input.order_id }}", receipt: "${{ steps.debit_payment.result.receipt }}"}
"""


@dataclass(slots=True)
class Saga:
    """One saga under way: its latest state and the messages between it and its participants."""

    state: SagaState
    due: int | None = None
    inputs: list[Input] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    commands: list[Message] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)


class Stopwatch:
    """CPU seconds by part."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - began


def compiled(text: str) -> Plan:
    loaded = load_text(text.encode(), "bench.yaml")
    assert isinstance(loaded, Loaded), loaded
    return compile_plan(loaded.definition)


def wave(plan: Plan, sagas: Sequence[Saga], tokens: Tokens, watch: Stopwatch) -> None:
    """One batch, part by part: decide on what has arrived, encode, look when each is due, make the commands."""
    with watch.part("decide and evolve"):
        for saga in sagas:
            for given in saga.inputs:
                decision = decide(plan, saga.state, given)
                assert isinstance(decision, Decided)
                saga.decided.append(decision)
                saga.state = decision.state
    with watch.part("encode events"):
        for saga in sagas:
            for decided in saga.decided:
                base = decided.state.version - len(decided.events)
                for i, event in enumerate(decided.events, start=1):
                    encode_event(event, base + i)
    with watch.part("when it is due"):
        for saga in sagas:
            events = [event for decided in saga.decided for event in decided.events]
            saga.due = due_after(plan, saga.state, events, saga.due, NOW)
    with watch.part("commands to messages"):
        for saga in sagas:
            for decided in saga.decided:
                for sent in decided.outgoing:
                    assert isinstance(sent, SendCommand)
                    saga.commands.append(command_to_message(command_of(plan, saga.state, sent, tokens)))
    for saga in sagas:
        saga.decided.clear()
        saga.inputs.clear()
        answer(saga)
    with watch.part("replies to inputs"):
        for saga in sagas:
            for reply in saga.replies:
                checked = check_reply(reply, tokens, NOW)
                assert isinstance(checked, Accepted)
                saga.inputs.append(checked.input)
    for saga in sagas:
        saga.replies.clear()


def command_of(plan: Plan, state: SagaState, sent: SendCommand, tokens: Tokens) -> Command:
    node = plan.nodes[sent.step]
    call, progress = node.call, state.steps[address(sent.step, sent.item)].forward
    assert call is not None
    assert progress is not None
    whole = Address(state.saga_id, sent.step, sent.item, Direction.FORWARD)
    return Command(
        address=whole,
        saga=state.saga,
        participant=call.participant,
        command=call.command,
        partition=partition_of(state.saga_id),
        attempt=progress.attempt,
        send=1,
        payload=progress.payload,
        issued_at=progress.first_at,
        deadline=NOW + call.timeout.reply_us,
        must_succeed=must_succeed(plan, state, node),
        undone_result=None,
        token=tokens.make(whole.key, call.participant),
        traceparent=state.traceparent,
    )


def answer(saga: Saga) -> None:
    """The participants' side, which is not measured."""
    for message in saga.commands:
        command = message_to_command(message)
        assert not isinstance(command, Unreadable)
        reply = Reply(
            command.address,
            command.participant,
            command.partition,
            command.attempt,
            command.send,
            Outcome.SUCCEEDED,
            {"receipt": "R-0123456789"},
            "",
            "",
            Effect.UNDONE,
            True,
            command.token,
            command.traceparent,
        )
        sent = reply_to_message(reply)
        saga.replies.append(Message(sent.subject, dict(sent.headers), sent.body, sent.message_id))
    saga.commands.clear()


def three_steps(count: int) -> dict[str, float]:
    """Microseconds per saga of the happy path, by part."""
    plan, tokens, watch = compiled(ORDER), Tokens({"k1": bytes(32)}), Stopwatch()
    ids = TimeOrderedIds(lambda size: bytes(size))
    sagas = []
    for i in range(count):
        given: Json = {"order_id": f"o-{i}", "customer_id": f"c-{i}", "amount": 1000 + i, "note": "n" * 120}
        sagas.append(Saga(SagaState(ids.new(NOW)), inputs=[Start(NOW, "0" * 64, f"o-{i}", 1, given)]))
    while sagas[0].state.status is not Status.COMPLETED:
        wave(plan, sagas, tokens, watch)
    assert all(saga.state.version == 8 for saga in sagas)
    return {name: seconds / count * 1e6 for name, seconds in watch.spent.items()}


def thousand(definition: str, given: Json) -> tuple[float, float]:
    """Microseconds per step of the second and of the ninth hundred of a thousand: at the ends less is in flight."""
    plan, tokens = compiled(definition), Tokens({"k1": bytes(32)})
    start = Start(NOW, "0" * 64, "k", 1, given)
    saga, watch, marks = Saga(SagaState(UUID(int=7)), inputs=[start]), Stopwatch(), [0.0]
    replies = 0
    while saga.state.status is not Status.COMPLETED:
        wave(plan, [saga], tokens, watch)
        replies += len(saga.inputs)
        if replies // 100 == len(marks):
            marks.append(sum(watch.spent.values()))
    return (marks[2] - marks[1]) / 100 * 1e6, (marks[9] - marks[8]) / 100 * 1e6


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    rounds = [three_steps(count) for _ in range(ROUNDS)]
    best = {name: min(parts[name] for parts in rounds) for name in rounds[0]}
    for name, microseconds in best.items():
        say(f"{microseconds:8.1f} us  {name}")
    say(f"{sum(best.values()):8.1f} us  per saga")
    chain = "saga: chain\nversion: 1\nsteps:\n" + "".join(
        f"  - {{step: s{i}, call: p.c, with: {{n: {i}}}, compensate: none}}\n" for i in range(1000)
    )
    loop = (
        "saga: loop\nversion: 1\nsteps:\n  - {step: each, call: p.c, with: {n: '${{ item }}'}, compensate: none,\n"
        "     for_each: {in: '${{ input.items }}', as: item, max_parallel: 100}}\n"
    )
    cases: list[tuple[str, str, Json]] = [("steps", chain, {}), ("items", loop, {"items": list(range(1000))})]
    for name, definition, given in cases:
        pairs = [thousand(definition, given) for _ in range(3)]
        first, last = min(first for first, _ in pairs), min(last for _, last in pairs)
        say(f"{first:8.1f} us second, {last:.1f} us ninth hundred of 1,000 {name}: {last / first:.2f}")


if __name__ == "__main__":
    main()
