"""The sizes and times of an orchestrator. Knows nothing of what they bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Sizes in sagas, times in seconds.

    `batch`: in one commit at most. `backlog`: waiting, above which nothing more is received. `cached`: kept in memory.
    `sending`: batches whose messages may be under way at a time. `due_poll`: the backstop for what is due. `lease`:
    the longest silence after a crash, four times `lease_interval` or more. `lease_interval`: from one look at the
    leases to the next. `settle_after`: how long a stream's row may be behind what is known of it, at most twice as
    long. `ack_wait`: the transport's; progress with replies that wait is told four times in it. `snapshot_every`:
    events after which a snapshot is written, so that a long stream is never read from its start. `snapshot_from`:
    events from which a saga that leaves the memory gets one: a shorter stream is read as quickly itself.
    """

    batch: int = 500
    backlog: int = 1_000
    cached: int = 20_000
    sending: int = 16
    due_poll: float = 1.0
    lease: float = 2.0
    lease_interval: float = 0.5
    again_after: float = 1.0
    trouble_after: float = 5.0
    settle_after: float = 0.5
    ack_wait: float = 5.0
    snapshot_every: int = 200
    snapshot_from: int = 20
