"""Random sound definitions as YAML: graphs, loops, conditions, waits, sleeps, with and without a point of no return.

Owns the grammar of what is drawn. That it is sound the loader checks.
"""

from __future__ import annotations

from random import Random
from typing import Final

import orjson

from saga_engine.definition.model import Json

Step = dict[str, Json]

_LEFT_RIGHT: Final = ("left", "right")


def random_definition(random: Random) -> str:
    """The text of a definition of up to eight steps."""
    before = [_before(random, f"b{index}") for index in range(random.randint(1, 5))]
    _needs(random, before)
    steps = before
    names: list[Json] = [step["step"] for step in before]
    if random.random() < 0.4:
        steps = [*steps, {"step": "pivot", "kind": "pivot", "needs": names, "call": _target(random, "commit")}]
        names = ["pivot"]
    for index in range(random.randint(0, 2)):
        after: Step = {"step": f"a{index}", "kind": "retriable", "needs": names, "call": _target(random, "tell")}
        if random.random() < 0.5:
            after["emit"] = "Told"
        steps = [*steps, _maybe_each(random, after)]
    whole: Step = {
        "saga": "random",
        "version": 1,
        "key": "${{ input.id }}",
        "emit": {"completed": "RandomCompleted", "compensated": "RandomCompensated"},
        "defaults": {"retry": _retry(random), "timeout": {"reply": "4s", "total": "90s"}},
        "steps": [*steps],
    }
    if random.random() < 0.5:
        whole["timeout"] = f"{random.randint(60, 300)}s"
    return "# JSON is YAML\n" + orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode()


def _before(random: Random, name: str) -> Step:
    drawn = random.random()
    if drawn < 0.1:
        return {"step": name, "sleep": f"{random.randint(1, 40)}s"}
    if drawn < 0.2:
        how = random.choice(("fail", "continue"))
        return {"step": name, "wait": {"event": random.choice(("News", "Other")), "timeout": "40s", "on_timeout": how}}
    if drawn < 0.3:
        return {"step": name, "kind": "read_only", "call": _target(random, "look")}
    call: Step = {"step": name, "call": _target(random, "take")}
    if random.random() < 0.3:
        call["emit"] = "Taken"
    if random.random() < 0.15:
        call["if"] = "${{ input.amount > 30 }}"
    undo: Step = {"call": str(call["call"]).replace("take", "give"), "retry": _retry(random)}
    if random.random() < 0.2:
        undo["on_exhausted"] = "continue"
    call["compensate"] = undo if random.random() < 0.9 else "none"
    return _maybe_each(random, call)


def _maybe_each(random: Random, step: Step) -> Step:
    if random.random() < 0.2:
        tolerated = random.randint(0, 2) if step.get("kind") is None else 0
        step["for_each"] = {"in": "${{ input.items }}", "max_parallel": random.randint(1, 3), "tolerate": tolerated}
    return step


def _needs(random: Random, steps: list[Step]) -> None:
    """Often the one above alone, as in most sagas."""
    for index, step in enumerate(steps):
        if random.random() < 0.5:
            above: list[Json] = [each["step"] for each in steps[:index]]
            step["needs"] = random.sample(above, random.randint(0, min(2, len(above))))


def _target(random: Random, command: str) -> str:
    return f"{random.choice(_LEFT_RIGHT)}.{command}"


def _retry(random: Random) -> Json:
    return {"maximum_attempts": random.randint(1, 3), "initial_interval": "1s", "maximum_interval": "4s"}
