"""What makes a definition sound beyond its form: names, needs, kinds, the point of no return.

Owns the rules E201 to E219, as functions from a definition to findings; they hold for every definition, wherever it
came from. Source: design of the language; kinds after Richardson, Microservices Patterns, ch. 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from saga_engine.definition.cel_parser import ROOTS
from saga_engine.definition.model import Call, Child, Definition, Kind, OnTimeout, Sleep, StartOn, Step, Wait, WaitOn
from saga_engine.definition.order import Order, Placed, placed
from saga_engine.definition.paths import RESERVED
from saga_engine.definition.policies import without_bound
from saga_engine.definition.problems import Finding, PathPart, nearest, shown
from saga_engine.definition.template import OPEN


def breaches(definition: Definition) -> list[Finding]:
    """Everything in which a definition breaks the rules. Child sagas are judged when they are expanded."""
    steps = placed(definition)
    order = Order(steps)
    return [
        *_key(definition),
        *_names(definition),
        *_needs(definition),
        *_cycles(definition, order),
        *_children(definition),
        *_never_run(definition),
        *_items(definition),
        *kind_breaches(steps, order),
    ]


def kind_breaches(steps: Sequence[Placed], order: Order) -> list[Finding]:
    """The rules about kinds and the point of no return, over steps as written or with child sagas opened."""
    pivots = [step for step in steps if _kind(step) is Kind.PIVOT]
    findings = list(_pivots(pivots))
    if pivots:
        findings += [finding for step in steps for finding in _beside_pivot(step, pivots[0], order)]
    else:
        findings += _compensatable_before_retriable(steps, order)
    return findings + list(_waits(steps, order))


def past_return(steps: Sequence[Placed], order: Order) -> frozenset[str]:
    """The steps that are tried without bound: pivot, retriable, and `read_only` ones that follow one of these."""
    final = [step.name for step in steps if _kind(step) in (Kind.PIVOT, Kind.RETRIABLE)]
    after = [
        step.name
        for step in steps
        if _kind(step) is Kind.READ_ONLY and any(order.before(name, step.name) for name in final)
    ]
    return frozenset(final + after)


def _kind(step: Placed) -> Kind | None:
    return step.action.kind if isinstance(step.action, Call) else None


def _key(definition: Definition) -> Iterator[Finding]:
    if definition.key is not None and not definition.key.roots:
        message = '"key" does not depend on the input: there could be one such saga, for ever'
        yield Finding("E237", ("key",), message, 'an expression such as "${{ input.id }}"', "or leave it out")
    for path, on in _occasions(definition):
        if on.key is not None and not on.key.roots:
            message = '"key" does not depend on the event: all would mean one saga'
            yield Finding("E237", (*path, "key"), message, 'an expression such as "${{ event.data.id }}"')


def _occasions(definition: Definition) -> Iterator[tuple[tuple[PathPart, ...], StartOn | WaitOn]]:
    if definition.on is not None:
        yield ("on",), definition.on
    for index, step in enumerate(definition.steps):
        if isinstance(step.action, Wait) and step.action.on is not None:
            yield ("steps", index, "wait", "on"), step.action.on


def _names(definition: Definition) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, step in enumerate(definition.steps):
        if step.name in first:
            related = (("steps", first[step.name], "step"), "first")
            message = f"two steps are named {shown(step.name)}"
            yield Finding("E201", ("steps", index, "step"), message, "a name per step", related=related)
        first.setdefault(step.name, index)


def _needs(definition: Definition) -> Iterator[Finding]:
    names = [step.name for step in definition.steps]
    for index, step in enumerate(definition.steps):
        for place, need in enumerate(step.needs):
            if need not in names:
                expected = "the name of a step of this saga"
                hint = nearest(need, [name for name in names if name != step.name])
                yield Finding("E202", ("steps", index, "needs", place), f"no step {shown(need)}", expected, hint)


def _cycles(definition: Definition, order: Order) -> Iterator[Finding]:
    index_of = {step.name: index for index, step in reversed(list(enumerate(definition.steps)))}
    for cycle in order.cycles:
        start = min(range(len(cycle) - 1), key=lambda place: index_of[cycle[place]])
        ring = (*cycle[start:-1], *cycle[: start + 1])
        step, before = definition.steps[index_of[ring[0]]], ring[-2]
        path = ("steps", index_of[ring[0]], "needs", step.needs.index(before))
        related = (("steps", index_of[before], "step"), f"{before} is")
        message = "steps wait for each other: " + " → ".join(ring)
        yield Finding("E203", path, message, "an order without a cycle", related=related)


def _children(definition: Definition) -> Iterator[Finding]:
    for index, step in enumerate(definition.steps):
        if isinstance(step.action, Child) and step.action.saga == definition.saga:
            message = f"the saga {definition.saga} contains itself"
            yield Finding("E215", ("steps", index, "saga"), message, "another saga")


def _never_run(definition: Definition) -> Iterator[Finding]:
    for index, step in enumerate(definition.steps):
        source = None if step.condition is None else step.condition.source
        if step.condition is None:
            continue
        path = ("steps", index, "if")
        if source is False or (isinstance(source, str) and source.replace(" ", "") == "${{false}}"):
            yield Finding("E219", path, f"the step {step.name} can never run", "a condition", "remove the step")
        elif not isinstance(source, bool) and not (isinstance(source, str) and OPEN in source):
            hint = f'write "${{{{ {source} }}}}"' if isinstance(source, str) else ""
            yield Finding("E149", path, '"if" is no expression', "an expression that is true or false", hint)


def _items(definition: Definition) -> Iterator[Finding]:
    for index, step in enumerate(definition.steps):
        each = step.action.for_each if isinstance(step.action, Call) else None
        if each is None or not isinstance(step.action, Call):
            continue
        path = ("steps", index, "for_each")
        source = each.items.source
        if each.as_name in ROOTS or each.as_name in RESERVED:
            message = f'"as: {each.as_name}" hides what expressions call so already'
            yield Finding("E217", (*path, "as"), message, "a name other than " + ", ".join(sorted(ROOTS | RESERVED)))
        if not isinstance(source, list | tuple) and not (isinstance(source, str) and OPEN in source):
            yield Finding(
                "E217", (*path, "in"), '"in" is no list', 'a list, or an expression such as "${{ input.items }}"'
            )
        if each.tolerate and step.action.kind in (Kind.RETRIABLE, Kind.PIVOT):
            message = f'"tolerate" on a {step.action.kind} step, which is never given up'
            yield Finding("E217", (*path, "tolerate"), message, "no failures to tolerate", "remove it")
        if step.action.kind is Kind.PIVOT:
            yield Finding("E210", path, "a pivot in a for_each", "one command that decides", "take the for_each away")


def _pivots(pivots: Sequence[Placed]) -> Iterator[Finding]:
    for pivot in pivots[1:]:
        related = ((*pivots[0].path, "kind"), f"{pivots[0].name} is")
        message = f"{pivot.name} is a second pivot"
        yield Finding("E206", (*pivot.path, "kind"), message, "at most one pivot in a saga", related=related)


def _beside_pivot(step: Placed, pivot: Placed, order: Order) -> Iterator[Finding]:
    kind = _kind(step)
    if kind in (Kind.PIVOT, Kind.READ_ONLY) or isinstance(step.action, Child):
        return
    what = kind.value if kind else _action_word(step)
    related = ((*pivot.path, "kind"), f"{pivot.name} is")
    path = (*step.path, "kind") if kind else step.path
    if order.before(pivot.name, step.name):
        if kind is Kind.COMPENSATABLE:
            message = f"{step.name} is compensatable and comes after the pivot {pivot.name}"
            yield Finding("E207", path, message, "retriable or read_only after the pivot", related=related)
    elif order.before(step.name, pivot.name):
        if kind is Kind.RETRIABLE:
            message = f"{step.name} is retriable and comes before the pivot {pivot.name}"
            yield Finding("E207", path, message, "compensatable or read_only before the pivot", related=related)
    else:
        message = f"{step.name} ({what}) is parallel to the pivot {pivot.name}"
        expected = "before it, after it, or read_only"
        yield Finding("E207", path, message, expected, 'order the two with "needs"', related)


def _action_word(step: Placed) -> str:
    return "sleep" if isinstance(step.action, Sleep) else "wait"


def _compensatable_before_retriable(steps: Sequence[Placed], order: Order) -> Iterator[Finding]:
    retriable = [step for step in steps if _kind(step) is Kind.RETRIABLE]
    for step in steps:
        if _kind(step) is not Kind.COMPENSATABLE:
            continue
        first = next((other for other in retriable if not order.before(step.name, other.name)), None)
        if first is not None:
            relation = "comes after" if order.before(first.name, step.name) else "is parallel to"
            message = f"{step.name} is compensatable and {relation} the retriable step {first.name}"
            expected = "every compensatable step before every retriable one"
            related = ((*first.path, "kind"), f"{first.name} is")
            yield Finding("E211", (*step.path, "kind"), message, expected, related=related)


def _waits(steps: Sequence[Placed], order: Order) -> Iterator[Finding]:
    """A wait that may fail must be over before anything is done for good."""
    final = [step for step in steps if _kind(step) in (Kind.PIVOT, Kind.RETRIABLE)]
    for step in steps:
        wait = step.action
        if not isinstance(wait, Wait) or wait.timeout_us is None or wait.on_timeout is OnTimeout.CONTINUE:
            continue
        first = next((other for other in final if not order.before(step.name, other.name)), None)
        if first is not None:
            message = f"{step.name} may fail after the point of no return, the step {first.name}"
            related = ((*first.path, "kind"), f"{first.name} is")
            expected = "on_timeout: continue past the point of no return"
            yield Finding("E212", (*step.path, "wait", "on_timeout"), message, expected, related=related)


def ignored_limits(steps: Sequence[Placed], endless: frozenset[str]) -> Iterator[Finding]:
    """Where a limit would stand, were it written, that a step which is never given up cannot have."""
    for step in steps:
        if step.name not in endless:
            continue
        why = "is past the point of no return" if _kind(step) is Kind.READ_ONLY else "is never given up"
        for keys in (("retry", "maximum_attempts"), ("retry", "non_retryable_errors"), ("timeout", "total")):
            message = f'"{keys[1]}" has no effect: {step.name} {why}'
            yield Finding("E214", (*step.path, *keys), message, "no limit on its attempts", "remove it")


def settled(definition: Definition, endless: frozenset[str], prefix: str = "") -> Definition:
    """The definition in which the steps that are never given up have no limit, whatever the defaults say.

    `endless` names steps as `order.opened` does; `prefix` is the place of this definition in there.
    """
    return replace(definition, steps=tuple(_settled(step, endless, prefix + step.name) for step in definition.steps))


def _settled(step: Step, endless: frozenset[str], name: str) -> Step:
    action = step.action
    if isinstance(action, Child) and action.definition is not None:
        return replace(step, action=replace(action, definition=settled(action.definition, endless, name + "/")))
    if not isinstance(action, Call) or name not in endless:
        return step
    retry, timeout = without_bound(action.retry, action.timeout)
    return replace(step, action=replace(action, retry=retry, timeout=timeout))
