"""The definitions of a project as starts need them: found by name and version, children expanded, pinned in the store.

Knows no saga. Imports late what only a start needs: a client that looks is quick to set up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from saga_engine.errors import NotFoundError, UsageError
from saga_engine.ports.store import EventStore

if TYPE_CHECKING:
    from saga_engine.definition.model import Definition
    from saga_engine.orchestrator.starting import DefinitionChanged, Ready


class Defined:
    """What is defined here, by saga name and version.

    `load` is called at the first question, so that a broken file keeps nobody from looking or acting.
    """

    def __init__(self, store: EventStore, load: Callable[[], Mapping[str, Mapping[int, Definition]]]) -> None:
        self._store = store
        self._load = load
        self._made_ready: dict[tuple[str, int], Ready] = {}

    @cached_property
    def _definitions(self) -> Mapping[str, Mapping[int, Definition]]:
        return self._load()

    def find(self, name: str, version: int | None = None) -> Definition:
        """The definition of that name: of that version, or the highest.

        Raises:
            NotFoundError: there is none.
        """
        versions = self._definitions.get(name)
        if not versions:
            known = ", ".join(sorted(self._definitions)) or "none"
            raise NotFoundError(f"no saga named {name!r} is defined here; defined: {known}")
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            known = ", ".join(str(number) for number in sorted(versions))
            kept = f"; a version starts from its file: keep that beside the newer one, as {name}_v{wanted}.yaml"
            hint = kept if wanted < max(versions) else ""
            raise NotFoundError(f"saga {name!r} has no version {wanted} here; it has: {known}{hint}")
        return versions[wanted]

    def ready(self, definition: Definition) -> Ready | DefinitionChanged:
        """The definition made ready for starts: checked against the store and pinned there, once.

        Raises:
            UsageError: a child of it is not defined here, or does not fit into it.
            StoreUnavailableError: unknown whether it was pinned; asking again is safe.
        """
        name = (definition.saga, definition.version)
        if name not in self._made_ready:
            from saga_engine.definition.inputs import InputCheck
            from saga_engine.orchestrator.starting import Ready, pin, register

            expanded = self._expanded(definition)
            changed = register(self._store, [definition])
            if changed:
                return changed[0]
            self._made_ready[name] = Ready(pin(self._store, expanded), InputCheck(definition))
        return self._made_ready[name]

    def _expanded(self, definition: Definition) -> Definition:
        from saga_engine.definition.children import NotExpanded, expand

        expanded = expand(definition, self._child)
        if isinstance(expanded, NotExpanded):
            raise UsageError(f"saga {definition.saga} version {definition.version}: {expanded}")
        return expanded

    def _child(self, saga: str, version: int | None) -> Definition | None:
        versions = self._definitions.get(saga, {})
        return versions.get(max(versions) if version is None else version) if versions else None
