"""Reply tokens: a participant can answer only what it was asked.

A token is `<key id>.<HMAC-SHA-256 over idempotency key and participant>`; it is made at send and never stored.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

_BLOCK: Final = 64
"""Bytes that SHA-256 takes at a time, on which HMAC is defined (RFC 2104)."""

_REMEMBERED: Final = 10_000


class TokenFault(StrEnum):
    """Why a token is refused. `unknown_key`: its key was retired, is not known here yet, or never was one."""

    NO_TOKEN = "no_token"
    UNKNOWN_KEY = "unknown_key"
    WRONG_TOKEN = "wrong_token"


class Tokens:
    """Makes and checks reply tokens. `keys` are secrets by key id; the last one makes new tokens, all are accepted.

    Remembers some of those it made, since most are checked soon after, by the same process.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys: dict[str, _Mac] = {}
        self._newest = ""
        self._made: dict[str, tuple[str, str]] = {}
        self.exchange(keys)

    def exchange(self, keys: Mapping[str, bytes]) -> bool:
        """From now on these keys count, and no others: what was made with one that is not among them is refused.

        Whether they are others than before.
        """
        if not keys:
            raise ValueError("at least one reply key is needed")
        if list(keys) == list(self._keys):
            return False
        self._keys = {key_id: _Mac(secret) for key_id, secret in keys.items()}
        self._newest = list(keys)[-1]
        self._made.clear()
        return True

    def make(self, key: str, participant: str) -> str:
        """The token of a command with idempotency key `key`, sent to `participant`."""
        token = f"{self._newest}.{self._keys[self._newest].of(key, participant)}"
        if len(self._made) >= _REMEMBERED:
            self._made.clear()
        self._made[key] = (participant, token)
        return token

    def fault(self, token: str, key: str, participant: str) -> TokenFault | None:
        """Why this does not show that `participant` was asked this; None: it does. Constant time for a known key id."""
        made = self._made.pop(key, None)
        if (
            made is not None
            and made[0] == participant
            and hmac.compare_digest(made[1].encode(), token.encode(errors="replace"))
        ):
            return None
        key_id, _, mac = token.partition(".")
        known = self._keys.get(key_id)
        if known is None:
            return TokenFault.UNKNOWN_KEY if token else TokenFault.NO_TOKEN
        right = hmac.compare_digest(mac.encode(errors="replace"), known.of(key, participant).encode())
        return None if right else TokenFault.WRONG_TOKEN


class _Mac:
    """HMAC-SHA-256 under one secret, its two key blocks digested once.

    `hmac.digest` gives up the interpreter lock for each of them: with other threads at work that costs more than the
    digest, and it is done six times for a saga of three steps.
    """

    def __init__(self, secret: bytes) -> None:
        block = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def of(self, key: str, participant: str) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{key}\n{participant}".encode())
        outer.update(inner.digest())
        return outer.hexdigest()
