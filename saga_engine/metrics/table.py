"""The table of metrics: the name, kind, labels and meaning of each. The reference page is generated from it.

Pure data. Where a value comes from is `readings`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Counters begin at zero with the process; histograms are in seconds."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


INFO: Final = Metric("saga_engine_info", Kind.GAUGE, "Always 1: the release that runs.", ("version",))
READY: Final = Metric(
    "saga_engine_ready", Kind.GAUGE, "1 when `/ready` would say so, by each of its checks.", ("check",)
)

ENDED: Final = Metric(
    "saga_engine_sagas_ended_total",
    Kind.COUNTER,
    "Sagas that this orchestrator has brought to an end, by how they ended.",
    ("saga", "status"),
)
LASTED: Final = Metric(
    "saga_engine_saga_seconds", Kind.HISTOGRAM, "From a saga's start to its end, for those that it ended.", ("saga",)
)
OPEN: Final = Metric(
    "saga_engine_open_sagas",
    Kind.GAUGE,
    "Sagas in the store that have not ended; the same from every orchestrator. Absent while the store is away.",
    ("saga", "status"),
)
STEPS: Final = Metric(
    "saga_engine_step_replies_total",
    Kind.COUNTER,
    "Replies from which something followed, by step; late and repeated ones are not among them.",
    ("saga", "step", "direction", "outcome"),
)
OVER_SLA: Final = Metric(
    "saga_engine_sagas_over_sla_total", Kind.COUNTER, "Sagas that were found to be over their `sla`."
)
LONG: Final = Metric("saga_engine_long_sagas_total", Kind.COUNTER, "Sagas that have come to have very many events.")

EVENTS: Final = Metric(
    "saga_engine_events_total", Kind.COUNTER, "Events of sagas that this orchestrator has committed."
)
APPENDS: Final = Metric(
    "saga_engine_appends_total", Kind.COUNTER, "Streams appended to: one for each saga in a commit."
)
BATCHES: Final = Metric(
    "saga_engine_batch_seconds", Kind.HISTOGRAM, "A batch of sagas, from when it is taken until it is committed."
)
COMMANDS_SENT: Final = Metric("saga_engine_commands_sent_total", Kind.COUNTER, "First sends of commands.")
SENT_AGAIN: Final = Metric(
    "saga_engine_commands_sent_again_total",
    Kind.COUNTER,
    "Repeated sends, for want of a reply: none while all is well.",
)
UNACKNOWLEDGED: Final = Metric(
    "saga_engine_sagas_unacknowledged_total",
    Kind.COUNTER,
    "Sagas of a batch that NATS did not acknowledge all messages of: they are sent once more.",
)
REPLIES: Final = Metric("saga_engine_replies_received_total", Kind.COUNTER, "Deliveries of replies.")
IGNORED: Final = Metric(
    "saga_engine_replies_ignored_total", Kind.COUNTER, "Replies from which nothing followed, by why.", ("reason",)
)
FORGED: Final = Metric(
    "saga_engine_replies_forged_total",
    Kind.COUNTER,
    "Replies that were dropped for their token, by what was wrong with it.",
    ("reason",),
)
REPLIES_UNREADABLE: Final = Metric(
    "saga_engine_replies_unreadable_total", Kind.COUNTER, "Replies that went to the dead letters."
)
FLOODED: Final = Metric(
    "saga_engine_replies_flooded_total", Kind.COUNTER, "Replies put back because too many of their saga were waiting."
)
WAITING: Final = Metric("saga_engine_waiting_sagas", Kind.GAUGE, "Sagas with something to do that wait for a batch.")
CACHED: Final = Metric("saga_engine_cached_sagas", Kind.GAUGE, "Folded sagas in memory.")
PARTITIONS: Final = Metric("saga_engine_partitions", Kind.GAUGE, "Partitions that this orchestrator holds, of 16.")
LOSSES: Final = Metric(
    "saga_engine_stream_losses_total",
    Kind.COUNTER,
    "How often JetStream streams were found re-created or emptied: open commands are sent again then. 1 from the start "
    "where they had to be made.",
)

COMMANDS: Final = Metric(
    "saga_engine_command_seconds",
    Kind.HISTOGRAM,
    "Deliveries of commands, from when a worker took one until it had an answer. `result`: `succeeded`, `rejected`, "
    "`failed`, `put_back`, `dropped` or `dead`; `command` is `unknown` where no handler is.",
    ("participant", "command", "result"),
)
RECEIVED: Final = Metric(
    "saga_engine_commands_received_total", Kind.COUNTER, "Deliveries of commands, repeated ones too.", ("participant",)
)
REDELIVERED: Final = Metric(
    "saga_engine_commands_redelivered_total", Kind.COUNTER, "Deliveries that NATS had made before.", ("participant",)
)
COMMANDS_UNREADABLE: Final = Metric(
    "saga_engine_commands_unreadable_total",
    Kind.COUNTER,
    "Commands that went to the dead letters because they could not be read.",
    ("participant",),
)
UNSETTLED: Final = Metric(
    "saga_engine_unsettled_commands",
    Kind.GAUGE,
    "Commands that a worker has taken and not yet acknowledged or put back.",
    ("participant",),
)
HANGING: Final = Metric(
    "saga_engine_hanging_handlers", Kind.GAUGE, "Handlers that hang in a thread, which was replaced.", ("participant",)
)

REQUESTS: Final = Metric(
    "saga_engine_request_seconds",
    Kind.HISTOGRAM,
    "Requests to the HTTP API, from their head until their answer began, by operation, as the OpenAPI document names "
    "it, and status. `operation` is `none` where there is no such, or its caller may not ask.",
    ("operation", "status"),
)
REQUESTS_OPEN: Final = Metric(
    "saga_engine_open_requests", Kind.GAUGE, "Requests that are not wholly answered, those of followers among them."
)
FOLLOWERS: Final = Metric("saga_engine_followers", Kind.GAUGE, "Who follows a saga by server-sent events.")

HEARD: Final = Metric(
    "saga_engine_heard_events_total",
    Kind.COUNTER,
    "Deliveries of events for which definitions listen, by what came of each: `taken`, `ignored`, `put_back`, `dead`.",
    ("result",),
)

PROJECTED: Final = Metric(
    "saga_engine_projection_events_total",
    Kind.COUNTER,
    "Events of sagas that this process has taken into a projection.",
    ("projection",),
)
BEHIND: Final = Metric(
    "saga_engine_projection_behind_sagas",
    Kind.GAUGE,
    "Sagas with events that a projection has not seen, among the newest and those that have not ended; "
    "`saga projections lag` looks at all. Absent while a database is away.",
    ("projection",),
)
LAG: Final = Metric(
    "saga_engine_projection_lag_seconds", Kind.GAUGE, "The age of the oldest of these events.", ("projection",)
)
HELD_BACK: Final = Metric(
    "saga_engine_projection_held_back_sagas",
    Kind.GAUGE,
    "Those of these sagas whose next event could not be taken in.",
    ("projection",),
)

STORED: Final = Metric(
    "saga_engine_eventstore_events_total", Kind.COUNTER, "Domain events that this process has stored."
)
APPENDING: Final = Metric(
    "saga_engine_eventstore_append_seconds",
    Kind.HISTOGRAM,
    "A batch of appends, from when it is taken until it is committed.",
)
APPENDS_WAITING: Final = Metric("saga_engine_eventstore_waiting_appends", Kind.GAUGE, "Appends that wait for a batch.")
PUBLISHED: Final = Metric(
    "saga_engine_eventstore_published_total", Kind.COUNTER, "Domain events that NATS has acknowledged."
)
UNPUBLISHED: Final = Metric(
    "saga_engine_eventstore_unpublished_aggregates",
    Kind.GAUGE,
    "Aggregates with an event that NATS did not acknowledge when it was last tried.",
)
STREAMING: Final = Metric("saga_engine_eventstore_followers", Kind.GAUGE, "Open calls of GetEventsStream.")

COMMON: Final = (INFO, READY)
ORCHESTRATOR: Final = (
    ENDED, LASTED, OPEN, STEPS, OVER_SLA, LONG, EVENTS, APPENDS, BATCHES, COMMANDS_SENT, SENT_AGAIN, UNACKNOWLEDGED,
    REPLIES, IGNORED, FORGED, REPLIES_UNREADABLE, FLOODED, WAITING, CACHED, PARTITIONS, LOSSES, HEARD,
)  # fmt: skip
WORKER: Final = (COMMANDS, RECEIVED, REDELIVERED, COMMANDS_UNREADABLE, UNSETTLED, HANGING)
API: Final = (REQUESTS, REQUESTS_OPEN, FOLLOWERS)
PROJECTION: Final = (PROJECTED, BEHIND, LAG, HELD_BACK)
EVENTSTORE: Final = (STORED, APPENDING, APPENDS_WAITING, PUBLISHED, UNPUBLISHED, STREAMING)
