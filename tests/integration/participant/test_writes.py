"""Writes that commands of a shared transaction put off: in order, seen by who looks, and nobody else's trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Final

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, bindparam, event, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.participant.answers import Answer
from saga_engine.participant.batch import run_batch
from saga_engine.participant.fence import Fence
from saga_engine.participant.registry import merge
from tests.unit.participant.support import NOW, SETTINGS, again, forward

Behaviour = Callable[[Context], object]

tables: Final = MetaData()
notes: Final = Table("notes", tables, Column("word", Text, primary_key=True), Column("remark", Text))
trail: Final = Table("trail", tables, Column("id", Integer, primary_key=True), Column("said", Text, nullable=False))

NOTE: Final = insert(notes)
SAY: Final = update(trail).values(said=trail.c.said + bindparam("word", type_=Text))


class Office:
    """A participant whose handlers do what the test has put under the saga's id, many in a transaction."""

    def __init__(self, engine: Engine) -> None:
        tables.create_all(engine)
        self.engine = engine
        self.runs = 0
        self._behaviours: dict[object, Behaviour] = {}
        office = Participant("payment")

        @office.command(batch=True)
        def debit(ctx: Context) -> object:
            self.runs += 1
            return self._behaviours[ctx.saga_id](ctx)

        merged = merge([office])["payment"]
        self._handler = merged.handlers["debit"]
        self._fence = Fence(merged, engine, SETTINGS)
        with engine.begin() as connection:
            connection.execute(insert(trail).values(id=1, said=""))

    def asked(self, behaviour: Behaviour) -> Command:
        command = forward()
        self._behaviours[command.address.saga_id] = behaviour
        return command

    def run(self, commands: Sequence[Command]) -> list[Answer]:
        """Run all as one batch."""
        outcomes = run_batch(self._fence, [(self._handler, each) for each in commands], NOW)
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        assert len(answers) == len(outcomes), outcomes
        return answers

    def alone(self, command: Command) -> Answer:
        return self._fence.execute(self._handler, command, NOW)

    @property
    def said(self) -> str:
        with self.engine.connect() as connection:
            said: str = connection.execute(select(trail.c.said)).scalar_one()
        return said

    @property
    def noted(self) -> dict[str, str | None]:
        with self.engine.connect() as connection:
            return {row.word: row.remark for row in connection.execute(select(notes.c.word, notes.c.remark))}


@pytest.fixture
def office(engine: Engine) -> Office:
    return Office(engine)


@contextmanager
def statements(engine: Engine, table: str) -> Iterator[list[int]]:
    """How many rows each statement about a table was given."""
    seen: list[int] = []

    def count(_connection: object, _cursor: object, text: str, values: object, _context: object, many: bool) -> None:
        if table in text:
            seen.append(len(values) if many and isinstance(values, list) else 1)

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", count)


def noting(word: str) -> Behaviour:
    return lambda ctx: ctx.write(NOTE, {"word": word})


def noting_by_hand(word: str) -> Behaviour:
    return lambda ctx: ctx.db.execute(NOTE, {"word": word}).rowcount


def then_failing(behaviour: Behaviour) -> Behaviour:
    def behave(ctx: Context) -> object:
        behaviour(ctx)
        raise TimeoutError("card network")

    return behave


def then_rejecting(behaviour: Behaviour) -> Behaviour:
    def behave(ctx: Context) -> object:
        behaviour(ctx)
        raise Rejected("card_declined")

    return behave


def counting(ctx: Context) -> object:
    return ctx.db.execute(select(func.count()).select_from(notes)).scalar_one()


def test_writes_of_one_statement_reach_the_database_together(office: Office) -> None:
    commands = [office.asked(noting(f"w{number}")) for number in range(20)]
    with statements(office.engine, "notes") as seen:
        answers = office.run(commands)
    assert seen == [20]
    assert {answer.outcome for answer in answers} == {Outcome.SUCCEEDED}
    assert len(office.noted) == 20


