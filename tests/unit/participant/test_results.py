"""Results and failures as they go on the wire."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from saga_engine.core.inputs import Outcome
from saga_engine.definition.values import MAX_PAYLOAD
from saga_engine.participant.failures import MAX_MESSAGE, failure_of
from saga_engine.participant.results import ResultRefusedError, decode_result, encode_result


class Receipt(BaseModel):
    receipt: str
    at: datetime
    fee: Decimal


def test_a_model_becomes_canonical_json() -> None:
    result = Receipt(receipt="R-1", at=datetime(2026, 1, 2, tzinfo=UTC), fee=Decimal("0.10"))
    assert encode_result(result) == '{"at":"2026-01-02T00:00:00Z","fee":"0.10","receipt":"R-1"}'


@pytest.mark.parametrize("value", [None, True, 0, -(2**53), 2**53, 1.5, "", "naïve", [], {"a": [{"b": None}]}])
def test_a_json_value_comes_back_as_it_was(value: object) -> None:
    assert decode_result(encode_result(value)) == value


class Ratio(BaseModel):
    value: float
    count: int = 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [math.nan]}, "the number nan"),
        (Ratio(value=math.inf), "the number inf"),
        (Ratio(value=0, count=2**53 + 1), "beyond 2\\^53"),
        ({"n": -(2**70)}, "beyond 2\\^53"),
        ({"o": object()}, "cannot be written as JSON"),
        ("\ud800", "cannot be written as JSON"),
    ],
)
def test_what_json_cannot_carry_exactly_is_refused(value: object, message: str) -> None:
    with pytest.raises(ResultRefusedError, match=message) as refused:
        encode_result(value)
    assert refused.value.code == "result_not_json"


def test_a_result_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ResultRefusedError, match="cannot be written as JSON"):
        encode_result(endless)


@pytest.mark.parametrize(
    ("levels", "code"), [(65, "result_too_deep"), (254, "result_too_deep"), (300, "result_not_json")]
)
def test_a_result_of_more_than_sixty_four_levels_is_refused(levels: int, code: str) -> None:
    deep: object = 1
    for _ in range(64):
        deep = [deep]
    assert encode_result(deep) == "[" * 64 + "1" + "]" * 64
    for _ in range(levels - 64):
        deep = {"in": deep}
    with pytest.raises(ResultRefusedError) as refused:
        encode_result(deep)
    assert refused.value.code == code


def test_a_result_at_the_limit_is_taken_and_one_past_it_is_not() -> None:
    assert len(encode_result("x" * (MAX_PAYLOAD - 2))) == MAX_PAYLOAD
    with pytest.raises(ResultRefusedError) as refused:
        encode_result("x" * (MAX_PAYLOAD - 1))
    assert refused.value.code == "result_too_large"


class CardNetworkDown(Exception): ...  # noqa: N818 - the name is what is tested


class HTTPError(Exception): ...


class Ünlesbar(Exception): ...  # noqa: N818 - the name is what is tested


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CardNetworkDown("no route"), "card_network_down", "no route"),
        (HTTPError(), "http_error", "HTTPError"),
        (Ünlesbar("x"), "error", "x"),
        (ZeroDivisionError("division by zero"), "zero_division_error", "division by zero"),
        (ValueError("a\x00b\nc\u202ed"), "value_error", "a b c d"),
    ],
)
def test_an_exception_becomes_a_code_and_one_printable_line(error: Exception, code: str, message: str) -> None:
    answer = failure_of(error)
    assert (answer.outcome, answer.code, answer.message) == (Outcome.FAILED, code, message)


def test_a_long_message_is_cut() -> None:
    assert len(failure_of(ValueError("x" * 10_000)).message) == MAX_MESSAGE


def test_a_database_error_is_told_without_statement_and_values() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (k TEXT PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES (:k)"), {"k": "secret"})
        with pytest.raises(IntegrityError) as raised:
            connection.execute(text("INSERT INTO t VALUES (:k)"), {"k": "secret"})
    engine.dispose()
    answer = failure_of(raised.value)
    assert (answer.code, answer.message) == ("integrity_error", "UNIQUE constraint failed: t.k")


def test_a_validation_error_inside_a_handler_is_told_without_values() -> None:
    with pytest.raises(ValidationError) as raised:
        Receipt.model_validate({"receipt": "R", "at": "secret", "fee": "1"})
    message = failure_of(raised.value).message
    assert message.startswith("at: Input should be a valid datetime")
    assert "secret" not in message
