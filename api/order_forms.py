"""The form of an order on the wire: how one is placed, in our form or the example application's, and how one is shown.

Money is integer minor units; the example's amounts are converted. Knows no path and no saga.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from saga_engine.words import words_problem

MOST_ITEMS: Final = 500
_MINOR: Final = 100
_MOST_AMOUNT: Final = 2**53 - 1


def _text(text: str) -> str:
    problem = words_problem(text)
    if problem is not None:
        raise ValueError(problem)
    return text


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_text)]
Quantity = Annotated[int, Field(ge=1, le=1_000_000)]


class Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Item(Taken):
    """`unit_price` in minor units: 1250 is 12.50."""

    code: Text
    name: Text
    unit_price: int = Field(ge=0, le=1_000_000_000)
    quantity: Quantity


def _minor(price: float) -> float:
    if Decimal(str(price)) * _MINOR % 1:
        raise ValueError("has more than two decimals")
    return price


class ExampleItem(Taken):
    """An item as the example application sends it: `unit_price` is 12.5 for 12.50."""

    code: Text
    name: Text
    unit_price: Annotated[float, Field(ge=0, le=10_000_000), AfterValidator(_minor)]
    quantity: Quantity

    def exact(self) -> Item:
        """The same with its price in minor units."""
        price = int(Decimal(str(self.unit_price)) * _MINOR)
        return Item(code=self.code, name=self.name, unit_price=price, quantity=self.quantity)


class PlaceOrder(Taken):
    """`items`, or `order_items` as the example application sends them. The amount is their sum.

    What else that application sends, `order_id`, `status`, `created_on` and `amount`, is not looked at, as there.
    """

    customer_id: Text
    restaurant_id: Text | None = None
    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_ITEMS)] | None = None
    order_items: Annotated[list[ExampleItem], Field(min_length=1, max_length=MOST_ITEMS)] | None = None
    order_id: str | None = None
    status: str | None = None
    created_on: str | None = None
    amount: float | None = None

    @model_validator(mode="after")
    def _one_list_with_a_price(self) -> PlaceOrder:
        if (self.items is None) == (self.order_items is None):
            raise ValueError("give items, or order_items: one of them")
        if not 0 < self.total() <= _MOST_AMOUNT:
            raise ValueError("the items come to nothing, or to more than can be paid")
        return self

    def exact_items(self) -> list[Item]:
        """The items, in minor units."""
        return self.items or [one.exact() for one in self.order_items or ()]

    def total(self) -> int:
        """What they come to, in minor units."""
        return sum(one.unit_price * one.quantity for one in self.exact_items())


class Order(BaseModel):
    """An order. `amount` and `unit_price` in minor units. `saga_id`: the saga that places it."""

    order_id: str
    saga_id: UUID
    customer_id: str
    restaurant_id: str | None
    status: Literal["pending", "approved", "rejected"]
    reason: str | None
    amount: int
    items: list[Item]
    created_on: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Orders(BaseModel):
    orders: list[Order]
