"""Definitions too long to be written: sagas of many steps, one after the other."""

from __future__ import annotations


def chain(saga: str, steps: int) -> str:
    """The YAML of a saga with that many steps, each a command with the whole input."""
    head = f"saga: {saga}\nversion: 1\nsteps:\n"
    return head + "".join(_STEP.format(number=number) for number in range(1, steps + 1))


_STEP = """\
  - step: step_{number}
    call: order.approve
    with: {{order: "${{{{ input }}}}"}}
    compensate: none
"""