def test_a_command_that_is_repeated_writes_nothing(office: Office) -> None:
    commands = [office.asked(noting(f"w{number}")) for number in range(3)]
    first = office.run(commands)
    assert office.run([again(command) for command in commands]) == first
    assert (office.runs, len(office.noted)) == (3, 3)


def test_who_looks_sees_what_was_written_before_by_itself_and_by_others(office: Office) -> None:
    def writing_and_counting(ctx: Context) -> object:
        ctx.write(NOTE, {"word": "own"})
        return counting(ctx)

    looking = [office.asked(each) for each in (noting("before"), writing_and_counting, noting("after"), counting)]
    assert [answer.result for answer in office.run(looking)] == [None, 2, None, 3]


def test_who_keeps_the_connection_sees_what_it_writes_later(office: Office) -> None:
    def keeping(ctx: Context) -> object:
        connection = ctx.db
        ctx.write(NOTE, {"word": "own"})
        return connection.execute(select(func.count()).select_from(notes)).scalar_one()

    answers = office.run([office.asked(each) for each in (noting("before"), keeping, noting("after"))])
    assert [answer.result for answer in answers] == [None, 2, None]


def test_a_write_in_a_nested_transaction_that_is_taken_back_is_taken_back(office: Office) -> None:
    def nesting(ctx: Context) -> object:
        with suppress(TimeoutError), ctx.db.begin_nested():
            ctx.write(NOTE, {"word": "nested"})
            raise TimeoutError("card network")
        return None

    answers = office.run([office.asked(each) for each in (noting("before"), nesting, noting("after"))])
    assert {answer.outcome for answer in answers} == {Outcome.SUCCEEDED}
    assert set(office.noted) == {"before", "after"}


def test_a_handler_that_goes_on_after_its_own_write_was_refused_has_failed(office: Office) -> None:
    def going_on(ctx: Context) -> object:
        ctx.write(NOTE, {"word": "a"})
        ctx.write(SAY, {"word": "<said>"})
        with suppress(SQLAlchemyError):
            counting(ctx)
        return "went on"

    answers = office.run([office.asked(each) for each in (noting("a"), going_on, noting("b"))])
    assert [answer.outcome for answer in answers] == [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED]
    assert set(office.noted) == {"a", "b"}
    assert office.said == ""


def test_one_that_fails_takes_its_writes_with_it_and_nothing_is_done_again(office: Office) -> None:
    bad = [office.asked(then_failing(noting("failed"))), office.asked(then_rejecting(noting("rejected")))]
    answers = office.run([office.asked(noting("first")), *bad, office.asked(noting("last"))])
    assert [answer.outcome for answer in answers] == [
        Outcome.SUCCEEDED, Outcome.FAILED, Outcome.REJECTED, Outcome.SUCCEEDED,
    ]  # fmt: skip
    assert set(office.noted) == {"first", "last"}
    assert office.runs == 4


def test_a_write_between_two_that_are_taken_back_in_the_database_stays(office: Office) -> None:
    failing = [office.asked(then_failing(noting_by_hand(word))) for word in ("one", "two", "three")]
    between = [office.asked(noting(word)) for word in ("first", "second")]
    answers = office.run([failing[0], between[0], failing[1], between[1], failing[2]])
    assert [answer.outcome is Outcome.SUCCEEDED for answer in answers] == [False, True, False, True, False]
    assert set(office.noted) == {"first", "second"}


def test_a_write_that_the_database_refuses_fails_its_command_alone(office: Office) -> None:
    commands = [office.asked(noting(word)) for word in ("a", "b", "a", "c", "d")]
    answers = office.run(commands)
    assert [answer.code for answer in answers] == ["", "", "integrity_error", "", ""]
    assert set(office.noted) == {"a", "b", "c", "d"}


