"""Child sagas: looked up, put into their parents, and judged together with them.

Owns `expand`, which a start and `validate` call with their own way of finding definitions. Reads no file and no store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from saga_engine.definition.model import Child, Definition, Step
from saga_engine.definition.order import Order, opened
from saga_engine.definition.problems import Finding, PathPart
from saga_engine.definition.rules import kind_breaches, past_return, settled
from saga_engine.definition.scan import MAX_STEPS

Lookup: TypeAlias = Callable[[str, int | None], Definition | None]
"""The definition of a saga, in a version or (None) its highest; None when there is none."""


@dataclass(frozen=True, slots=True)
class NotExpanded:
    """Why the children of a definition cannot be put into it."""

    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


def expand(definition: Definition, lookup: Lookup) -> Definition | NotExpanded:
    """The definition with every `Child.definition` filled in, also in the children.

    The rules about kinds and the point of no return are checked over all steps together: a child may hold the pivot.
    A definition without children comes back as it is.
    """
    if not any(isinstance(step.action, Child) for step in definition.steps):
        return definition
    expander = _Expander(lookup)
    whole = expander.expand(definition, (definition.saga,), None)
    if expander.findings:
        return NotExpanded(tuple(expander.findings))
    steps = opened(whole)
    order = Order(steps)
    breaches = kind_breaches(steps, order)
    return NotExpanded(tuple(breaches)) if breaches else settled(whole, past_return(steps, order))


class _Expander:
    def __init__(self, lookup: Lookup) -> None:
        self.findings: list[Finding] = []
        self._lookup = lookup
        self._steps = 0

    def expand(self, definition: Definition, trail: tuple[str, ...], path: tuple[PathPart, ...] | None) -> Definition:
        """`trail`: the sagas that this one is inside of; `path`: the step of the outermost one, None for itself."""
        self._steps += len(definition.steps)
        if self._steps > MAX_STEPS:
            if not any(finding.code == "E103" for finding in self.findings):
                message = f"too many steps with those of the child sagas, here {definition.saga}"
                self.findings.append(Finding("E103", path or (), message, f"at most {MAX_STEPS:,}"))
            return definition
        steps = [self._step(step, trail, path or ("steps", index)) for index, step in enumerate(definition.steps)]
        return replace(definition, steps=tuple(steps))

    def _step(self, step: Step, trail: tuple[str, ...], path: tuple[PathPart, ...]) -> Step:
        child = step.action
        if not isinstance(child, Child):
            return step
        way = " → ".join((*trail, child.saga))
        if child.saga in trail:
            finding = Finding("E215", (*path, "saga"), f"a saga contains itself: {way}", "children without a cycle")
            self.findings.append(finding)
            return step
        found = self._lookup(child.saga, child.version)
        if found is None:
            wanted = child.saga if child.version is None else f"{child.saga} version {child.version}"
            message = f"there is no saga {wanted}" + (f" ({way})" if len(trail) > 1 else "")
            self.findings.append(Finding("E216", (*path, "saga"), message, "a saga of this project"))
            return step
        inner = self.expand(found, (*trail, child.saga), path)
        return replace(step, action=replace(child, version=found.version, definition=inner))
