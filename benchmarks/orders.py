"""The input of the common workload: an order of about 200 bytes of JSON, the same for engine, limit and peers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeAlias

Order: TypeAlias = dict[str, str | int | bool | list[dict[str, str | int]]]


def orders(count: int, *, fail: bool, tag: str) -> Iterator[Order]:
    """That many orders. `tag` makes their ids differ from those of other runs; `fail`: the debit shall reject."""
    chance = random.Random(tag)
    for number in range(count):
        yield {
            "order_id": f"{tag}-{number:08d}-{chance.getrandbits(64):016x}",
            "customer_id": f"cust-{chance.randrange(10**6):06d}",
            "amount": chance.randrange(100, 99_999),
            "currency": "EUR",
            "items": [
                {"sku": f"sku-{chance.randrange(10**5):05d}", "qty": 2},
                {"sku": f"sku-{chance.randrange(10**5):05d}", "qty": 1},
            ],
            "note": "x" * 20,
            "fail": fail,
        }
