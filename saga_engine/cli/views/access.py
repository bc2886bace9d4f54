"""Users of NATS and roles of the databases, as their servers read them: a configuration fragment, GRANT statements."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saga_engine.adapters.nats.permissions import NatsUser
    from saga_engine.definition.model import Json
    from saga_engine.sql.grants import SqlRole


def password_variable(user: NatsUser) -> str:
    """The variable of nats-server's environment that holds this user's password."""
    return f"SAGA_NATS_{user.name.upper()}"


def nats_fragment(users: Sequence[NatsUser]) -> Iterator[str]:
    """Lines for the configuration of nats-server."""
    yield "# Who may do what, and nothing else. In nats-server.conf: include saga-users.conf"
    yield "# Each password is taken from the environment of nats-server."
    yield "authorization {"
    yield "  users = ["
    for user in users:
        yield f"    # {user.does}: nats.inbox_prefix={user.inbox_prefix}, nats.provision=false"
        yield "    {"
        yield f"      user: {user.name}"
        yield f"      password: ${password_variable(user)}"
        yield "      permissions: {"
        yield from _allowed("publish", user.publish)
        yield from _allowed("subscribe", user.subscribe)
        yield "      }"
        yield "    }"
    yield "  ]"
    yield "}"


def sql_script(roles: Sequence[SqlRole]) -> Iterator[str]:
    """Statements in the order in which they are run."""
    yield "-- 1. Once for each server, by an administrator; then a password or a certificate for each."
    for name, does in _made(roles).items():
        yield f"CREATE ROLE {name} LOGIN; -- {does}"
    early, late = [role for role in roles if role.first], [role for role in roles if not role.first]
    if early:
        yield "-- 2. In each database, before `saga db upgrade` is run by this role:"
        yield from (f"{grant};" for role in early for grant in role.grants)
        yield "-- 3. After that, and after each later upgrade that adds tables:"
    for role in late:
        yield f"-- In the database of {role.database}, as {role.name}'s rights:"
        yield from (f"{grant};" for grant in role.grants)


def _made(roles: Sequence[SqlRole]) -> dict[str, str]:
    """Each role once: one that has rights in several databases is there for each of them."""
    made: dict[str, str] = {}
    for role in roles:
        made.setdefault(role.name, role.does)
    return made


def access_json(users: Sequence[NatsUser], roles: Sequence[SqlRole]) -> Json:
    """Both, for programs."""
    return {
        "nats": [
            {
                "user": user.name,
                "does": user.does,
                "inbox_prefix": user.inbox_prefix,
                "publish": list(user.publish),
                "subscribe": list(user.subscribe),
            }
            for user in users
        ],
        "sql": [
            {"role": role.name, "does": role.does, "database": role.database, "grants": list(role.grants)}
            for role in roles
        ],
    }


def _allowed(what: str, subjects: Sequence[str]) -> Iterator[str]:
    yield f"        {what}: {{allow: ["
    yield from (f"          {json.dumps(subject)}" for subject in subjects)
    yield "        ]}"
