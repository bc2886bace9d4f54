"""Reply tokens: a participant can answer only what it was asked.

A token is `<key id>.<HMAC-SHA-256 over idempotency key and participant>`; it is made at send and never stored.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping


class Tokens:
    """Makes and checks reply tokens. `keys` are secrets by key id; the last one makes new tokens, all are accepted."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ValueError("at least one reply key is needed")
        # Keyed once: a copy goes on from there, at half the cost of starting from the secret.
        self._keyed = {key_id: hmac.new(secret, digestmod="sha256") for key_id, secret in keys.items()}
        self._newest = list(keys)[-1]

    def make(self, key: str, participant: str) -> str:
        """The token of a command with idempotency key `key`, sent to `participant`."""
        return f"{self._newest}.{_mac(self._keyed[self._newest], key, participant)}"

    def check(self, token: str, key: str, participant: str) -> bool:
        """Whether `participant` was asked this, in constant time for a known key id."""
        key_id, _, mac = token.partition(".")
        keyed = self._keyed.get(key_id)
        return keyed is not None and hmac.compare_digest(mac.encode(), _mac(keyed, key, participant).encode())


def _mac(keyed: hmac.HMAC, key: str, participant: str) -> str:
    mac = keyed.copy()
    mac.update(f"{key}\n{participant}".encode())
    return mac.hexdigest()
