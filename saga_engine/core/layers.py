"""Mappings that many versions of a state share: setting one entry costs the same however many there are.

Small ones are plain dicts, copied. A large one is a base that is shared and a few changes over it that are copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

V = TypeVar("V")

_MOST_COPIED: Final = 64
"""Entries. Copying more costs longer than looking into two mappings; a base is made anew after as many changes."""


class Layered(Mapping[str, V]):
    """`base` with `changes` over it, in the order in which a dict would keep them. Neither may change any more."""

    __slots__ = ("_base", "_changes", "_length")

    def __init__(self, base: Mapping[str, V], changes: Mapping[str, V]) -> None:
        self._base = base
        self._changes = changes
        self._length = len(base) + sum(key not in base for key in changes)

    def __getitem__(self, key: str) -> V:
        changes = self._changes
        return changes[key] if key in changes else self._base[key]

    def __contains__(self, key: object) -> bool:
        return key in self._changes or key in self._base

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from (key for key in self._changes if key not in self._base)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return repr(dict(self))

    def with_entry(self, key: str, value: V) -> Mapping[str, V]:
        """See `with_entry`."""
        changes = {**self._changes, key: value}
        if len(changes) <= _MOST_COPIED:
            return Layered(self._base, changes)
        return Layered({**self._base, **changes}, {})


def with_entry(mapping: Mapping[str, V], key: str, value: V) -> Mapping[str, V]:
    """A mapping that differs in one entry. The one given stays as it is."""
    if isinstance(mapping, Layered):
        return mapping.with_entry(key, value)
    if len(mapping) < _MOST_COPIED:
        return {**mapping, key: value}
    return Layered(mapping, {key: value})
