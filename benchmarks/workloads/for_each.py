"""Commands per second of `for_each` over 1,000 items, 100 at a time, against those of plain sagas in the same run."""

from __future__ import annotations

from typing import Final

from benchmarks.orders import orders
from benchmarks.records import Figures
from benchmarks.stage import Stage

ITEMS: Final = 1_000
_SAGAS: Final = 30
_TOGETHER: Final = 10
"""Ten sagas of a hundred commands each are as many in flight as with plain sagas."""

_STEPS_OF_PLAIN: Final = 3


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    plain = await stage.run("order")
    items = [{"order_id": one["order_id"]} for one in orders(ITEMS, fail=False, tag="item")]
    loaded = await stage.load.run("for_each", iter([{"orders": items}] * _SAGAS), "completed", _TOGETHER)
    commands = loaded.sagas_per_s * ITEMS
    plain_commands = plain.sagas_per_s * _STEPS_OF_PLAIN
    figures = {"ratio": commands / plain_commands, "commands_per_s": commands, "plain_commands_per_s": plain_commands}
    return figures, loaded.usage.foreign
