"""The messages on the wire: generated from the .proto that is there, with the numbers that clients already use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from saga_engine.eventstore import eventstore_pb2 as wire

ROOT = Path(__file__).resolve().parents[3]
PROTO = Path("saga_engine", "eventstore", "eventstore.proto")


def test_the_generated_messages_are_those_of_the_proto(tmp_path: Path) -> None:
    generate = ["-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(PROTO)]
    subprocess.run([sys.executable, *generate], cwd=ROOT, check=True)
    for name in ("eventstore_pb2.py", "eventstore_pb2.pyi"):
        made, kept = (tmp_path / PROTO.parent / name, ROOT / PROTO.parent / name)
        assert made.read_text() == kept.read_text(), f"{kept}: run `make proto`"


def test_the_fields_that_existing_clients_use_keep_their_names_and_numbers() -> None:
    def numbers(message: type[wire.Event]) -> list[tuple[str, int]]:
        return [(field.name, field.number) for field in message.DESCRIPTOR.fields]

    assert numbers(wire.Event)[:6] == [
        ("event_id", 1),
        ("event_type", 2),
        ("aggregate_id", 3),
        ("aggregate_type", 4),
        ("event_data", 5),
        ("stream", 6),
    ]
    methods = wire.DESCRIPTOR.services_by_name["EventStore"].methods
    assert [method.name for method in methods] == ["CreateEvent", "GetEvents", "GetEventsStream"]
    assert wire.DESCRIPTOR.package == "eventstore"
