"""Turns: decided on the stored state, committed together, decided again when somebody else was first."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.core.decider import Decided, Ignored, Refused
from saga_engine.core.inputs import Cancel, Input, Outcome, Resume, Suspend
from saga_engine.core.state import Status
from saga_engine.errors import StoreUnavailableError
from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.transact import RECOVERED_AFTER
from saga_engine.orchestrator.turns import Turn
from tests.unit.core.sagas import saga
from tests.unit.orchestrator.support import (
    BEGIN,
    PLACE,
    SECOND,
    Office,
    again,
    sent,
    settle,
    state_of,
    turn,
    turns,
)
from tests.unit.orchestrator.watched import WatchedStore


def test_a_turn_commits_what_was_decided_and_says_what_is_to_be_sent(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    done = turn(transactor, saga_id, office.reply("one"))
    assert done.committed
    assert [type(answer) for answer in done.answers] == [Decided]
    assert office.events(saga_id) == ["SagaStarted", "CommandIssued", "StepSucceeded", "CommandIssued"]
    assert sent(done) == ["3 OneDone", "4 two forward 1"]
    assert done.next_due == BEGIN + 30 * SECOND


def test_a_saga_that_nobody_knows_is_missing(office: Office) -> None:
    done = turn(office.transactor(), uuid4(), office.reply("one"))
    assert done.missing
    assert not done.committed
    assert done.state is None


def test_inputs_of_one_turn_are_decided_one_after_the_other_in_one_commit(
    watched: tuple[Office, WatchedStore],
) -> None:
    office, store = watched
    saga_id, transactor = office.start(), office.transactor()
    store.appends.clear()
    done = turn(transactor, saga_id, office.reply("one"), office.reply("one"), office.reply("two"))
    assert [type(answer) for answer in done.answers] == [Decided, Ignored, Decided]
    assert state_of(done).status is Status.COMPLETED
    assert store.appends == [1]


def test_many_sagas_are_committed_at_once(watched: tuple[Office, WatchedStore]) -> None:
    office, store = watched
    ids, transactor = [office.start(key=f"k-{n}") for n in range(5)], office.transactor()
    store.appends.clear()
    done = turns(transactor, *[Turn(saga_id, (office.reply("one"),)) for saga_id in ids])
    assert [each.saga_id for each in done] == ids
    assert all(each.committed for each in done)
    assert store.appends == [5]


def test_a_commit_that_was_lost_to_another_is_decided_again_on_what_the_other_wrote(
    watched: tuple[Office, WatchedStore],
) -> None:
    office, store = watched
    contested, other = office.start(key="a"), office.start(key="b")
    mine, theirs = office.transactor(), office.transactor()

    def first() -> None:
        store.before_append = lambda: None
        turn(theirs, contested, office.reply("one"))

    store.before_append = first
    done = turns(mine, Turn(contested, (office.reply("one"),)), Turn(other, (office.reply("one"),)))
    assert [type(answer) for answer in done[0].answers] == [Ignored]
    assert done[1].committed
    assert office.events(contested).count("StepSucceeded") == 1
    assert sent(done[0]) == ["3 OneDone", "4 two forward 1"], "who lost knows what is unsent, and may send it too"


def test_a_turn_that_loses_every_race_is_put_back_with_trouble(watched: tuple[Office, WatchedStore]) -> None:
    office, store = watched
    saga_id, theirs = office.start(), office.transactor()
    count = iter(range(1_000))

    def first() -> None:
        hook, store.before_append = store.before_append, lambda: None
        turn(theirs, saga_id, Suspend(BEGIN, "w", "y") if next(count) % 2 == 0 else Resume(BEGIN, "w", "y"))
        store.before_append = hook

    store.before_append = first
    done = turn(office.transactor(), saga_id, office.reply("one"))
    assert not done.committed
    assert "lost to others too often" in done.trouble


def test_nothing_to_do_is_only_believed_of_a_state_that_is_still_the_stored_one(office: Office) -> None:
    saga_id, stale, other = office.start(), office.transactor(), office.transactor()
    turn(stale, saga_id)
    turn(other, saga_id, office.reply("one"))
    done = turn(stale, saga_id, office.reply("two"))
    assert done.committed, "the stale state knew of no command to two; the stored one does"
    assert state_of(done).status is Status.COMPLETED


def test_a_cached_state_older_than_a_version_that_was_seen_is_read_again(office: Office) -> None:
    saga_id, stale, other = office.start(), office.transactor(), office.transactor()
    assert state_of(turn(stale, saga_id)).version == 2
    turn(other, saga_id, office.reply("one"))
    assert state_of(turn(stale, saga_id)).version == 2
    assert state_of(turn(stale, saga_id, seen=4)).version == 4


def test_a_refused_input_is_answered_and_writes_nothing(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    done = turn(transactor, saga_id, Resume(BEGIN, "who", "why"))
    assert [type(answer) for answer in done.answers] == [Refused]
    assert not done.committed
    assert office.events(saga_id) == ["SagaStarted", "CommandIssued"]


def test_the_published_cursor_never_passes_what_was_not_acknowledged(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id)
    transactor.upkeep.acknowledged(saga_id, 2)
    turn(transactor, saga_id, office.reply("one"))
    assert office.store.heads([saga_id])[saga_id].published == 2, "OneDone, version 3, is not acknowledged yet"
    done = turn(transactor, saga_id, office.reply("two"))
    head = office.store.heads([saga_id])[saga_id]
    assert (head.version, head.published) == (6, 2)
    assert sent(done) == ["3 OneDone", "6 AllDone"], "the command to two was answered: it need not be sent any more"


def test_an_acknowledgement_counts_up_to_the_version_that_was_sent(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    version = state_of(turn(transactor, saga_id)).version
    done = turn(transactor, saga_id, office.reply("one"))
    transactor.upkeep.acknowledged(saga_id, version)
    transactor.upkeep.acknowledged(saga_id, version)
    assert sent(turn(transactor, saga_id)) == sent(done) == ["3 OneDone", "4 two forward 1"]
    transactor.upkeep.acknowledged(saga_id, 4)
    assert sent(turn(transactor, saga_id)) == []


def test_an_ended_saga_is_settled_when_all_of_it_is_acknowledged_and_never_before(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id, office.reply("one"), office.reply("two"))
    transactor.upkeep.acknowledged(saga_id, 5)
    settle(transactor)
    assert office.store.heads([saga_id])[saga_id].next_due is not None
    transactor.upkeep.acknowledged(saga_id, 6)
    settle(transactor)
    head = office.store.heads([saga_id])[saga_id]
    assert (head.published, head.next_due) == (6, None)


def test_a_crash_between_commit_and_send_loses_nothing(office: Office) -> None:
    saga_id = office.start()
    lost = turn(office.transactor(), saga_id, office.reply("one"))
    heads = [head for p in range(16) for head in office.store.unpublished(p, None, 10)]
    assert [head.stream_id for head in heads] == [saga_id]
    assert sent(turn(office.transactor(), saga_id)) == sent(lost)


def test_a_saga_that_waits_for_no_time_is_still_found_while_it_has_something_to_send() -> None:
    office = Office(saga("step: one, call: p.one, emit: OneDone, compensate: none\nstep: news, wait: {event: News}"))
    saga_id, transactor = office.start(), office.transactor()
    turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN))
    transactor.upkeep.acknowledged(saga_id, 2)
    office.clock.time += SECOND
    done = turn(transactor, saga_id, office.reply("one"))
    assert done.next_due == office.clock.now() + RECOVERED_AFTER
    found = office.store.unpublished(office.store.heads([saga_id])[saga_id].partition, None, 10)
    assert [head.stream_id for head in found] == [saga_id]
    assert sent(turn(office.transactor(), saga_id)) == ["3 OneDone"]
    assert office.store.heads([saga_id])[saga_id].next_due == office.clock.now() + RECOVERED_AFTER
    transactor.upkeep.acknowledged(saga_id, 4)
    settle(transactor)
    head = office.store.heads([saga_id])[saga_id]
    assert (head.published, head.next_due) == (4, None)


def test_a_due_time_that_was_found_too_early_is_pushed_out(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    head = office.store.heads([saga_id])[saga_id]
    assert head.next_due == BEGIN, "started elsewhere: its owner must look at once"
    assert transactor.upkeep.knows_better(head) is None
    done = turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN))[0]
    assert not done.committed
    assert transactor.upkeep.knows_better(head) == BEGIN + 30 * SECOND, "found again, it need not be looked at"
    settle(transactor)
    assert office.store.heads([saga_id])[saga_id].next_due == BEGIN + 30 * SECOND
    assert len(transactor.upkeep) == 0


def test_a_row_that_is_behind_learns_its_due_time_with_the_next_append(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN))
    office.clock.time += SECOND
    turn(transactor, saga_id, office.reply("one"))
    assert len(transactor.upkeep) == 0
    assert office.store.heads([saga_id])[saga_id].next_due == BEGIN + 31 * SECOND


def test_a_row_is_told_at_the_second_look_at_those_that_are_behind_if_no_append_has_told_it(office: Office) -> None:
    waits, goes_on = office.start({"n": 1}), office.start({"n": 2})
    transactor = office.transactor()
    due = [Turn(saga_id, (office.due(),), due_since=BEGIN) for saga_id in (waits, goes_on)]
    turns(transactor, *due)
    finish(transactor.upkeep.settle_aged())
    assert office.store.heads([waits])[waits].next_due == BEGIN
    turn(transactor, goes_on, office.reply("one"))
    later = office.start({"n": 3})
    turns(transactor, Turn(later, (office.due(),), due_since=BEGIN))
    finish(transactor.upkeep.settle_aged())
    assert office.store.heads([waits])[waits].next_due == BEGIN + 30 * SECOND
    assert office.store.heads([later])[later].next_due == BEGIN, "it was behind for the first time"
    finish(transactor.upkeep.settle_aged())
    assert office.store.heads([later])[later].next_due == BEGIN + 30 * SECOND
    assert len(transactor.upkeep) == 0


def test_a_row_that_is_behind_is_believed_again_once_somebody_else_has_written(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN))
    client = office.transactor()
    turns(client, Turn(saga_id, (Suspend(BEGIN, "who", "why"),), looked_after=False))
    assert transactor.upkeep.knows_better(office.store.heads([saga_id])[saga_id]) is None
    settle(transactor)
    assert office.store.heads([saga_id])[saga_id].next_due == BEGIN, "what was known of an earlier version is not said"


def test_a_saga_that_ends_with_nothing_left_to_send_needs_no_more_telling() -> None:
    office = Office(saga("step: one, call: p.one, compensate: none"))
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id, office.reply("one"))
    head = office.store.heads([saga_id])[saga_id]
    assert (head.version, head.published, head.next_due) == (4, 4, None)
    assert len(transactor.upkeep) == 0


def test_what_the_store_could_not_be_told_is_told_later(watched: tuple[Office, WatchedStore]) -> None:
    office, store = watched
    saga_id, transactor = office.start(), office.transactor()
    turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN))
    store.away = True
    with pytest.raises(StoreUnavailableError):
        settle(transactor)
    store.away = False
    settle(transactor)
    assert office.store.heads([saga_id])[saga_id].next_due == BEGIN + 30 * SECOND


def test_an_unanswered_command_is_asked_again_when_that_is_due_and_only_then(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id)
    transactor.upkeep.acknowledged(saga_id, 2)

    def look(at: int, since: int) -> list[str]:
        office.clock.time = BEGIN + at * SECOND
        return again(turns(transactor, Turn(saga_id, (office.due(),), due_since=BEGIN + since * SECOND))[0])

    assert look(29, 0) == []
    assert look(30, 30) == ["one forward 1"]
    assert look(31, 31) == []
    assert look(200, 90) == ["one forward 1"], "away for a while: asked once, not once for each time missed"


def test_what_was_never_sent_is_sent_and_not_asked_again_besides(office: Office) -> None:
    saga_id = office.start()
    office.clock.time += 60 * SECOND
    done = turns(office.transactor(), Turn(saga_id, (office.due(),), due_since=BEGIN, ask_again=True))[0]
    assert sent(done) == ["2 one forward 1"]
    assert again(done) == []


def test_everything_open_is_asked_again_when_the_broker_lost_it_or_the_saga_is_resumed(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id)
    transactor.upkeep.acknowledged(saga_id, 2)
    assert again(turns(transactor, Turn(saga_id, ask_again=True))[0]) == ["one forward 1"]
    turn(transactor, saga_id, Suspend(BEGIN, "who", "why"))
    assert again(turns(transactor, Turn(saga_id, ask_again=True))[0]) == []
    assert again(turn(transactor, saga_id, Resume(BEGIN, "who", "why"))) == ["one forward 1"]


def test_a_command_that_was_not_sent_before_a_suspension_waits_for_resume(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    held = turn(transactor, saga_id, office.reply("one"), Suspend(BEGIN, "who", "why"))
    assert sent(held) == ["3 OneDone"], "an event is a fact and goes out; a command does not"
    resumed = turn(transactor, saga_id, Resume(BEGIN, "who", "why"))
    assert again(resumed) == ["two forward 1"]


def test_a_command_that_was_not_sent_before_compensation_is_never_sent(office: Office) -> None:
    saga_id = office.start()
    done = turn(office.transactor(), saga_id, Cancel(BEGIN, "who", "why"))
    assert sent(done) == []


def test_a_saga_that_cannot_be_decided_on_stops_only_itself(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = office.start(key="bad"), office.start(key="good")
    transactor = office.transactor()
    broken = replace(office.reply("one"), outcome=Outcome.REJECTED)

    def explode(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("saga_engine.core.forward._lost", explode)
    done = turns(transactor, Turn(bad, (broken,)), Turn(good, (office.reply("one"),)))
    assert done[0].trouble == "RuntimeError: a defect"
    assert isinstance(done[0].cause, RuntimeError)
    assert done[1].committed
    assert office.events(bad) == ["SagaStarted", "CommandIssued"]


def test_a_stream_that_cannot_be_read_stops_only_itself(office: Office) -> None:
    good = office.start(key="good")
    strange = {name: office.start(key=name) for name in ("unknown", "illegal", "torn")}
    assert isinstance(office.store, MemoryEventStore)
    events = office.store._events
    events[strange["unknown"]][1] = replace(events[strange["unknown"]][1], type="FromTheFuture")
    events[strange["illegal"]][1] = replace(events[strange["illegal"]][1], type="StepSucceeded", data=b'{"step":"one"}')
    events[strange["torn"]][1] = replace(events[strange["torn"]][1], data=b'{"step":')
    wanted = [Turn(saga_id, (office.reply("one"),)) for saga_id in (*strange.values(), good)]
    done = turns(office.transactor(), *wanted)
    assert "FromTheFuture" in done[0].trouble
    assert done[1].trouble.startswith("KeyError")
    # A release that is too old is nobody's defect; a stream that breaks the rules is one to look into.
    assert [type(each.cause) for each in done[:2]] == [type(None), KeyError]
    assert "cannot be read" in done[2].trouble
    assert done[3].committed


def test_a_store_that_is_away_is_not_the_sagas_trouble(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    office.store.close()
    with pytest.raises(StoreUnavailableError):
        turn(transactor, saga_id, office.reply("one"))


def test_a_definition_that_is_gone_is_the_sagas_trouble(office: Office) -> None:
    saga_id = office.start()
    assert isinstance(office.store, MemoryEventStore)
    office.store._contents.clear()
    done = turn(office.transactor(), saga_id, office.reply("one"))
    assert "is not in the store" in done.trouble


def test_inputs_may_be_split_over_turns_as_they_come() -> None:
    office = Office(PLACE)
    whole, split = office.start(key="whole"), office.start(key="split")
    inputs: list[Input] = [office.reply("one"), office.reply("one"), office.reply("two", Outcome.FAILED), office.due()]
    transactor = office.transactor()
    turn(transactor, whole, *inputs)
    for each in inputs:
        turn(transactor, split, each)
    assert office.events(whole) == office.events(split)


def test_a_saga_that_somebody_else_resumed_asks_again_at_its_owner(office: Office) -> None:
    """A client resumes; what it sends nobody: the owner finds it in the stream, before a reply time-out has passed."""
    saga_id, owner = office.start(), office.transactor()
    turn(owner, saga_id, Suspend(BEGIN, "who", "why"))
    owner.upkeep.acknowledged(saga_id, 3)
    client = office.transactor()
    turns(client, Turn(saga_id, (Resume(BEGIN, "who", "why"),), looked_after=False))
    found = office.store.due(range(16), office.clock.now(), 10)
    assert [head.stream_id for head in found] == [saga_id]
    due = Turn(saga_id, (office.due(),), seen=found[0].version, due_since=found[0].next_due)
    assert again(turns(owner, due)[0]) == ["one forward 1"]
    owner.upkeep.acknowledged(saga_id, found[0].version)
    assert again(turns(owner, due)[0]) == []


def test_a_due_saga_that_was_decided_on_is_not_found_due_again(office: Office) -> None:
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id)
    office.clock.time += 31 * SECOND
    since = office.store.heads([saga_id])[saga_id].next_due
    turned = turns(transactor, Turn(saga_id, (office.reply("one"), office.due()), due_since=since))
    assert turned[0].committed
    assert office.store.due(range(16), office.clock.now(), 10) == []


def test_a_saga_that_passes_its_sla_is_told_once_and_goes_on() -> None:
    office = Office("saga: s\nsla: 40s\nsteps:\n  - {step: one, call: p.one, compensate: none}\n")
    saga_id, transactor = office.start(), office.transactor()
    turn(transactor, saga_id)
    transactor.upkeep.acknowledged(saga_id, 2)
    told = []
    for seconds in (0, 30, 40, 90, 210):
        office.clock.time = BEGIN + seconds * SECOND
        head = office.store.heads([saga_id])[saga_id]
        assert head.next_due is not None
        assert head.next_due <= office.clock.time, "it is looked at then"
        turned = turns(transactor, Turn(saga_id, (office.due(),), due_since=head.next_due))
        settle(transactor)
        told.append(turned[0].late)
    assert told == [False, False, True, False, False]
    assert office.events(saga_id) == ["SagaStarted", "CommandIssued"]
