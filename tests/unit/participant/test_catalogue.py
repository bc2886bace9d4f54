"""What handlers declare, as definitions are checked against it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import BaseModel, PositiveInt

from saga_engine.definition.catalogue import CommandEntry
from saga_engine.errors import UsageError
from saga_engine.participant import Context, Participant
from saga_engine.participant.catalogue import catalogue_of
from saga_engine.participant.registry import merge


class Debit(BaseModel):
    amount: PositiveInt


class Receipt(BaseModel):
    receipt: str


def test_a_handlers_models_become_the_schemas_of_its_command() -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context, command: Debit) -> Receipt:
        return Receipt(receipt="R-1")

    @payment.command
    async def ping(ctx: Context): ...  # type: ignore[no-untyped-def] # a handler that declares nothing

    catalogue = catalogue_of(merge([payment]).values())
    entry = catalogue.get("payment", "debit")
    assert entry is not None
    assert entry.input is not None
    assert entry.input["properties"] == {"amount": {"exclusiveMinimum": 0, "title": "Amount", "type": "integer"}}
    assert entry.result is not None
    assert entry.result["required"] == ["receipt"]
    assert entry.fenced
    assert catalogue.get("payment", "ping") == CommandEntry(None, None, fenced=False)


def test_a_type_without_a_schema_is_named_with_its_handlers_place() -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context, command: Callable[[], int]) -> None: ...

    with pytest.raises(UsageError, match=r"test_catalogue\.py:\d+: .*payment\.debit.*JSON Schema"):
        catalogue_of(merge([payment]).values())
    assert catalogue_of(merge([payment]).values(), lenient=True).get("payment", "debit") == CommandEntry()
