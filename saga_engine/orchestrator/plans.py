"""Plans by definition hash, read from the store once: a running saga keeps the definition it was started with.

Owns the cache of compiled plans. Knows no YAML.
"""

from __future__ import annotations

from typing import cast

import orjson

from saga_engine.core.compiling import compile_plan
from saga_engine.core.plan import Plan
from saga_engine.definition.model import Json
from saga_engine.errors import SagaEngineError
from saga_engine.ports.store import EventStore


class DefinitionMissingError(SagaEngineError):
    """A stream names a definition that is not in the store."""


class Plans:
    """Compiled plans. There are as many as definitions in use, so that none is ever dropped."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._plans: dict[str, Plan] = {}

    def at_hand(self, definition_hash: str) -> Plan | None:
        """The plan, when the store need not be asked for it."""
        return self._plans.get(definition_hash)

    def get(self, definition_hash: str) -> Plan:
        """The plan of a stored definition.

        Raises:
            DefinitionMissingError: no such definition is stored.
            StoreUnavailableError: the store cannot be asked.
        """
        plan = self._plans.get(definition_hash)
        if plan is None:
            record = self._store.definition(definition_hash)
            if record is None:
                raise DefinitionMissingError(f"definition {definition_hash} is not in the store")
            # With the expressions behind it, which a client that only lists sagas need not import.
            from saga_engine.definition.stored import definition_from_json

            plan = compile_plan(definition_from_json(cast(Json, orjson.loads(record.content))))
            self._plans[definition_hash] = plan
        return plan
