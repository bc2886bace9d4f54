"""The stock: it has everything but moonstones."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant, Rejected

stock = Participant("stock")


@stock.command
def reserve(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    if command["sku"] == "moonstone":
        raise Rejected("out_of_stock", "no moonstone left")
    record(ctx)
    return {"shelf": f"shelf of {command['sku']}"}
