"""What the doctor says of sagas: those that need somebody, and those that wait for what will not come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from saga_engine.bootstrap.definitions import DefinitionFile
from saga_engine.core.state import Status
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.doctor import sagas, waiting
from saga_engine.doctor.finding import Finding, Severity
from saga_engine.doctor.project import Project, misfits
from saga_engine.doctor.sagas import Look
from saga_engine.orchestrator.plans import Plans
from saga_engine.participant.registry import MergedParticipant
from saga_engine.settings.sections import Config
from saga_engine.settings.settled import settle
from saga_engine.testing.system import SagaSystem

STAY = """
saga: stay
version: 1
key: ${{ input.id }}
sla: 1h
steps:
  - step: reserve
    call: hotel.reserve
    compensate: {call: hotel.release, retry: {maximum_attempts: 2, initial_interval: 10ms}}
  - {step: confirm, wait: {event: Confirmed}}
  - {step: check_in, kind: retriable, call: hotel.check_in}
"""

PARTY = """
saga: party
version: 1
key: ${{ input.id }}
steps:
  - step: reserve
    call: hotel.reserve
    for_each: {in: "${{ input.guests }}", as: guest}
    compensate: {call: hotel.release, retry: {maximum_attempts: 2, initial_interval: 10ms}}
  - {step: confirm, wait: {event: Confirmed}}
"""

TWICE = """
saga: twice
version: 1
key: ${{ input.id }}
steps:
  - {step: guest, needs: [], wait: {event: Confirmed}}
  - {step: house, needs: [], wait: {event: Confirmed}}
