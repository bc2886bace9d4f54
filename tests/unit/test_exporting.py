"""Whether traces are exported, and by what: as the usual variables of OpenTelemetry say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from textwrap import dedent

import pytest

from saga_engine.bootstrap.tracing import exporters, tracing
from saga_engine.errors import UsageError

ENDPOINT = "http://collector.example:4318"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, []),
        ({"OTEL_TRACES_EXPORTER": ""}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "console"}, ["console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp_proto_http", "console"]),
        ({"OTEL_TRACES_EXPORTER": "zipkin_json"}, ["zipkin_json"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ENDPOINT}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, []),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "false"}, ["console"]),
    ],
)
def test_the_variables_of_opentelemetry_say_which_exporters_are_wanted(
    environment: Mapping[str, str], wanted: list[str]
) -> None:
    assert exporters(environment) == wanted


def test_without_any_of_them_nothing_is_made() -> None:
    assert tracing({}) is None


def test_an_exporter_that_is_not_installed_is_a_mistake_that_is_named() -> None:
    with pytest.raises(UsageError, match="no exporter named 'zipkan' is installed"):
        tracing({"OTEL_TRACES_EXPORTER": "zipkan"})


def exported(code: str, **environment: str) -> tuple[list[dict[str, object]], str]:
    """The spans that a process of its own has exported when it has ended, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], env=environment, capture_output=True, text=True, check=True
    )
    decoder, spans, rest = json.JSONDecoder(), [], done.stderr.strip()
    while rest:
        span, end = decoder.raw_decode(rest)
        spans.append(span)
        rest = rest[end:].strip()
    return spans, done.stdout


CODE = """
    from saga_engine.bootstrap.tracing import tracing
    made = tracing()
    if made is not None:
        made.end(made.starting("order", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        print(tracing() is not None)
"""


def test_spans_are_exported_when_the_process_ends_under_the_name_that_is_given_and_never_to_stdout() -> None:
    spans, printed = exported(CODE, OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="orders")
    assert printed == "True\n"
    [span] = spans
    assert (span["name"], span["parent_id"]) == ("start order", "0xb7ad6b7169203331")
    assert span["resource"]["attributes"]["service.name"] == "orders"  # type: ignore[index] # JSON


def test_a_service_without_a_name_is_called_saga_engine() -> None:
    [span], _ = exported(CODE, OTEL_TRACES_EXPORTER="console")
    assert span["resource"]["attributes"]["service.name"] == "saga-engine"  # type: ignore[index] # JSON


def test_how_many_traces_are_exported_is_the_samplers_matter() -> None:
    spans, printed = exported(CODE, OTEL_TRACES_EXPORTER="console", OTEL_TRACES_SAMPLER="always_off")
    assert (spans, printed) == ([], "True\n")
