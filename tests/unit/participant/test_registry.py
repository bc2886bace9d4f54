"""Registering handlers: the forms that are taken, and what is said about the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from saga_engine.errors import UsageError
from saga_engine.participant import Context, Participant, Rejected
from saga_engine.participant.context import context_of
from saga_engine.participant.registry import merge
from tests.unit.participant.support import SETTINGS, compensation, forward


class Debit(BaseModel):
    order_id: str
    amount: int


def context(connection: None = None) -> Context:
    return context_of(forward(), SETTINGS, None, connection)


def test_a_handler_is_registered_under_its_functions_name_or_the_one_given() -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context, command: Debit) -> None: ...

    @payment.command("give_back")
    async def refund(ctx: Context) -> None: ...

    @payment.command()
    def check(ctx: Context, command: dict[str, object]) -> dict[str, object]:
        return command

    assert [(handler.command, handler.fenced) for handler in payment.handlers.values()] == [
        ("debit", True),
        ("give_back", False),
        ("check", True),
    ]


def test_a_decorated_handler_is_still_the_function_it_was() -> None:
    payment = Participant("payment")

    def twice(ctx: Context, command: dict[str, int]) -> int:
        return command["n"] * 2

    assert payment.command(twice) is twice


def test_participants_of_one_name_are_merged() -> None:
    forwards, backwards = Participant("payment"), Participant("payment")

    @forwards.command
    def debit(ctx: Context) -> None: ...

    @backwards.command
    def refund(ctx: Context) -> None: ...

    merged = merge([forwards, Participant("order"), backwards])
    assert sorted(merged) == ["order", "payment"]
    assert sorted(merged["payment"].handlers) == ["debit", "refund"]
    assert not merged["payment"].mixed


def test_two_handlers_of_one_command_are_refused_with_both_places() -> None:
    first, second = Participant("payment"), Participant("payment")

    @first.command
    def debit(ctx: Context) -> None: ...

    @second.command("debit")
    def charge(ctx: Context) -> None: ...

    with pytest.raises(UsageError, match=r"payment\.debit has two handlers") as refused:
        merge([first, second])
    assert str(refused.value).count("test_registry.py:") == 2


def test_a_second_handler_of_the_same_participant_is_refused_at_once() -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context) -> None: ...

    with pytest.raises(UsageError, match="two handlers"):

        @payment.command("debit")
        def charge(ctx: Context) -> None: ...


@pytest.mark.parametrize("name", ["", "Payment", "pay.ment", "payment service", "p" * 64])
def test_a_participant_name_that_is_no_subject_token_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="must match"):
        Participant(name)


def no_parameters() -> None: ...


def three_parameters(ctx: Context, command: Debit, more: int) -> None: ...


def keyword_only(ctx: Context, *, command: Debit) -> None: ...


def not_annotated(ctx: Context, command) -> None: ...  # type: ignore[no-untyped-def] # that is what is tested


def wrong_order(command: Debit, ctx: Context) -> None: ...


def generator(ctx: Context) -> Iterator[int]:
    yield 1


async def async_generator(ctx: Context) -> AsyncIterator[int]:
    yield 1


def Capital(ctx: Context) -> None: ...  # noqa: N802 - that is what is tested


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_parameters, "takes 0 parameters"),
        (three_parameters, "takes 3 parameters"),
        (keyword_only, "expected def handler"),
        (not_annotated, "annotate 'command'"),
        (wrong_order, "first parameter of handler 'wrong_order' must be the Context"),
        (generator, "is a generator"),
        (async_generator, "is a generator"),
        (Capital, "command name 'Capital' must match"),
    ],
)
def test_a_function_of_the_wrong_form_is_refused_with_its_place(function: object, message: str) -> None:
    assert callable(function)
    with pytest.raises(UsageError, match=message) as refused:
        Participant("payment").command(function)
    assert "test_registry.py:" in str(refused.value)


def test_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    def debit(ctx: Context, command: Missing) -> None: ...  # type: ignore[name-defined] # noqa: F821 - tested

    with pytest.raises(UsageError, match=r"'Missing' is not defined.*top of the module"):
        Participant("payment").command(debit)


def test_an_input_that_cannot_come_from_json_is_refused() -> None:
    class Opaque: ...

    def debit(ctx: Context, command: object) -> None: ...

    debit.__annotations__["command"] = Opaque
    with pytest.raises(UsageError, match=r"input of 'debit' cannot be read from JSON.*pydantic model"):
        Participant("payment").command(debit)


def test_something_that_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a function"):
        Participant("payment").command(Debit)


def test_the_payload_is_read_as_the_declared_model() -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context, command: Debit) -> int:
        return command.amount

    assert payment.handlers["debit"].call(context(), {"order_id": "o-1", "amount": 5}) == 5


def test_a_payload_that_does_not_fit_is_rejected_without_showing_its_values() -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context, command: Debit) -> None: ...

    with pytest.raises(Rejected) as rejected:
        payment.handlers["debit"].call(context(), {"amount": "secret"})
    assert rejected.value.code == "invalid_input"
    assert "order_id: Field required" in rejected.value.message
    assert "amount: Input should be a valid integer" in rejected.value.message
    assert "secret" not in rejected.value.message


@pytest.mark.parametrize("code", ["", "Card declined", "CARD", "9lives", "a" * 64])
def test_a_rejections_code_must_be_usable_in_a_definition(code: str) -> None:
    with pytest.raises(ValueError, match="code must match"):
        Rejected(code)


def test_an_async_handlers_context_says_that_it_has_no_database() -> None:
    with pytest.raises(UsageError, match="plain def"):
        _ = context().db
    with pytest.raises(UsageError, match="plain def"):
        context().write(text("DELETE FROM payments"))


def test_the_context_of_a_compensation_carries_the_result_of_what_it_undoes() -> None:
    command = compensation(forward(), result={"receipt": "R-1"})
    ctx = context_of(command, SETTINGS, command.undone_result, None)
    assert ctx.result == {"receipt": "R-1"}
    assert ctx.idempotency_key.endswith("/pay/compensate")
    assert ctx.settings["limit"] == 1_000
