"""The statements of the page on backups do what it says: old sagas go whole, what a restored engine forgot is found."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text

from saga_engine.audit.check import Judge
from saga_engine.audit.rows import pages, surroundings
from saga_engine.errors import NotFoundError
from saga_engine.sql.schema import events, keys, streams
from saga_engine.testing.handle import SagaHandle
from saga_engine.testing.system import SagaSystem
from tests.unit.core.sagas import saga
from tests.unit.docs.markdown import HOW_TO, blocks

TRIP = saga(
    """
    step: flight, call: air.book, compensate: {call: air.cancel}
    step: paper, wait: {event: Paper, timeout: 1000d, on_timeout: fail}
    step: hotel, call: inn.book, kind: pivot
    """
)
FORGOTTEN, DELETED = (block.text for block in blocks(HOW_TO / "back-up.md") if block.language == "sql")


def _store(system: SagaSystem) -> Engine:
    return system._engine.store._engine


def _delete(system: SagaSystem, before: int) -> None:
    with _store(system).begin() as connection:
        for statement in re.findall(r"^DELETE[^;]*", DELETED, re.MULTILINE):
            connection.execute(text(statement), {"before": before})


def _rows(system: SagaSystem) -> list[set[UUID]]:
    """The sagas that each table of the store knows."""
    with _store(system).begin() as connection:
        return [set(connection.execute(select(table.c.stream_id)).scalars()) for table in (streams, events, keys)]


def _ended(system: SagaSystem, key: str) -> SagaHandle:
    one = system.start("trip", key=key)
    one.signal("Paper")
    assert one.ended() == "completed"
    return one


def test_the_statements_that_delete_take_ended_sagas_whole_and_leave_the_others_at_work() -> None:
    with SagaSystem(TRIP) as system:
        old, open_ = _ended(system, "old"), system.start("trip", key="open")
        system.advance("1d")
        before = system._engine.clock.now()
        young = _ended(system, "young")
        _delete(system, before)
        assert _rows(system) == [{open_.id, young.id}] * 3
        with pytest.raises(NotFoundError):
            _ = old.state
        judge = Judge(surroundings(system._engine.store))
        for page in pages(system._engine.store):
            for each in page:
                judge.saga(each)
        assert (judge.report.sagas, set(judge.report.broken)) == (2, set())
        open_.signal("Paper")
        assert open_.ended() == "completed"
        assert system.start("trip", key="old").id != old.id, "the key was given up with the saga"


def test_a_key_keeps_its_generations_until_the_newest_is_old_so_that_a_repeated_start_begins_no_second_saga() -> None:
    with SagaSystem(TRIP) as system:
        first = system.start("trip", key="again")
        first.cancel()
        assert first.ended() == "compensated"
        second = system.start("trip", key="again", again=True)
        system.advance("1d")
        _delete(system, system._engine.clock.now())
        assert _rows(system) == [{first.id, second.id}] * 3
        assert system.start("trip", key="again").id == second.id
        second.signal("Paper")
        assert second.ended() == "completed"
        system.advance("1d")
        _delete(system, system._engine.clock.now())
        assert _rows(system) == [set()] * 3


def test_the_statement_for_a_restore_tells_which_sagas_a_participant_heard_of_and_which_it_compensated() -> None:
    with SagaSystem(TRIP) as system:
        system.start("trip", key="before")
        system.advance("1h")
        since = system._engine.clock.now()
        went_on, cancelled = system.start("trip", key="went on"), system.start("trip", key="cancelled")
        cancelled.cancel()
        assert cancelled.ended() == "compensated"
        with system.database("air").begin() as connection:
            found = {tuple(row) for row in connection.execute(text(FORGOTTEN), {"since": since})}
    assert found == {(str(went_on.id), 0), (str(cancelled.id), 1)}
