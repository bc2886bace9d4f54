"""The settings of config.yaml as a table: each key with its default, its variable and what it means.

Owns the meanings, one for every key: a key without one cannot be generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generator.blocks import code, table
from saga_engine.definition.durations import format_duration
from saga_engine.settings.sections import Config

_MEANINGS: Final[Mapping[str, str]] = {
    "saga_engine": "Marks the file as a project's and names its format. The key must be in the file.",
    "insecure": "Let connections beyond this machine be in plain text; refused otherwise. Also `--insecure`.",
    "database": "Where the sagas are kept: `sqlite:///file`, `postgresql://...` or `cockroachdb://...`.",
    "nats.url": "`nats://host:port` or `tls://host:port`, several separated by commas. Left out: the engine starts and "
    "looks after a nats-server of its own in `.saga/nats` (needs the extra `embedded`).",
    "nats.user": "Log in with a user and a password.",
    "nats.password": "Goes with `user`. Put it into the environment.",
    "nats.token": "Log in with a token. Put it into the environment.",
    "nats.credentials": "Log in with a credentials file (needs the extra `nkeys`).",
    "nats.nkey_seed": "Log in with an NKey: the file that holds its seed (needs the extra `nkeys`).",
    "nats.tls.ca": "The certificate authority that the server's certificate is checked against.",
    "nats.tls.certificate": "The client's own certificate.",
    "nats.tls.key": "The key of that certificate.",
    "nats.inbox_prefix": "The prefix of reply subjects, for an account that may subscribe to one prefix only.",
    "nats.provision": "`false`: streams and consumers are made by somebody else, for an account that may not.",
    "nats.replicas": "Replicas of the streams that are created here; existing streams keep theirs.",
    "participants.<name>.database": "The participant's own database, which holds its inbox. "
    "Left out: `sqlite:///.saga/<name>.db`.",
    "participants.<name>.concurrency": "How many commands a worker of it executes at a time.",
    "participants.<name>.settings": "Anything: what its handlers see as `ctx.settings`.",
    "projections.<name>.database": "The projection's own database, which holds its checkpoints. "
    "Left out: `sqlite:///.saga/<name>.db`.",
    "projections.<name>.sweep": "How often it looks for what no published event told it.",
    "orchestrator.batch": "The most sagas in one commit.",
    "orchestrator.backlog": "How many inputs may wait before no more replies are received.",
    "orchestrator.cached_sagas": "How many folded sagas are kept in memory.",
    "orchestrator.due_poll": "How often due sagas are looked for, as a backstop.",
    "limits.open_sagas": "How many sagas of one definition may be open; a start beyond that is refused. "
    "Every start counts them, so that a large limit costs time.",
    "metrics": "Where a process serves `/metrics`, `/health` and `/ready`: a port, as in `9464`, which only this "
    "machine reaches, or `host:port`. Left out: nowhere. Each process of a machine needs a port of its own.",
    "eventstore.listen": "Where `saga eventstore` listens: a port, or `host:port`. The section turns the service on; "
    "`eventstore: {}` is enough.",
    "eventstore.database": "Where it keeps its events. Left out: in the engine's database.",
    "eventstore.event_types": "The types that the event store takes, as subjects: `*` stands for one word, `>` at the "
    "end for one or more. Left out: all.",
    "eventstore.token": "What callers must bring, 16 characters or more; needed beyond this machine. Put it into the "
    "environment.",
    "eventstore.certificate": "The server's certificate chain (PEM); needed beyond this machine unless `insecure`.",
    "eventstore.key": "The key of that certificate.",
    "api.listen": "Where `saga api` serves HTTP: a port, which only this machine reaches, or `host:port`.",
    "api.tokens": "What callers must bring, by the caller's name, which stands in histories of sagas; 16 characters "
    "or more. Put them into the environment: `SAGA_API__TOKENS__OPS`. Left out: this machine needs none.",
    "api.certificate": "The server's certificate, with its chain. Beyond this machine needed, or `insecure`.",
    "api.key": "The key of that certificate.",
    "demo.saga": "The saga that `saga demo` starts.",
    "demo.runs[].title": "What this kind of run shows.",
    "demo.runs[].input": "The input. `{id}` in its texts is replaced by an id that is new for every saga.",
    "demo.runs[].count": "How many of them are started.",
    "demo.settings": "For the demo only, over `participants.<name>.settings`: by participant, what its handlers see.",
    "demo.kill.participant": "Whose worker is killed (SIGKILL) on the way, in the middle of a command.",
    "demo.kill.after": "After how many started sagas, at the earliest.",
    "demo.kill.back": "How long it stays away.",
}


def settings(_argument: str) -> str:
    """Every key, in the order of the settings."""
    rows = [
        (code(place), _default(field), code(_variable(place)), _MEANINGS[place]) for place, field in _keys(Config, "")
    ]
    return table(("key", "default", "environment", "meaning"), rows)


def places() -> list[str]:
    """Where every key is: `database`, `nats.url`, `participants.<name>.database`, ..."""
    return [place for place, _ in _keys(Config, "")]


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        section, form = _section(field.annotation)
        if section is None:
            yield prefix + name, field
        else:
            yield from _keys(section, f"{prefix}{name}{form}.")


def _section(annotation: object) -> tuple[type[BaseModel] | None, str]:
    """The section inside an annotation, and what stands for its members' names: none, `.<name>` or `[]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    members = get_args(annotation)
    for part in members:
        section, _ = _section(part)
        if section is not None:
            many = {2: ".<name>", 1: "[]"} if type(None) not in members else {}
            return section, "[]" if Ellipsis in members else many.get(len(members), "")
    return None, ""


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        return code(default.get_secret_value())
    if isinstance(default, bool):
        return code(str(default).lower())
    if default is None or default in ({}, ()):
        return "none"
    is_duration = any(getattr(part, "func", None) is format_duration for part in field.metadata)
    return code(format_duration(int(default)) if is_duration else str(default))


def _variable(place: str) -> str:
    """Lists and what stands under them cannot be said in the environment."""
    return "" if "[]" in place else "SAGA_" + place.upper().replace(".", "__")
