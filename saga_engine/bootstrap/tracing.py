"""Whether this process exports its traces, and how: by the usual environment variables of OpenTelemetry.

Owns the set-up of OpenTelemetry's SDK, which is the extra `otel`. Without those variables nothing of it is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from saga_engine.errors import UsageError
from saga_engine.extras import Extra, install_extra

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

SERVICE: Final = "saga-engine"

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def tracing(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Spans that are exported, or None where none are wanted.

    Wanted is what `OTEL_TRACES_EXPORTER` names, and OTLP where only an endpoint is given; `OTEL_SDK_DISABLED=true` and
    `none` want nothing. A tracer provider that this program has set already is used as it is.

    Raises:
        UsageError: an exporter is wanted that is not installed.
    """
    names = exporters(environment)
    if not names:
        return None
    if find_spec("opentelemetry.sdk") is None:
        wanted = ", ".join(names)
        raise UsageError(
            f"traces are to be exported ({wanted}), and OpenTelemetry's SDK is not installed; install it with: "
            f"{install_extra(Extra.OTEL)}; or unset OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    from opentelemetry import trace

    from saga_engine.tracing import Tracing

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        _provide(names)
    return Tracing(trace.get_tracer("saga_engine"))


def exporters(environment: Mapping[str, str]) -> list[str]:
    """The names of the exporters that are wanted, as they are registered."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    wanted = environment.get("OTEL_TRACES_EXPORTER", "")
    if not wanted.strip() and any(environment.get(name) for name in _ENDPOINTS):
        wanted = "otlp"
    names = [name.strip() for name in wanted.split(",") if name.strip() and name.strip() != "none"]
    return [_protocol(environment) if name == "otlp" else name for name in names]


def _protocol(environment: Mapping[str, str]) -> str:
    asked = next((environment[name] for name in _PROTOCOLS if environment.get(name)), "http/protobuf")
    return _OTLP.get(asked, asked)


def _provide(names: list[str]) -> None:
    """Set the process's tracer provider: sampler, resource, batches and exporters read their own variables.

    The console is stderr: stdout is for data.
    """
    from importlib.metadata import entry_points

    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    # What is said by OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES stands.
    resource = Resource({SERVICE_NAME: SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create().merge(resource))
    for name in names:
        found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
        if not found:
            raise UsageError(
                f"OTEL_TRACES_EXPORTER: no exporter named {name!r} is installed; the extra otel has otlp and console"
            )
        make = partial(ConsoleSpanExporter, out=sys.stderr) if name == "console" else found[0].load()
        provider.add_span_processor(BatchSpanProcessor(make()))
    trace.set_tracer_provider(provider)
