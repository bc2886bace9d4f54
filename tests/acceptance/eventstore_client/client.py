"""A client of the original event store, on what is generated from its own .proto: it knows nothing of this engine.

`client.py ADDRESS orders` writes, for each line `COUNT` of its stdin, so many more orders of three events each, sends
what is not answered again under the same id, and prints each id once it is answered. `client.py ADDRESS read ID` prints
what GetEvents says of an order, `client.py ADDRESS follow ID COUNT` the first so many events of its stream, in lines of
`event_id event_type event_data`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import eventstore_pb2 as messages
import eventstore_pb2_grpc as service
import grpc

TYPES = ("ORDERS.created", "ORDERS.paymentdebited", "ORDERS.approved")
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
PATIENCE = 90.0


def main(address: str, what: str, argument: str = "", count: str = "0") -> None:
    with grpc.insecure_channel(address, options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
        stub = service.EventStoreStub(channel)
        if what == "orders":
            write_orders(stub, sys.stdin)
        elif what == "read":
            for event in stub.GetEvents(messages.GetEventsRequest(aggregate_id=argument)).events:
                show(event)
        else:
            stream = stub.GetEventsStream(messages.GetEventsRequest(aggregate_id=argument))
            for _ in range(int(count)):
                show(next(stream))
            stream.cancel()


def write_orders(stub: service.EventStoreStub, counts: Iterable[str]) -> None:
    written = 0
    with ThreadPoolExecutor(8) as pool:
        for count in counts:
            numbers = range(written, written + int(count))
            list(pool.map(lambda number: write(stub, f"o-{number}"), numbers))
            written = numbers.stop


def write(stub: service.EventStoreStub, order_id: str) -> None:
    for event_type in TYPES:
        event = messages.Event(
            event_id=f"{order_id}-{event_type}",
            event_type=event_type,
            aggregate_id=order_id,
            aggregate_type="order",
            event_data="" if event_type == TYPES[-1] else f'{{"order_id": "{order_id}"}}',
            stream="ORDERS",
        )
        create(stub, event)
        say(event.event_id)


def create(stub: service.EventStoreStub, event: messages.Event) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            answer = stub.CreateEvent(messages.CreateEventRequest(event=event), timeout=10)
        except grpc.RpcError as error:
            if error.code() not in AGAIN or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            assert answer.is_success, answer.error
            return


def show(event: messages.Event) -> None:
    say(f"{event.event_id} {event.event_type} {event.event_data}")


def say(line: str) -> None:
    """One write for the whole line: several threads say theirs."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
