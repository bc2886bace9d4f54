"""Mappings that many versions of a state share: setting an entry costs the same however many there are.

Small ones are plain dicts, copied. A large one is a base that is shared and a few changes over it that are copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

V = TypeVar("V")

_MOST_COPIED: Final = 32
"""Entries. Copying more costs longer than looking into two mappings; a base is made anew after as many changes."""


class Layered(Mapping[str, V]):
    """`base` with `changes` over it, in the order in which a dict would keep them. Neither may change any more.

    `length`: how many keys the two have together.
    """

    __slots__ = ("_base", "_changes", "_length")

    def __init__(self, base: Mapping[str, V], changes: Mapping[str, V], length: int) -> None:
        self._base = base
        self._changes = changes
        self._length = length

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

    def changed(self, entries: Mapping[str, V]) -> Mapping[str, V]:
        """See `with_entries`."""
        length = self._length + sum(key not in self for key in entries)
        changes = {**self._changes, **entries}
        if len(changes) <= _MOST_COPIED:
            return Layered(self._base, changes, length)
        return Layered({**self._base, **changes}, {}, length)


def with_entries(mapping: Mapping[str, V], entries: Mapping[str, V]) -> Mapping[str, V]:
    """A mapping in which these entries stand, new or instead of old ones. The one given stays as it is."""
    # The length first: most sagas are small, and to ask whether something is a Layered, an abstract class, is slow.
    if len(mapping) < _MOST_COPIED:
        return {**mapping, **entries}
    if isinstance(mapping, Layered):
        return mapping.changed(entries)
    return Layered(mapping, {}, len(mapping)).changed(entries)
