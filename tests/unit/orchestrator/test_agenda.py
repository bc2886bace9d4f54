"""The agenda: batches in order of arrival, a saga at a time, nothing lost when a batch is put back."""

from __future__ import annotations

import asyncio
from uuid import UUID

from saga_engine.core.inputs import Due
from saga_engine.envelope import Message
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.ports.store import WHOLE, LoadedStream
from saga_engine.ports.transport import Delivery
from tests.unit.orchestrator.support import Office

A, B, C = (UUID(int=n) for n in range(3))


def delivery(name: str) -> Delivery:
    return Delivery(Message(name, {}, b"", None), 1, name)


def test_what_arrives_for_one_saga_is_one_entry_in_order() -> None:
    office, agenda = Office(), Agenda()
    first, second = office.reply("one"), office.reply("two")
    agenda.reply(A, first, delivery("1"))
    agenda.reply(B, first, delivery("2"))
    agenda.reply(A, second, delivery("3"))
    assert agenda.work.is_set()
    batch = agenda.take(10)
    assert list(batch) == [A, B]
    assert batch[A].inputs == [first, second]
    assert [each.token for each in batch[A].deliveries] == ["1", "3"]
    assert len(agenda) == 0


def test_a_saga_that_is_worked_on_is_held_out_of_the_next_batch() -> None:
    office, agenda = Office(), Agenda()
    agenda.reply(A, office.reply(), delivery("1"))
    agenda.take(10)
    agenda.reply(A, office.reply(), delivery("2"))
    agenda.reply(B, office.reply(), delivery("3"))
    assert agenda.ready
    assert list(agenda.take(10)) == [B]
    assert not agenda.ready
    assert agenda.take(10) == {}
    agenda.work.clear()
    agenda.release([A])
    assert agenda.work.is_set()
    assert list(agenda.take(10)) == [A]


def test_a_batch_has_at_most_so_many_sagas() -> None:
    agenda = Agenda()
    for saga_id in (A, B, C):
        agenda.look(saga_id)
    assert list(agenda.take(2)) == [A, B]
    assert list(agenda.take(2)) == [C]


def test_a_batch_that_is_put_back_comes_before_what_has_come_since() -> None:
    office, agenda = Office(), Agenda()
    early, late = office.reply("one"), office.reply("two")
    agenda.reply(A, early, delivery("1"))
    agenda.look(A, seen=3)
    agenda.look(B, seen=1, due_since=5)
    batch = agenda.take(10)
    agenda.reply(C, late, delivery("2"))
    agenda.reply(A, late, delivery("3"))
    agenda.look(A, seen=7, due_since=9, ask_again=True)
    agenda.look(B, due_since=8)
    agenda.put_back(batch)
    again = agenda.take(10)
    assert list(again) == [A, B, C]
    assert again[A].inputs == [early, late]
    assert [each.token for each in again[A].deliveries] == ["1", "3"]
    assert (again[A].seen, again[A].due_since, again[A].ask_again) == (7, 9, True)
    assert (again[B].seen, again[B].due_since, again[B].ask_again) == (1, 5, False)


def test_a_due_saga_is_looked_at_after_what_has_arrived_for_it() -> None:
    office, agenda = Office(), Agenda()
    agenda.look(A, seen=4, due_since=20)
    agenda.look(A, seen=2, due_since=10)
    agenda.look(A, due_since=30)
    agenda.reply(A, office.reply(), delivery("1"))
    entry = agenda.take(1)[A]
    turn = entry.turn(A, 99)
    assert (turn.saga_id, turn.seen, turn.due_since, turn.ask_again) == (A, 4, 10, False)
    assert list(turn.inputs) == [office.reply(), Due(99)]


def test_a_saga_that_is_only_looked_at_has_no_inputs() -> None:
    agenda = Agenda()
    agenda.look(A, ask_again=True)
    turn = agenda.take(1)[A].turn(A, 99)
    assert list(turn.inputs) == []
    assert turn.ask_again


async def test_whoever_fills_the_agenda_waits_for_room() -> None:
    agenda = Agenda()
    await agenda.room(1)
    agenda.look(A)
    agenda.look(B)
    waiting = asyncio.create_task(agenda.room(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    agenda.take(1)
    await asyncio.sleep(0)
    assert not waiting.done(), "one still waits"
    agenda.take(1)
    async with asyncio.timeout(90):
        await waiting


def test_a_reply_that_waits_already_and_is_delivered_again_waits_once_with_its_newest_delivery() -> None:
    office, agenda = Office(), Agenda()
    reply = office.reply()
    for token in range(40):
        agenda.reply(A, reply, Delivery(Message("s", {}, b"", "same"), token + 1, token))
    batch = agenda.take(10)
    assert batch[A].inputs == [reply]
    assert [each.token for each in batch[A].deliveries] == [39]
    agenda.reply(A, reply, Delivery(Message("s", {}, b"", "same"), 41, 40))
    agenda.put_back(batch)
    again = agenda.take(10)
    assert again[A].inputs == [reply]
    assert [each.token for each in again[A].deliveries] == [40]


def test_a_saga_that_is_worked_on_because_it_is_due_is_not_found_due_a_second_time() -> None:
    agenda = Agenda()
    agenda.look(A, seen=3, due_since=100)
    agenda.take(10)
    agenda.look(A, seen=3, due_since=100)
    agenda.release([A])
    assert not agenda.ready


def test_a_saga_that_is_worked_on_for_another_reason_or_an_older_version_is_looked_at_again() -> None:
    agenda = Agenda()
    agenda.look(A, seen=3)
    agenda.look(B, seen=3, due_since=100)
    agenda.look(C, seen=3, due_since=100)
    agenda.take(10)
    agenda.look(A, seen=3, due_since=100)
    agenda.look(B, seen=4, due_since=100)
    agenda.look(C, seen=3, due_since=90)
    agenda.release([A, B, C])
    assert [(saga_id, entry.due_since) for saga_id, entry in agenda.take(10).items()] == [(A, 100), (B, 100), (C, 90)]


def test_a_stream_that_was_read_as_it_was_found_due_is_for_the_first_turn_only() -> None:
    stream, agenda = due_stream(), Agenda()
    agenda.look(A, due_since=2, loaded=stream)
    entry = agenda.take(10)[A]
    assert entry.turn(A, 5).loaded is stream
    assert entry.turn(A, 6).loaded is None, "the turn that is tried again reads anew"


def test_a_stream_that_was_read_before_a_reply_came_is_not_what_the_reply_is_judged_by() -> None:
    stream, office, agenda = due_stream(), Office(), Agenda()
    agenda.look(A, due_since=2, loaded=stream)
    agenda.reply(A, office.reply(), delivery("1"))
    assert agenda.take(10)[A].turn(A, 5).loaded is None


def test_a_later_look_that_has_read_no_events_makes_an_earlier_one_forget_its_own() -> None:
    agenda = Agenda()
    agenda.look(A, due_since=2, loaded=due_stream())
    agenda.look(A, seen=9, due_since=2)
    assert agenda.take(10)[A].turn(A, 5).loaded is None


def due_stream() -> LoadedStream:
    office = Office()
    saga_id = office.start()
    return office.store.load({saga_id: WHOLE})[saga_id]
