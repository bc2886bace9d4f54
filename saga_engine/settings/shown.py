"""A setting as people may see it: without its secrets."""

from __future__ import annotations

import re


def shown_url(url: str) -> str:
    """A URL fit for people: its password, or a token that stands for a user, is replaced by `***`."""
    # Greedy up to the last @: a password that was not percent-encoded may hold any sign, and hiding too much is safe.
    login = re.match(r"(\w[\w+]*://(?!/))([^:@/]*)(:?)(.*)@(.*)", url)
    if login is not None:
        scheme, user, colon, _, rest = login.groups()
        is_token = scheme in ("nats://", "tls://", "ws://", "wss://") and not colon
        url = f"{scheme}{'***' if is_token else user}{':***' if colon else ''}@{rest}"
    return re.sub(r"(?i)([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*", r"\1***", url)
