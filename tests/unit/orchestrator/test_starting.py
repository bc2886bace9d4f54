"""Starting: one saga per business key, the same again for the same input, generations, pinned definitions."""

from __future__ import annotations

from uuid import UUID

import pytest

from saga_engine.core.inputs import Cancel, Outcome
from saga_engine.core.state import Status
from saga_engine.errors import SagaEngineError
from saga_engine.orchestrator.plans import DefinitionMissingError
from saga_engine.orchestrator.starting import (
    MOST_KEY,
    AlreadyStarted,
    Bounds,
    DefinitionChanged,
    KeyConflict,
    Started,
    Starter,
    StartRefused,
    pin,
    register,
)
from tests.unit.core.sagas import saga
from tests.unit.orchestrator.support import BEGIN, PLACE, Office, listed, loaded, turn

KEYED = PLACE.replace("version: 1", 'version: 1\nkey: "${{ input.id }}"')


def test_a_start_makes_a_saga_that_its_owner_must_look_at_at_once() -> None:
    office = Office(KEYED)
    outcome = office.start_all([office.request({"id": "o-1"})])[0]
    assert isinstance(outcome, Started)
    assert outcome.key == "o-1"
    head = office.store.heads([outcome.saga_id])[outcome.saga_id]
    assert (head.saga, head.key, head.generation, head.version) == ("trip", "o-1", 1, 2)
    assert (head.next_due, head.published, head.status) == (BEGIN, 1, "running")


def test_the_same_key_with_the_same_input_is_the_saga_there_is() -> None:
    office = Office(KEYED)
    first = office.start({"id": "o-1", "a": 1, "b": 2})
    assert office.start_all([office.request({"b": 2, "a": 1, "id": "o-1"})]) == [AlreadyStarted(first, "o-1")]
    assert listed(office.store) == [first]


def test_the_same_key_with_another_input_is_a_conflict() -> None:
    office = Office(KEYED)
    first = office.start({"id": "o-1"})
    assert office.start_all([office.request({"id": "o-1", "more": 1})]) == [KeyConflict(first, "o-1")]


def test_a_key_stays_taken_when_its_saga_has_ended() -> None:
    office = Office(KEYED)
    first = office.start({"id": "o-1"})
    turn(office.transactor(), first, office.reply("one"), office.reply("two"))
    assert office.store.heads([first])[first].status == Status.COMPLETED
    assert office.start_all([office.request({"id": "o-1"})]) == [AlreadyStarted(first, "o-1")]


def test_of_two_equal_starts_in_one_commit_one_wins() -> None:
    office = Office(KEYED)
    outcomes = office.start_all([office.request({"id": "o-1"}), office.request({"id": "o-1"})])
    assert [type(outcome) for outcome in outcomes] == [Started, AlreadyStarted]
    assert len(listed(office.store)) == 1


def test_many_starts_are_answered_in_their_order() -> None:
    office = Office(KEYED)
    outcomes = office.start_all([office.request({"id": name}) for name in ("a", "", "b")])
    assert [type(outcome) for outcome in outcomes] == [Started, StartRefused, Started]
    assert [outcome.key for outcome in outcomes if isinstance(outcome, Started)] == ["a", "b"]


def test_without_a_key_the_saga_is_its_own() -> None:
    office = Office(PLACE)
    first, second = office.start(), office.start()
    assert first != second
    assert office.store.find(str(first))[0].stream_id == first


@pytest.mark.parametrize("value", [True, 1.5, None, "", [], {}])
def test_a_key_is_text_or_an_integer(value: object) -> None:
    office = Office(KEYED)
    refused = office.start_all([office.request({"id": value})])[0]  # type: ignore[dict-item]  # JSON, told by the test
    assert isinstance(refused, StartRefused)
    assert refused.reason.startswith("the business key ${{ input.id }} must be an integer or text that is not empty")


def test_a_key_may_be_an_integer_and_one_without_a_value_is_refused() -> None:
    office = Office(KEYED)
    numbered = office.start_all([office.request({"id": 7})])[0]
    assert isinstance(numbered, Started)
    assert numbered.key == "7"
    missing = office.start_all([office.request({})])[0]
    assert isinstance(missing, StartRefused)
    assert "the key has no value" in missing.reason


def test_another_generation_opens_only_after_what_was_undone_or_closed() -> None:
    office = Office(KEYED)
    first = office.start({"id": "o-1"})
    refused = office.start_all([office.request({"id": "o-1"}, again=True)])[0]
    assert isinstance(refused, StartRefused)
    assert "is running" in refused.reason
    turn(office.transactor(), first, office.reply("one", Outcome.REJECTED))
    second = office.start({"id": "o-1"}, again=True)
    assert _generations(office, "o-1") == [(2, second), (1, first)]
    assert office.start_all([office.request({"id": "o-1"})]) == [AlreadyStarted(second, "o-1")]


