"""What people may do: suspend, resume, retry, skip, resolve; and which status allows what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saga_engine.core.decider import Decided, Refused, decide
from saga_engine.core.events import CancelRequested, CommandIssued, OperatorActed, StepFailed
from saga_engine.core.state import Status
from saga_engine.core.verbs import ALLOWED, useful_verbs
from saga_engine.testing.expectations import command, event
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import Move, cancel, compensation, reply, resolve, resume, retry, signal, skip, suspend
from tests.unit.core.sagas import BOOK, FAN, QUICK, saga

UNDO = saga(
    """
    step: one, call: p.one, compensate: {call: p.undo_one}
    step: two, call: p.b, compensate: {call: p.undo_two, retry: {maximum_attempts: 1}, timeout: {reply: 1m, total: 1h}}
    step: end, call: p.end, compensate: none
    """
)


def blocked(text: str = UNDO) -> Scenario:
    done = given(text).started({"x": 1}).when(reply("one").succeeded(), reply("two").succeeded())
    return done.when(reply("end").rejected("no"), compensation("two").failed("broken")).then_status("blocked")


def test_a_retry_issues_the_next_attempt_with_budgets_anew() -> None:
    again = blocked().after("2h").when(retry("two"))
    again.then(event(OperatorActed, step="two", verb="retry"), event(CommandIssued, step="two", attempt=2))
    again.then_commands(command("p.undo_two", attempt=2)).then_status("compensating").then_due_in("1m")
    again.after("59m").then()
    again.when(compensation("two").failed()).then("CompensationFailed two attempt 2", "StepBlocked two")
    again.when(compensation("two").succeeded()).then("StepCompensated two", "CommandIssued one compensate")


def test_a_skip_goes_on_and_the_saga_is_closed_not_compensated() -> None:
    skipped = blocked().when(skip("two")).then("OperatorActed two", "CommandIssued one compensate")
    skipped.when(compensation("one").succeeded()).then("StepCompensated one", "SagaClosed").then_status("closed")


def test_a_resolve_counts_as_undone() -> None:
    resolved = blocked().when(resolve("two")).then("OperatorActed two", "CommandIssued one compensate")
    resolved.when(compensation("one").succeeded()).then("StepCompensated one", "SagaCompensated")


def test_a_late_reply_after_a_skip_changes_nothing() -> None:
    skipped = blocked().when(skip("two"))
    skipped.when(compensation("two").succeeded()).then_ignored("the compensation is skipped already")


def test_a_verb_names_what_is_blocked_or_means_all_of_it() -> None:
    text = FAN.replace("undo_left}", "undo_left, retry: {maximum_attempts: 1}}").replace(
        "undo_right}", "undo_right, retry: {maximum_attempts: 1}}"
    )
    both = given(text).started().when(reply("open").succeeded(), reply("left").succeeded(), reply("right").succeeded())
    both = both.when(reply("join").rejected("no"), compensation("left").failed(), compensation("right").failed())
    both.when(skip("open")).then_nothing().then_refused("open is not blocked; blocked: left, right")
    both.when(skip("left")).then("OperatorActed left").then_status("blocked")
    both.when(resolve()).then("OperatorActed left", "OperatorActed right", "CommandIssued open compensate")


def test_a_compensation_that_had_no_value_can_be_retried_and_blocks_again() -> None:
    text = UNDO.replace("call: p.undo_two,", 'call: p.undo_two, with: {x: "${{ input.x.y }}"},')
    done = given(text).started({"x": 1}).when(reply("one").succeeded(), reply("two").succeeded())
    held = done.when(reply("end").rejected("no")).then_status("blocked")
    held.when(retry("two")).then("OperatorActed two", "StepBlocked two").then_commands()
    held.when(resolve("two")).then("OperatorActed two", "CommandIssued one compensate")


def test_verbs_on_what_is_not_blocked_are_refused() -> None:
    started = given(BOOK).started()
    started.when(retry(), skip(), resolve()).then_nothing().then_refused("a saga that is running does not allow")
    started.when(suspend()).when(retry()).then_refused("a saga that is suspended does not allow retry")


STATUSES: dict[Status, Scenario] = {
    Status.RUNNING: given(BOOK).started(),
    Status.COMPENSATING: given(BOOK).started().when(reply("flight").failed(), cancel()),
    Status.BLOCKED: blocked(),
    Status.SUSPENDED: given(BOOK).started().when(suspend()),
    Status.COMPLETED: given(saga("step: nap, sleep: 1s")).started().after("1s"),
    Status.COMPENSATED: given(BOOK).started().when(reply("flight").rejected("no")),
    Status.CLOSED: blocked().when(skip(), compensation("one").succeeded()),
}
MOVES: dict[str, Move] = {
    "signal": signal("News"),
    "cancel": cancel(),
    "suspend": suspend(),
    "resume": resume(),
    "retry": retry(),
    "skip": skip(),
    "resolve": resolve(),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("verb", MOVES)
def test_the_table_of_verbs_says_what_the_decider_does(verb: str, status: Status) -> None:
    scenario = STATUSES[status].then_status(status)
    decision = decide(scenario.plan, scenario.state, MOVES[verb](scenario.state, scenario.now))
    assert isinstance(decision, Refused) is (status not in ALLOWED[verb])


AHEAD = saga(
    """
    step: news, wait: {event: News}
    step: sell, kind: pivot, call: p.sell
    step: tell, kind: retriable, call: p.tell
    """
)
WAITED = given(AHEAD).started()
AT_PIVOT = WAITED.when(signal("News", id="first"))
PAST = AT_PIVOT.when(reply("sell").succeeded())
STUCK = given(
    saga(
        """
        step: one, kind: retriable, call: p.one
        step: two, kind: retriable, call: p.two, with: {x: "${{ input.x.y }}"}
        """
    )
).started({"x": 1})
BEFORE = given(
    saga(
        """
        step: hold, call: p.hold, compensate: {call: p.free, retry: {maximum_attempts: 1}}
        step: news, wait: {event: News}
        """
    )
).started()
UNDOING = BEFORE.when(reply("hold").succeeded(), cancel())
LATE = given(
    saga(
        """
        step: sell, kind: pivot, call: p.sell
        step: pack, kind: retriable, call: p.pack
        step: news, if: "${{ input.x.y }}", wait: {event: News, timeout: 1h, on_timeout: continue}
        """
    )
).started({"x": 1})
SITUATIONS: dict[str, tuple[Scenario, str]] = {
    "before the point of no return": (WAITED, "signal cancel suspend"),
    "without a wait": (STATUSES[Status.RUNNING], "cancel suspend"),
    "while the pivot is open": (AT_PIVOT, "cancel suspend"),
    "when a cancel waits for the pivot already": (AT_PIVOT.when(cancel()), "suspend"),
    "past the point of no return": (PAST, "suspend"),
    "past it, with a cancel that was refused": (PAST.when(cancel()), "suspend"),
    "suspended": (WAITED.when(suspend()), "signal cancel resume"),
    "suspended past the point of no return": (PAST.when(suspend()), "resume"),
    "suspended when its wait was cancelled": (UNDOING.when(suspend()), "resume"),
    "compensating, with a wait that is waited for no more": (UNDOING, "suspend"),
    "blocked in a compensation, with such a wait": (
        UNDOING.when(compensation("hold").failed("down")),
        "suspend retry skip resolve",
    ),
    "with a wait that has not begun": (BEFORE, "signal cancel suspend"),
    "past the point of no return, with a wait to come": (
        LATE.when(reply("sell").succeeded()),
        "signal suspend",
    ),
    "past it, with that wait blocked before it began": (
        LATE.when(reply("sell").succeeded(), reply("pack").succeeded()),
        "signal suspend retry skip resolve",
    ),
    "suspended while it is compensated": (STATUSES[Status.COMPENSATING].when(suspend()), "resume"),
    "compensating": (STATUSES[Status.COMPENSATING], "suspend"),
    "blocked in a compensation": (STATUSES[Status.BLOCKED], "suspend retry skip resolve"),
    "blocked past the point of no return": (STUCK.when(reply("one").succeeded()), "suspend retry skip resolve"),
    "completed": (STATUSES[Status.COMPLETED], ""),
    "compensated": (STATUSES[Status.COMPENSATED], ""),
    "closed": (STATUSES[Status.CLOSED], ""),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_verbs_of_use_are_those_that_the_decider_takes_with_an_effect(situation: str) -> None:
    scenario, expected = SITUATIONS[situation]
    assert useful_verbs(scenario.plan, scenario.state) == tuple(expected.split())
    for verb, move in MOVES.items():
        # The decider records a signal that no step waits for: it does not know what was misspelt.
        if verb == "signal" and verb not in expected and scenario.state.status in ALLOWED[verb]:
            continue
        decision = decide(scenario.plan, scenario.state, move(scenario.state, scenario.now))
        events = decision.events if isinstance(decision, Decided) else ()
        refused = any(isinstance(event, CancelRequested) and not event.accepted for event in events)
        assert (bool(events) and not refused) is (verb in expected.split()), f"{verb}: {decision}"


def test_nothing_is_sent_while_a_saga_is_suspended_and_replies_are_recorded() -> None:
    suspended = given(BOOK).started().when(suspend("look")).then("Suspended").then_status("suspended").then_due_in(None)
    suspended.when(suspend()).then_nothing().then_ignored("suspended already")
    suspended.after("1d").then_nothing()
    recorded = suspended.when(reply("flight").succeeded()).then("StepSucceeded flight").then_commands()
    recorded.when(resume()).then("Resumed", "CommandIssued hotel").then_status("running")


def test_what_fell_due_meanwhile_happens_on_resume() -> None:
    text = saga(
        f"""
        step: nap, needs: [], sleep: 1m
        step: try, needs: [], call: p.try, {QUICK}, compensate: none
        step: end, needs: [nap], call: p.end, compensate: none
        """
    )
    suspended = given(text).started().when(suspend(), reply("try").failed())
    suspended.then("Suspended", event(StepFailed, step="try", retry_at=suspended.now + 1_000_000))
    waited = suspended.after("10m").then_nothing()
    waited.when(resume()).then("Resumed", "TimerFired nap", "CommandIssued end", "CommandIssued try attempt 2")


def test_the_saga_time_limit_runs_on_while_suspended() -> None:
    text = BOOK.replace("version: 1", "version: 1\ntimeout: 10m")
    suspended = given(text).started().when(reply("flight").succeeded(), suspend()).then_due_in("10m")
    late = suspended.after("10m").then("CompensationBegan").then_status("suspended").then_due_in(None)
    late.after("1m").when(resume()).then("Resumed", "StepGivenUp hotel", "CommandIssued hotel compensate")


def test_a_cancel_while_suspended_is_recorded_and_undoing_begins_on_resume() -> None:
    suspended = given(BOOK).started().when(reply("flight").succeeded(), reply("hotel").succeeded(), suspend(), cancel())
    suspended.then_status("suspended").when(reply("car").rejected("no")).then("StepRejected car").then_commands()
    resumed = suspended.when(reply("car").rejected("no"), resume())
    resumed.then("StepRejected car", "Resumed", "CommandIssued hotel compensate")


def test_a_failed_attempt_is_not_waited_for_when_compensation_begins_while_suspended() -> None:
    suspended = given(BOOK).started().when(reply("flight").failed(), suspend(), cancel())
    suspended.then(
        "StepFailed flight", "Suspended", "CancelRequested", "CompensationBegan", "StepGivenUp flight"
    ).then_commands()


def test_an_undoing_that_was_answered_while_suspended_goes_on_on_resume() -> None:
    refused = (
        given(BOOK).started().when(reply("flight").succeeded(), reply("hotel").succeeded(), reply("car").rejected("no"))
    )
    suspended = refused.when(suspend(), compensation("hotel").succeeded()).then("Suspended", "StepCompensated hotel")
    resumed = suspended.when(resume()).then("Resumed", "CommandIssued flight compensate")
    last = resumed.when(suspend(), compensation("flight").succeeded()).then("Suspended", "StepCompensated flight")
    last.when(resume()).then("Resumed", "SagaCompensated")


def test_a_saga_whose_last_step_succeeded_while_suspended_completes_on_resume() -> None:
    text = saga("step: one, call: p.one, compensate: none")
    done = given(text).started().when(suspend(), reply("one").succeeded()).then("Suspended", "StepSucceeded one")
    done.when(resume()).then("Resumed", "SagaCompleted")


SHOWN = """
    step: ship, call: post.ship, kind: retriable
    step: pause, if: "${{ steps.ship.result.CONDITION }}", ACTION
    """


@pytest.mark.parametrize(
    ("action", "status", "event_name"),
    [
        ("sleep: 1h", "sleeping", "TimerSet"),
        ("wait: {event: Seen}", "waiting", "TimerSet"),
        ("call: p.x, kind: retriable", "issued", "CommandIssued"),
    ],
)
def test_a_step_that_was_blocked_reopens_as_what_it_is(action: str, status: str, event_name: str) -> None:
    text = saga(SHOWN.replace("ACTION", action))
    held = given(text.replace("CONDITION", "missing")).started().when(reply("ship").succeeded({"ok": True}))
    held.then_status("blocked").then_step("pause", "blocked")
    held.when(retry("pause")).then("OperatorActed pause", "StepBlocked pause")
    # What had no value in one release of the engine may have one in the next.
    later = replace(held, plan=given(text.replace("CONDITION", "ok")).plan).when(retry("pause"))
    later.then("OperatorActed pause", f"{event_name} pause").then_step("pause", status).then_status("running")
    if action.startswith("sleep"):
        later.after("1h").then("TimerFired pause", "SagaCompleted")


def test_a_loop_that_was_blocked_reopens_with_its_items() -> None:
    text = saga(
        """
        step: ship, call: post.ship, kind: retriable
        step: each, call: p.x, kind: retriable, for_each: {in: "${{steps.ship.result.LIST}}"}, with: {n: "${{item.n}}"}
        """
    )
    held = given(text.replace("LIST", "missing")).started().when(reply("ship").succeeded({"list": [{"n": 1}, {}]}))
    held.then_status("blocked")
    opened = replace(held, plan=given(text.replace("LIST", "list")).plan).when(retry("each"))
    opened.then("OperatorActed each", "ItemsFixed each", "CommandIssued each/0", "StepBlocked each/1")
    fixed = replace(opened, plan=given(text.replace("LIST", "list").replace("item.n", "item")).plan)
    fixed.when(retry("each", 1)).then("OperatorActed each/1", "CommandIssued each/1").then_commands(
        command("p.x", item=1, payload={"n": {}})
    )