def test_a_neighbour_that_is_told_of_a_refused_write_and_goes_on_has_no_part_in_it(office: Office) -> None:
    def going_on(ctx: Context) -> object:
        with suppress(SQLAlchemyError):
            return counting(ctx)
        return "went on"

    answers = office.run([office.asked(each) for each in (noting("a"), noting("a"), going_on)])
    assert [answer.code for answer in answers] == ["", "integrity_error", ""]
    assert answers[2].result == 1


def test_a_neighbour_that_is_told_of_a_refused_write_and_rejects_has_no_part_in_it(office: Office) -> None:
    def rejecting(ctx: Context) -> object:
        try:
            return counting(ctx)
        except SQLAlchemyError:
            raise Rejected("no_database") from None

    answers = office.run([office.asked(each) for each in (noting("a"), noting("a"), rejecting)])
    assert [answer.code for answer in answers] == ["", "integrity_error", ""]


@pytest.mark.parametrize("number", [object(), 2**70], ids=["no type of the database", "too large for it"])
def test_a_value_that_cannot_be_sent_fails_its_command_alone(office: Office, number: object) -> None:
    def misusing(ctx: Context) -> object:
        ctx.write(insert(trail), {"id": number, "said": ""})
        return None

    answers = office.run([office.asked(each) for each in (noting("a"), misusing, noting("b"))])
    assert [answer.outcome for answer in answers] == [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED]
    assert set(office.noted) == {"a", "b"}


def test_writes_that_name_other_columns_lose_none_of_them(office: Office) -> None:
    def remarking(ctx: Context) -> object:
        ctx.write(NOTE, {"word": "b", "remark": "kept"})
        ctx.write(insert(notes).values(word="c", remark="whole"))
        return None

    office.run([office.asked(each) for each in (noting("a"), remarking, noting("d"))])
    assert office.noted == {"a": None, "b": "kept", "c": "whole", "d": None}


def test_values_that_the_handler_changes_later_are_written_as_they_were(office: Office) -> None:
    def changing(ctx: Context) -> object:
        values = {"word": "then"}
        ctx.write(NOTE, values)
        values["word"] = "now"
        return None

    office.run([office.asked(changing), office.asked(noting("other"))])
    assert set(office.noted) == {"then", "other"}


def test_a_command_by_itself_writes_at_once_and_is_told_at_once(office: Office) -> None:
    assert office.alone(office.asked(noting("a"))).outcome is Outcome.SUCCEEDED
    assert office.alone(office.asked(noting("a"))).code == "integrity_error"
    assert set(office.noted) == {"a"}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_commands_do_what_stays_is_in_their_order(office: Office, seed: int) -> None:
    chance = Random(seed)
    expected, commands, outcomes = "", [], []
    for number in range(80):
        words = [f"<{number}.{place}>" for place in range(chance.randrange(4))]
        ways = [chance.choice(("write", "db")) for _ in words]
        ending = chance.choices(("kept", "failed", "rejected"), (6, 1, 1))[0]
        commands.append(office.asked(_speaking(list(zip(words, ways, strict=True)), ending)))
        outcomes.append({"kept": Outcome.SUCCEEDED, "failed": Outcome.FAILED, "rejected": Outcome.REJECTED}[ending])
        expected += "".join(words) if ending == "kept" else ""
    answers = [answer for start in range(0, 80, 8) for answer in office.run(commands[start : start + 8])]
    assert [answer.outcome for answer in answers] == outcomes
    assert office.said == expected


def _speaking(words: Sequence[tuple[str, str]], ending: str) -> Behaviour:
    def speak(ctx: Context) -> object:
        for word, way in words:
            if way == "write":
                ctx.write(SAY, {"word": word})
            else:
                ctx.db.execute(SAY, {"word": word})
        if ending == "failed":
            raise TimeoutError("card network")
        if ending == "rejected":
            raise Rejected("card_declined")
        return None

    return speak