"""


@pytest.fixture
def hotel() -> Iterator[SagaSystem]:
    with SagaSystem(STAY) as system:
        yield system


def look(system: SagaSystem) -> Look:
    client = system._engine.client
    return Look(client._store, Plans(client._store), client.now)


def only(findings: Iterable[Finding]) -> Finding:
    (found,) = findings
    return found


def project(system: SagaSystem, *without: str) -> Project:
    """A project with all handlers of the system but those."""
    participants = {
        name: MergedParticipant(
            name, {c: h for c, h in one.handlers().handlers.items() if f"{name}.{c}" not in without}
        )
        for name, one in system._engine.participants.items()
        if name not in without
    }
    return Project(settle(Config(), Path("/project")), participants, ())


def test_a_saga_that_is_well_gives_no_finding_of_any_check(hotel: SagaSystem) -> None:
    hotel.start("stay", {"id": "a"}).becomes(Status.RUNNING)
    seen, well = look(hotel), project(hotel)
    found = [
        *(finding for check in (sagas.blocked, sagas.suspended, sagas.over_sla) for finding in check(seen)),
        *(finding for check in (sagas.overdue, sagas.unpublished) for finding in check(seen)),
        *waiting.unserved(seen, well),
        *waiting.unsignalled(seen),
    ]
    assert {finding.severity for finding in found} == {Severity.OK}


def test_blocked_sagas_are_named_with_their_error_and_the_rest_of_many_is_counted(hotel: SagaSystem) -> None:
    hotel.participant("hotel").on("release").fails("nobody", "there is nobody at the desk")
    for number in range(sagas.NAMED + 2):
        saga = hotel.start("stay", {"id": f"s-{number}"})
        saga.cancel()
        saga.becomes(Status.BLOCKED)
    found = list(sagas.blocked(look(hotel)))
    assert [one.severity for one in found] == [Severity.ERROR] * (sagas.NAMED + 1)
    assert "reserve: nobody: there is nobody at the desk" in found[0].what
    assert found[0].next.startswith("saga show ")
    assert (found[-1].what, found[-1].next) == ("and 2 sagas more", "saga list --status blocked")


def test_what_blocks_many_items_of_a_step_is_told_once_with_the_first_of_them() -> None:
    with SagaSystem(PARTY) as system:
        guests = sagas.NAMED + 2
        system.participant("hotel").on("release").fails("nobody", "there is nobody at the desk")
        saga = system.start("party", {"id": "a", "guests": list(range(guests))})
        saga.cancel()
        saga.becomes(Status.BLOCKED)
        system.advance("1m")
        found = only(sagas.blocked(look(system)))
    named = ", ".join(f"reserve/{number}" for number in range(sagas.NAMED))
    assert found.what == f"is blocked: {named} and 2 more: nobody: there is nobody at the desk"


def test_a_saga_that_waits_twice_for_one_signal_is_one_saga() -> None:
    with SagaSystem(TWICE) as system:
        system.start("twice", {"id": "a"})
        system.advance("2d")
        found = only(waiting.unsignalled(look(system)))
    assert found.what == "1 saga for more than a day in a wait for Confirmed, which has no time limit"


def test_a_saga_that_is_suspended_for_more_than_a_day_is_named(hotel: SagaSystem) -> None:
    saga = hotel.start("stay", {"id": "a"})
    hotel.advance("2d")
    saga.suspend()
    assert only(sagas.suspended(look(hotel))).severity is Severity.OK
    hotel.advance("30h")
    found = only(sagas.suspended(look(hotel)))
    assert (found.where, found.what) == ("stay a", "has been suspended for 1 d 6 h")
    assert found.next.startswith("saga resume ")


def test_sagas_over_their_sla_are_counted_and_the_oldest_is_shown(hotel: SagaSystem) -> None:
    hotel.start("stay", {"id": "old"})
    hotel.advance("30m")
    hotel.start("stay", {"id": "young"})
    assert only(sagas.over_sla(look(hotel))).severity is Severity.OK
    hotel.advance("45m")
    found = only(sagas.over_sla(look(hotel)))
    assert (found.where, found.what) == ("stay", "1 saga over the sla, the oldest started 1 h 15 min ago")
    hotel.advance("2h")
    assert "2 sagas" in only(sagas.over_sla(look(hotel))).what


def test_a_saga_that_waits_for_a_command_whose_handler_is_gone_is_named(hotel: SagaSystem) -> None:
    hotel.participant("hotel").on("reserve").is_silent()
    hotel.start("stay", {"id": "a"})
    found = only(waiting.unserved(look(hotel), project(hotel, "hotel.reserve")))
    assert (found.severity, found.where) == (Severity.ERROR, "stay a")
    assert "waits for hotel.reserve, which no handler serves" in found.what
    assert re.fullmatch(r"write a handler for hotel.reserve, or saga cancel [-0-9a-f]{36} --why TEXT", found.next)
    elsewhere = only(waiting.unserved(look(hotel), project(hotel, "hotel")))
    assert elsewhere.severity is Severity.WARNING


def test_a_saga_that_is_compensated_already_is_not_told_to_be_cancelled(hotel: SagaSystem) -> None:
    hotel.participant("hotel").on("release").is_silent()
    hotel.start("stay", {"id": "a"}).cancel("changed our mind")
    found = only(waiting.unserved(look(hotel), project(hotel, "hotel.release")))
    assert "waits for hotel.release" in found.what
    assert found.next == "write a handler for hotel.release"


def test_a_command_that_a_definition_of_now_asks_for_in_vain_is_told_once(hotel: SagaSystem) -> None:
    hotel.participant("hotel").on("reserve").is_silent()
    hotel.start("stay", {"id": "a"})
    loaded = load_text(STAY.encode(), "stay.yaml")
    assert isinstance(loaded, Loaded)
    now = replace(project(hotel, "hotel.reserve"), definitions=[DefinitionFile(Path("stay.yaml"), loaded)])
    told = [one for one in (*misfits(now), *waiting.unserved(look(hotel), now)) if one.severity is not Severity.OK]
    (found,) = told
    assert (found.check, found.where) == ("commands", "stay.yaml")
    assert found.what.startswith("asks for hotel.reserve, which no handler serves; hotel serves check_in, release")
    (counted,) = waiting.unserved(look(hotel), now)
    assert counted.what.startswith("1 saga waits for hotel.reserve")


@pytest.mark.parametrize(
    ("asked", "instead_of", "suggested"),
    [("hotel.chek_in", "hotel.check_in", True), ("hotel.chek_in", "hotel.reserve", False)],
    ids=["nobody calls check_in", "check_in is called rightly"],
)
def test_a_command_that_nearly_has_a_handler_is_told_with_its_name_if_nobody_calls_it(
    hotel: SagaSystem, asked: str, instead_of: str, suggested: bool
) -> None:
    loaded = load_text(STAY.replace(instead_of, asked).encode(), "stay.yaml")
    assert isinstance(loaded, Loaded)
    found = only(misfits(replace(project(hotel), definitions=[DefinitionFile(Path("stay.yaml"), loaded)])))
    assert ('did you mean "hotel.check_in"?' in found.what) is suggested


def test_a_handler_that_is_gone_is_no_matter_to_sagas_that_do_not_wait_for_it(hotel: SagaSystem) -> None:
    hotel.start("stay", {"id": "a"})
    assert only(waiting.unserved(look(hotel), project(hotel, "hotel.reserve"))).severity is Severity.OK


def test_nothing_is_said_of_commands_when_the_handlers_do_not_import(hotel: SagaSystem) -> None:
    hotel.start("stay", {"id": "a"})
    unknown = Project(settle(Config(), Path("/project")), None, ())
    assert not list(waiting.unserved(look(hotel), unknown))


def test_a_wait_without_a_time_limit_is_named_after_a_day(hotel: SagaSystem) -> None:
    hotel.start("stay", {"id": "a"})
    hotel.advance("23h")
    assert not list(waiting.unsignalled(look(hotel)))
    hotel.advance("2h")
    found = only(waiting.unsignalled(look(hotel)))
    assert found.severity is Severity.WARNING
    assert "in a wait for Confirmed, which has no time limit" in found.what
    assert " Confirmed" in found.next


def test_a_wait_with_a_time_limit_is_not_named() -> None:
    limited = STAY.replace("{event: Confirmed}", "{event: Confirmed, timeout: 9d}")
    with SagaSystem(limited) as system:
        system.start("stay", {"id": "a"})
        system.advance("3d")
        assert not list(waiting.unsignalled(look(system)))
