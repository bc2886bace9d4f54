"""Domain events of others in the YAML: the subject and key by which one starts a saga, or ends a wait.

Owns the keys of `on` and what a subject may be. Hears nothing itself.
"""

from __future__ import annotations

import re
from typing import Final

from saga_engine.definition import reading
from saga_engine.definition.model import StartOn, WaitOn
from saga_engine.definition.problems import shown
from saga_engine.definition.section import Section

_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)


def read_start_on(top: Section) -> StartOn | None:
    """`on` of a definition: which event starts it."""
    found = top.section("on", "on (subject, key, input)")
    if found is None:
        return None
    found.only("subject", "key", "input")
    found.require("subject", "the subject of the event")
    subject = read_subject(found)
    key, input = found.expression("key"), found.expression("input")
    if top.get("key") is None and found.get("key") is None:
        expected = 'a key, such as "${{ event.data.order_id }}", here or for the definition'
        found.report.at(found.node.at, "E112", '"on" without a key: each repetition would start a saga', expected)
    return None if subject is None else StartOn(subject, key, input)


def read_wait_on(wait: Section) -> WaitOn | None:
    """`on` of a `wait`: which event ends it."""
    found = wait.section("on", "on (subject, key)")
    if found is None:
        return None
    found.only("subject", "key")
    found.require("subject", "the subject of the event")
    found.require("key", "the business key of the saga that waits, such as ${{ event.data.order_id }}")
    subject, key = read_subject(found), found.expression("key")
    return None if subject is None or key is None else WaitOn(subject, key)


def read_subject(found: Section) -> str | None:
    """The subject of an event: a user's own, or under `saga.event.`."""
    node = found.get("subject")
    expected = "tokens of letters, digits, _ and - joined by dots, such as ORDERS.created"
    text = None if node is None else reading.plain_text(found.report, node, expected)
    if node is None or text is None:
        return None
    if _SUBJECT.fullmatch(text) is None or len(text) > 255:
        found.report.at(node.at, "E132", f"{shown(text)} is no subject", expected)
        return None
    # NATS keeps names with a leading _ for itself: `_SYS`, and inboxes, whose prefix a user may choose.
    if (text.startswith("_") or text.split(".")[0] == "saga") and not text.startswith("saga.event."):
        found.report.at(node.at, "E132", f"the subject {shown(text)} is the engine's own", expected)
        return None
    return text
