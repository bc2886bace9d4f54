"""Frozen dataclasses that are cheap to make and to change a copy of: `dataclass` and `replace` as in `dataclasses`.

The standard ones guard every field at run time, through a call per field of each new value: a state of twenty fields
costs 4 µs to make and 10 to replace, here 0.5 and 1. Assignments are refused by the type checker, which the project
passes in strict mode, and at run time in Python's development mode (`python -X dev`), which has the standard ones.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or sys.flags.dev_mode:
    from dataclasses import dataclass, replace
else:
    import dataclasses
    from functools import cache

    def dataclass(*, frozen, slots, kw_only=False):
        """As `dataclasses.dataclass`; `frozen` and `slots` stand at every use so that it reads, and checks, alike."""
        if not (frozen and slots):
            raise TypeError("an immutable dataclass is frozen and has slots; take dataclasses.dataclass for others")
        return dataclasses.dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)

    def replace(value, /, **changes):
        """A copy of a value with some fields changed. Raises AttributeError for a field that it does not have."""
        return _copier(type(value), *changes)(value, **changes)

    @cache
    def _copier(kind, *changed):
        """A function that copies one value of a class with these fields changed.

        Generated, as the standard library's `__init__` is. There are as many as combinations of names in the code.
        """
        if hasattr(kind, "__post_init__"):
            raise TypeError(
                f"a {kind.__name__} derives fields from others; take dataclasses.replace, which does so anew"
            )
        names = [field.name for field in dataclasses.fields(kind)]
        for name in changed:
            if name not in names:
                raise AttributeError(f"a {kind.__name__} has no field {name!r}")
        # Names of its own are such as no field has: a field may well be called `value` or `kind`.
        lines = [f"    __copy.{name} = {name if name in changed else f'__value.{name}'}" for name in names]
        head = [f"def copied({', '.join(['__value', '/', *changed])}):", "    __copy = __new(__kind)"]
        scope = {"__new": object.__new__, "__kind": kind}
        exec("\n".join([*head, *lines, "    return __copy"]), scope)
        return scope["copied"]


__all__ = ["dataclass", "replace"]