def test_again_is_no_error_for_a_key_that_nobody_has() -> None:
    office = Office(KEYED)
    assert _generations(office, "o-1") == []
    first = office.start({"id": "o-1"}, again=True)
    assert _generations(office, "o-1") == [(1, first)]


def test_a_completed_saga_opens_no_other_generation() -> None:
    office = Office(KEYED)
    first = office.start({"id": "o-1"})
    turn(office.transactor(), first, office.reply("one"), office.reply("two"))
    refused = office.start_all([office.request({"id": "o-1"}, again=True)])[0]
    assert isinstance(refused, StartRefused)


def test_a_version_with_another_content_is_refused_with_both_shown() -> None:
    office = Office(PLACE)
    assert register(office.store, [loaded(PLACE)]) == []
    changed = register(office.store, [loaded(PLACE.replace("{n: 1}", "{n: 2}"))])
    assert len(changed) == 1
    assert isinstance(changed[0], DefinitionChanged)
    assert (changed[0].saga, changed[0].version) == ("trip", 1)
    assert b'"n":1' in changed[0].stored
    assert b'"n":2' in changed[0].offered


def test_a_running_saga_keeps_the_definition_it_was_started_with() -> None:
    office = Office(PLACE)
    first = office.start()
    later = loaded(PLACE.replace("version: 1", "version: 2").replace("call: q.two", "call: q.other"))
    assert register(office.store, [later]) == []
    done = turn(office.transactor(), first, office.reply("one"))
    assert done.plan is not None
    call = done.plan.nodes["two"].call
    assert call is not None
    assert call.command == "two"


def test_a_pinned_definition_needs_no_version_of_its_own() -> None:
    office = Office(PLACE)
    other = loaded(saga("step: x, call: p.x, compensate: none"))
    pin(office.store, other)
    office.definitions = [other]
    started = office.start()
    assert office.events(started) == ["SagaStarted", "CommandIssued"]


def test_a_definition_that_was_never_stored_starts_nothing() -> None:
    office = Office(PLACE)
    office.definitions = [loaded(saga("step: x, call: p.x, compensate: none"))]
    with pytest.raises(DefinitionMissingError, match="is not in the store"):
        office.start()
    assert listed(office.store) == []


def test_a_start_that_cannot_be_decided_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("saga_engine.core.forward.open_step", explode)
    office = Office(PLACE)
    with pytest.raises(SagaEngineError, match="a defect"):
        office.start()


def test_a_cancelled_saga_frees_its_key_for_another_generation() -> None:
    office = Office(KEYED)
    first = office.start({"id": "o-1"})
    turn(office.transactor(), first, office.reply("one", Outcome.FAILED), Cancel(BEGIN, "who", "why"))
    refused = office.start_all([office.request({"id": "o-1"}, again=True)])[0]
    assert isinstance(refused, StartRefused)
    assert "is compensating" in refused.reason


def test_no_more_sagas_of_a_definition_are_started_than_may_be_open() -> None:
    office = Office(KEYED)
    starter = Starter(office.store, office.transactor(), office.ids, office.clock, Bounds(open_sagas=2))
    outcomes = starter.start([office.request({"id": f"o-{number}"}) for number in range(3)])
    assert [type(outcome) for outcome in outcomes] == [Started, Started, StartRefused]
    assert isinstance(outcomes[2], StartRefused)
    assert "2 sagas named trip are open, and limits.open_sagas allows no more" in outcomes[2].reason
    assert isinstance(outcomes[0], Started)
    # Who asks for a saga that is there gets it, limit or not.
    (again,) = starter.start([office.request({"id": "o-0"})])
    assert again == AlreadyStarted(outcomes[0].saga_id, "o-0")
    cancelled = turn(office.transactor(), outcomes[0].saga_id, office.reply("one", Outcome.REJECTED))
    assert cancelled.state is not None
    assert cancelled.state.status.ended
    assert isinstance(starter.start([office.request({"id": "o-3"})])[0], Started)


@pytest.mark.parametrize("key", ["a\x00b", "a\ud800b"])
def test_a_given_key_that_not_every_store_takes_is_refused(key: str) -> None:
    office = Office(KEYED)
    (outcome,) = office.start_all([office.request({"id": "o-1"}, key=key)])
    assert isinstance(outcome, StartRefused)
    assert "PostgreSQL does not take" in outcome.reason


@pytest.mark.parametrize(("length", "kind"), [(MOST_KEY, Started), (MOST_KEY + 1, StartRefused)])
def test_a_business_key_is_bounded(length: int, kind: type[object]) -> None:
    office = Office(KEYED)
    assert isinstance(office.start_all([office.request({"id": "k" * length})])[0], kind)
    assert isinstance(office.start_all([office.request({"id": "o-1"}, key="g" * length)])[0], kind)


def _generations(office: Office, key: str) -> list[tuple[int, UUID]]:
    return [(record.generation, record.stream_id) for record in office.store.find(key, "trip")]
