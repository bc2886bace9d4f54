"""What each role may publish and subscribe to on NATS, and no more: exact allow-lists, nothing by denial.

Owns the roles and their subjects. Knows no password and no server. Under these permissions only `deploy` makes streams
and consumers, so that everybody else's configuration says `provision: false`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.adapters.nats.event_bell import OWN_SUBJECTS
from saga_engine.adapters.nats.streams import STREAMS, ConsumerName, command_consumer, reply_consumers
from saga_engine.ports.events import Listening
from saga_engine.wire.subjects import COMMANDS, DEAD, EVENTS, REPLIES, dead_subject

ORCHESTRATOR: Final = "orchestrator"
PROJECTIONS: Final = "projections"
EVENTSTORE: Final = "eventstore"
HTTP_API: Final = "api"
CLI: Final = "cli"
DOCTOR: Final = "doctor"
OPERATOR: Final = "operator"
DEPLOY: Final = "deploy"

_API: Final = "$JS.API"
_RING: Final = "saga.wake.*"


@dataclass(frozen=True, slots=True)
class NatsUser:
    """One user of the server. Its inboxes are its own: nobody else may listen there.

    No `allow_responses`: JetStream answers by itself, and nobody here answers anybody else.
    """

    name: str
    does: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def inbox_prefix(self) -> str:
        """The setting `nats.inbox_prefix` of whoever logs in as this user."""
        return f"_INBOX_{self.name}"


def worker_name(participant: str) -> str:
    """The user of a participant's workers. No participant can have a name that makes it another role's."""
    return f"worker_{participant}"


def worker(participant: str) -> NatsUser:
    """May take its own commands, answer as itself, and bury what it cannot read."""
    return _user(
        worker_name(participant),
        f"executes the commands of {participant}",
        [*_takes(command_consumer(participant)), f"saga.reply.*.{participant}", dead_subject(participant)],
    )


def orchestrator(event_subjects: Iterable[str], listening: Sequence[Listening] = ()) -> NatsUser:
    """May send commands and events, take replies and the events that sagas listen for, and hear the doorbell.

    `event_subjects`: the definitions' own. `listening`: what its `on:` and waits are for.
    """
    # All consumers of this stream are the orchestrator's; a permission for each would only be longer.
    takes = _takes(ConsumerName(REPLIES, "*", ""))
    for one in listening:
        takes += _takes(_heard(one))
    # Which stream keeps a subject is asked again and again: it may be made, or change, while we listen.
    takes += [f"{_API}.STREAM.NAMES"] if listening else []
    sends = ["saga.command.*.*", "saga.event.*.*", *sorted(set(event_subjects)), dead_subject(ORCHESTRATOR)]
    return _user(ORCHESTRATOR, "decides and sends", [*takes, *sends], [_RING])


def projections(event_subjects: Iterable[str]) -> NatsUser:
    """May hear what sagas publish, and send nothing. `event_subjects`: the definitions' own."""
    # An empty list of what may be published would allow everything: this tells no more than the limits of the account.
    heard = [OWN_SUBJECTS, *sorted(set(event_subjects))]
    return _user(PROJECTIONS, "follows the events of sagas", [f"{_API}.INFO"], heard)


def eventstore(event_types: Iterable[str]) -> NatsUser:
    """May publish domain events of these types, which are their subjects, and hear nothing."""
    return _user(EVENTSTORE, "runs `saga eventstore`", sorted(set(event_types)))


def http_api() -> NatsUser:
    """May ring the doorbell. All else that the HTTP API does it does in the database."""
    return _user(HTTP_API, "runs `saga api`", [_RING])


def cli() -> NatsUser:
    """May ring the doorbell, which every start, signal and verb does, and read the dead letters."""
    return _user(CLI, "starts sagas and looks", _CLI)


def operator() -> NatsUser:
    """As the CLI; may put dead letters back on their subjects and remove them."""
    puts_back = ["saga.command.*.*", "saga.reply.*.*", f"{_API}.STREAM.MSG.DELETE.{DEAD}"]
    return _user(OPERATOR, "as cli, and sends dead letters again", [*_CLI, *puts_back])


def doctor(listening: Sequence[Listening] = ()) -> NatsUser:
    """May look at the engine's streams and consumers, and at no message but the letters' number."""
    streams = [f"{_API}.STREAM.INFO.{stream}" for stream in STREAMS]
    # Commands may wait for participants that nobody here knows: that is one of the things it looks for.
    consumers = [f"{_API}.CONSUMER.INFO.{COMMANDS}.*", *(_about(one) for one in listening)]
    names = [f"{_API}.STREAM.NAMES"] if listening else []
    return _user(DOCTOR, "runs `saga doctor`", [f"{_API}.INFO", *streams, *names, *consumers])


def deploy(participants: Sequence[str], listening: Sequence[Listening] = ()) -> NatsUser:
    """May make the engine's streams and consumers, each under its own name. May neither delete nor purge one."""
    streams = [f"{_API}.STREAM.{verb}.{stream}" for stream in STREAMS for verb in ("INFO", "CREATE")]
    consumers = [*(command_consumer(one) for one in participants), *reply_consumers(), *map(_heard, listening)]
    made = [f"{_API}.CONSUMER.CREATE.{one.stream}.{one.name}.{one.filter}" for one in consumers]
    if listening:
        # Somebody else's stream may keep the events; since when, decides from where on a consumer reads it.
        made += [f"{_API}.STREAM.INFO.*", *map(_about, listening)]
    # Only the events' subjects grow, with those that definitions name; which stream takes one is asked by NAMES.
    return _user(
        DEPLOY,
        "runs `saga nats provision`",
        [f"{_API}.INFO", f"{_API}.STREAM.NAMES", *streams, f"{_API}.STREAM.UPDATE.{EVENTS}", *made],
    )


_CLI: Final = (_RING, f"{_API}.STREAM.INFO.{DEAD}", f"{_API}.STREAM.MSG.GET.{DEAD}")


def _heard(one: Listening) -> ConsumerName:
    """The consumer of who listens. Which stream it is on only the server knows; its name is nobody else's."""
    return ConsumerName("*", one.name, one.subject)


def _about(one: Listening) -> str:
    """Asking how that consumer is."""
    return f"{_API}.CONSUMER.INFO.*.{one.name}"


def _takes(consumer: ConsumerName) -> list[str]:
    """Pulling from a consumer that is there, and settling what came: both forms of the acknowledgement subject."""
    place = f"{consumer.stream}.{consumer.name}"
    return [f"{_API}.CONSUMER.MSG.NEXT.{place}", f"$JS.ACK.{place}.>", f"$JS.ACK.*.*.{place}.>"]


def _user(name: str, does: str, publish: Iterable[str], subscribe: Iterable[str] = ()) -> NatsUser:
    return NatsUser(name, does, tuple(publish), (*subscribe, f"_INBOX_{name}.>"))
