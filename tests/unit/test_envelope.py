"""Idempotency keys: whatever way one is written, its address and the key that we write are the same."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from saga_engine.core.events import Direction
from saga_engine.envelope import Address, parse_key

SAGA = "0190f4c2-7a10-7c3e-9d2b-0a1b2c3d4e5f"
LONG = "/".join(["a_child_of_a_child"] * 20)

WRITTEN = [
    (f"{SAGA}/debit/forward", Address(UUID(SAGA), "debit", None, Direction.FORWARD)),
    (f"{SAGA}/parent/debit/compensate", Address(UUID(SAGA), "parent/debit", None, Direction.COMPENSATE)),
    (f"{SAGA}/debit/0/forward", Address(UUID(SAGA), "debit", 0, Direction.FORWARD)),
    (f"{SAGA}/parent/debit/12/compensate", Address(UUID(SAGA), "parent/debit", 12, Direction.COMPENSATE)),
    (f"{SAGA}/{LONG}/7/forward", Address(UUID(SAGA), LONG, 7, Direction.FORWARD)),
    (f"{SAGA}/debit/1234567890/forward", Address(UUID(SAGA), "debit/1234567890", None, Direction.FORWARD)),
]


@pytest.mark.parametrize(("key", "address"), WRITTEN)
def test_a_key_is_read_as_it_was_written(key: str, address: Address) -> None:
    for _ in range(2):  # once new, once known
        read = parse_key(key)
        assert read == address
        assert read is not None
        assert read.key == address.key == key


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        (f"{SAGA.upper()}/debit/forward", f"{SAGA}/debit/forward"),
        (f"{SAGA}/debit/007/forward", f"{SAGA}/debit/7/forward"),
        (f"{SAGA}/{LONG}/007/forward", f"{SAGA}/{LONG}/7/forward"),
    ],
)
def test_a_key_that_is_written_in_another_way_is_ours(key: str, ours: str) -> None:
    for _ in range(2):
        read = parse_key(key)
        assert read is not None
        assert read == parse_key(ours)
        assert read.key == ours


def test_an_address_that_was_made_of_another_one_has_a_key_of_its_own() -> None:
    read = parse_key(f"{SAGA}/debit/forward")
    assert read is not None
    assert replace(read, direction=Direction.COMPENSATE).key == f"{SAGA}/debit/compensate"


@pytest.mark.parametrize(
    "key",
    ["", "/", "debit/forward", SAGA, f"{SAGA}/", f"{SAGA}/forward", f"{SAGA}//forward", f"{SAGA}/debit",
     f"{SAGA}/debit/sideways", f"{SAGA}/7/forward", f"{SAGA[:-1]}/debit/forward", f"{SAGA[:-1]}x/debit/forward",
     f"{SAGA}/{LONG}/sideways"],
)  # fmt: skip
def test_what_is_no_key_has_no_address(key: str) -> None:
    assert parse_key(key) is None
    assert parse_key(key) is None
