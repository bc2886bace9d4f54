"""Going forward: one step after the other, side by side, skipped, slept, and to the end."""

from __future__ import annotations

from saga_engine.core.events import CommandIssued, SagaCompleted, SagaStarted, StepRejected
from saga_engine.core.inputs import Start
from saga_engine.testing.expectations import command, event, published
from saga_engine.testing.given import given
from saga_engine.testing.moves import cancel, due, reply
from tests.unit.core.sagas import BOOK, FAN, saga

ORDER = """
saga: place_order
version: 3
key: ${{ input.order_id }}
input:
  type: object
  required: [order_id]
  properties: {order_id: {type: string}, amount: {type: integer, default: 7}}
output: {receipt: "${{ steps.debit.result.receipt }}"}
emit: {completed: {event: OrderPlaced, subject: ORDERS.placed}}
steps:
  - {step: create, call: order.create, with: {id: "${{ input.order_id }}"}, emit: OrderCreated, compensate: none}
  - step: debit
    call: payment.debit
    with: {amount: "${{ input.amount }}", order: "${{ steps.create.result.number }}"}
    emit: {event: Debited, data: {paid: "${{ steps.debit.result.receipt }}"}}
    compensate: none
"""


def test_a_start_pins_the_definition_and_issues_the_first_command() -> None:
    started = given(ORDER).started({"order_id": "o-1"}, key="o-1")
    started.then(
        event(
            SagaStarted,
            saga="place_order",
            definition_version=3,
            key="o-1",
            generation=1,
            input={"order_id": "o-1", "amount": 7},
        ),
        event(CommandIssued, step="create", attempt=1, payload={"id": "o-1"}),
    ).then_commands("order.create").then_status("running")


def test_each_step_follows_the_one_above_it_until_the_saga_completes() -> None:
    created = given(ORDER).started({"order_id": "o-1"}).when(reply("create").succeeded({"number": 42}))
    created.then("StepSucceeded create", "CommandIssued debit")
    created.then_commands(command("payment.debit", payload={"amount": 7, "order": 42}))
    created.then_published(published("OrderCreated", {"number": 42}))
    debited = created.when(reply("debit").succeeded({"receipt": "r-1"}))
    debited.then("StepSucceeded debit", event(SagaCompleted, output={"receipt": "r-1"}, output_error=None))
    debited.then_published(published("Debited", {"paid": "r-1"}), published("OrderPlaced", {"receipt": "r-1"}))
    debited.then_status("completed").then_output({"receipt": "r-1"}).then_due_in(None)


def test_an_output_without_a_value_leaves_the_saga_completed_and_says_why() -> None:
    done = (
        given(ORDER)
        .started({"order_id": "o-1"})
        .when(reply("create").succeeded({"number": 1}), reply("debit").succeeded({}))
    )
    done.then_status("completed").then_output(None)
    last = done.stream[-1]
    assert isinstance(last, SagaCompleted)
    assert last.output_error is not None
    assert "receipt" in last.output_error


def test_an_event_whose_data_have_no_value_is_published_with_the_reason() -> None:
    done = given(ORDER).started({"order_id": "o-1"}).when(reply("create").succeeded({"number": 1}))
    debited = done.when(reply("debit").succeeded({})).published[0]
    assert debited.name == "Debited"
    assert isinstance(debited.data, dict)
    assert "receipt" in str(debited.data["error"])


def test_a_started_saga_does_not_start_again() -> None:
    started = given(BOOK).started()
    started.when(lambda _state, at: Start(at, "hash", "key-2", 1, {})).then_nothing().then_ignored("started already")


def test_a_saga_that_was_never_started_refuses_everything_else() -> None:
    given(BOOK).when(due(), cancel(), reply("flight").succeeded()).then_nothing().then_refused("never started")


def test_independent_steps_run_side_by_side_and_join() -> None:
    opened = given(FAN).started().when(reply("open").succeeded())
    opened.then("StepSucceeded open", "CommandIssued left", "CommandIssued right")
    half = opened.when(reply("right").succeeded()).then("StepSucceeded right").then_commands()
    half.when(reply("left").succeeded()).then("StepSucceeded left", "CommandIssued join")


def test_steps_without_needs_begin_at_once() -> None:
    both = saga(
        """
        step: one, needs: [], call: p.one, compensate: none
        step: two, needs: [], call: p.two, compensate: none
        """
    )
    given(both).started().then("SagaStarted", "CommandIssued one", "CommandIssued two")


def test_a_skipped_step_closes_but_its_skipping_does_not_spread() -> None:
    skipping = saga(
        """
        step: gift, if: "${{ input.gift }}", call: p.wrap, compensate: none
        step: send, call: p.send, with: {was: "${{steps.gift.status}}", by: "${{steps.gift.result}}"}, compensate: none
        """
    )
    skipped = given(skipping).started({"gift": False})
    skipped.then("SagaStarted", "StepSkipped gift", "CommandIssued send")
    skipped.then_commands(command("p.send", payload={"was": "skipped", "by": None}))
    given(skipping).started({"gift": True}).then("SagaStarted", "CommandIssued gift")


def test_a_saga_whose_steps_are_all_skipped_completes_at_once() -> None:
    all_skipped = saga("""step: gift, if: "${{ input.gift }}", call: p.wrap, compensate: none""")
    given(all_skipped).started({"gift": False}).then("SagaStarted", "StepSkipped gift", "SagaCompleted")


def test_a_condition_that_is_not_true_or_false_fails_the_step() -> None:
    for value, kind in (
        ("yes", "text"),
        (1, "a number"),
        (1.5, "a number"),
        (None, "null"),
        ([], "a list"),
        ({}, "an object"),
    ):
        text = saga("""step: gift, if: "${{ input.gift }}", call: p.wrap, compensate: none""")
        failed = given(text).started({"gift": value})
        failed.then(
            "SagaStarted",
            event(StepRejected, code="expression", message=f"`if` must be true or false, not {kind}"),
            "CompensationBegan gift",
            "SagaCompensated",
        ).then_failure("expression", step="gift")


def test_a_sleep_waits_its_time_and_no_less() -> None:
    sleeping = given(saga("step: nap, sleep: 5m\nstep: wake, call: p.wake, compensate: none")).started()
    sleeping.then("SagaStarted", "TimerSet nap").then_commands().then_due_in("5m")
    slept = sleeping.after("299s").then_nothing().then_due_in("1s")
    slept.after("1s").then("TimerFired nap", "CommandIssued wake")


def test_a_command_without_a_value_fails_its_step_and_compensates() -> None:
    text = saga(
        """
        step: one, call: p.one, compensate: {call: p.undo_one}
        step: two, call: p.two, with: {x: "${{ steps.one.result.x }}"}, compensate: none
        """
    )
    failed = given(text).started().when(reply("one").succeeded({}))
    failed.then(
        "StepSucceeded one",
        event(StepRejected, step="two", code="expression"),
        "CompensationBegan two",
        "CommandIssued one compensate",
    ).then_status("compensating")


def test_a_payload_that_is_null_is_sent_as_null() -> None:
    given(saga("""step: one, call: p.one, with: "${{ input.x }}", compensate: none""")).started(
        {"x": None}
    ).then_commands(command("p.one", payload=None))


def test_key_and_id_of_the_saga_can_be_read() -> None:
    text = saga("""step: one, call: p.one, with: {id: "${{ saga.id }}", key: "${{ saga.key }}"}, compensate: none""")
    started = given(text).started(key="k-9")
    started.then_commands(command("p.one", payload={"id": str(started.state.saga_id), "key": "k-9"}))
