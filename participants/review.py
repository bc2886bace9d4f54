"""The review service: looks at an order that is paid, and approves it or refuses it. Its refusal is final."""

from pydantic import BaseModel, PositiveInt

from saga_engine.participant import Context, Participant, Rejected
from store import reviews

review = Participant("review")


class ReviewSettings(BaseModel):
    """`limit`: the largest amount that is approved, in minor units."""

    limit: int = 500_000


class ReviewOrder(BaseModel):
    order_id: str
    customer_id: str
    amount: PositiveInt


@review.command
def approve(ctx: Context, command: ReviewOrder) -> None:
    settings = ReviewSettings.model_validate(ctx.settings)
    if command.amount > settings.limit:
        raise Rejected("review_refused", f"{command.amount} is above the limit of {settings.limit}")
    reviews.approve(ctx.db, ctx.saga_id, command.order_id, command.customer_id, command.amount)
