"""What a result rests on, in words: the properties, what was assumed, and what was made smaller.

Owns the wording. Everything that the exploration leaves out must be said here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saga_engine.core.compiling import compile_plan
from saga_engine.core.plan import Plan
from saga_engine.definition.model import Call, Definition, Kind, Wait
from saga_engine.verify.abstraction import MOST_ATTEMPTS, MOST_ITEMS, MOST_TOLERATED, is_open
from saga_engine.verify.moves import SUSPENSION
from saga_engine.verify.world import Fenced

PROPERTIES: Final = (
    "it ends, completed, compensated or closed, once faults stop",
    "completed: every step on the path taken had its effect, and joins closed",
    "compensated: every effect is undone; closed: all but what was exhausted or skipped",
    "nothing is compensated that was rejected or never issued, and nothing past the point of no return",
    "commands go out after what they need, compensations in reverse; no command once compensation began",
    "a rejection is final, attempts are limited, nothing is sent while suspended, the end is the end",
)


def assumed(definition: Definition, fenced: Fenced, faults: int) -> Iterator[str]:
    """What must be true for the result to hold in production."""
    yield "a command that is sent again and again is answered in the end; an operator acts on what is blocked"
    yield (
        f"at most {faults} faults in one run: a failed answer, an answer that does not come in time, an expression "
        f"without a value; a suspension counts for {SUSPENSION}"
    )
    calls = _calls(compile_plan(definition))
    protected = sorted({call.participant for call in calls if fenced(call.participant, call.command)})
    bare = sorted(
        {f"{call.participant}.{call.command}" for call in calls if not fenced(call.participant, call.command)}
    )
    if protected:
        yield f"{', '.join(protected)}: an inbox in the transaction of the effect (a handler with a database)"
    if bare:
        yield (
            f"{', '.join(bare)}: no inbox; once done it is not done again (its idempotency key is passed on), a first "
            "rejection is definite, and no worker runs it past its deadline"
        )


def abstracted(definition: Definition) -> Iterator[str]:
    """What was made smaller or left open."""
    yield "messages are a set: each may come any number of times, in any order, late, or never (a crash loses it)"
    yield "time has no length: whatever is timed may come before or after whatever else"
    plan = compile_plan(definition)
    calls = _calls(plan)
    if any(node.guards for node in plan.nodes.values()):
        yield "a condition is true or false whatever the input; those that are written alike are alike"
    if any(is_open(call.payload.source) for call in calls):
        yield "values stand for any value"
    if any(_many(call) for call in calls):
        yield f"limits of more than {MOST_ATTEMPTS} attempts were explored as {MOST_ATTEMPTS}"
    loops = [call.for_each for call in calls if call.for_each is not None]
    if loops:
        yield f"lists were explored with 0 to {MOST_ITEMS} items"
    if any(loop.tolerate > MOST_TOLERATED for loop in loops):
        yield f"more than {MOST_TOLERATED} tolerated failures were explored as {MOST_TOLERATED}"
    if any(isinstance(node.action, Wait) for node in plan.nodes.values()):
        yield "a signal may come at any time, also before its wait, or never; one of a name is kept at a time"
    yield "parallel steps that differ only in name change places; states are told apart by 64 bits of their hash"


def hints(definition: Definition, fenced: Fenced) -> Iterator[str]:
    """What in the definition is known to break a property, for a person who looks for the reason."""
    plan = compile_plan(definition)
    yield from _endless_waits(plan)
    for place, node in plan.nodes.items():
        call = node.call
        if call is None:
            continue
        bare = not fenced(call.participant, call.command)
        if bare and call.kind is Kind.PIVOT:
            yield (
                f"{place} is a pivot without an inbox: once it failed or was not answered, a rejection tells nothing, "
                f"and it is asked for ever; give {call.participant} a database and make the handler a plain `def` with "
                "ctx.db, or let it never reject what may have had an effect"
            )
        undo = call.compensation
        if undo is not None and undo.participant != call.participant:
            yield (
                f"{place} is undone by another participant, {undo.participant}, whose inbox cannot refuse a late "
                f"command to {call.participant}; let {call.participant} undo it"
            )


def _endless_waits(plan: Plan) -> Iterator[str]:
    """The waits that no time limit ends. That of the saga does, unless the point of no return may come before it."""
    for place, node in plan.nodes.items():
        if not isinstance(node.action, Wait) or node.action.timeout_us is not None:
            continue
        saga_ends_it = all(place in _needed(plan, gate) for gate in plan.gates)
        if saga_ends_it and plan.definition.timeout_us is not None:
            continue
        where = "the wait or the saga" if saga_ends_it else "the wait"
        yield (
            f"{place} waits for {node.action.event} without a time limit: if nobody sends it, the saga never ends; "
            f"give {where} a `timeout`"
        )


def _needed(plan: Plan, place: str) -> frozenset[str]:
    """All that comes before a step."""
    found: set[str] = set()
    stack = list(plan.nodes[place].needs)
    while stack:
        need = stack.pop()
        if need not in found:
            found.add(need)
            stack += plan.nodes[need].needs
    return frozenset(found)


def _calls(plan: Plan) -> list[Call]:
    return [node.call for node in plan.nodes.values() if node.call is not None]


def _many(call: Call) -> bool:
    retries = [call.retry] + ([] if call.compensation is None else [call.compensation.retry])
    return any(retry.maximum_attempts is not None and retry.maximum_attempts > MOST_ATTEMPTS for retry in retries)
