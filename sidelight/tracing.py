"""OpenTelemetry's traces of scans, where they are switched on; nothing is imported otherwise.

A process calls `enable`. A span is then sent to the OTLP endpoint by a thread of the process that
made it, also after a fork. A trace goes on in another process by the header `traceparent` of W3C's
Trace Context.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRACEPARENT: Final = "traceparent"
_FORM: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True)
class _Tracing:
    """The switch of this process, and its tracer, which is made where it is first needed."""

    endpoint: str = ""
    service: str = ""
    process: int = 0
    tracer: Any = None


_tracing: Final = _Tracing()
_lock: Final = threading.Lock()


def enable(endpoint: str, service: str) -> None:
    """Send spans to an OTLP endpoint by HTTP from now on; an empty one switches them off.

    Raises UsageError for what is not an endpoint, and where OpenTelemetry is not installed.
    """
    if endpoint and not endpoint.startswith(("http://", "https://")):
        what = f"{endpoint!r} is not http://HOST:4318/v1/traces or https://…"
        raise UsageError(what, where="SIDELIGHT_TRACES")
    if endpoint and not all(map(_is_installed, ("sdk", "exporter"))):
        what = "traces need the extra `traces` (opentelemetry-sdk and its exporter by HTTP)"
        raise UsageError(what, where="SIDELIGHT_TRACES")
    with _lock:
        _tracing.endpoint, _tracing.service = endpoint, service
        _tracing.process, _tracing.tracer = 0, None


def _is_installed(name: str) -> bool:
    try:
        return find_spec(f"opentelemetry.{name}") is not None
    except ImportError:
        return False


def is_traceparent(value: object) -> bool:
    """Return whether a value has the form of the header."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


@contextmanager
def span(
    name: str, attributes: Mapping[str, str] | None = None, *, parent: str | None = None
) -> Iterator[None]:
    """Trace the block; `parent` is the header of the span that caused it. Errors are recorded."""
    if not _tracing.endpoint:
        yield
        return
    tracer, context = _tracer(), None
    if is_traceparent(parent):
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({TRACEPARENT: str(parent)})
    with tracer.start_as_current_span(name, context=context, attributes=dict(attributes or {})):
        yield


def headers() -> dict[str, str]:
    """Return the headers by which another process continues the current span's trace."""
    if not _tracing.endpoint:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name: text for name, text in carrier.items() if name == TRACEPARENT}


def trace_calls(client: Any, service: str) -> None:
    """Trace each call of a boto3 client, with its service, operation and Region."""
    if not _tracing.endpoint:
        return
    call = client._make_api_call  # noqa: SLF001 - each operation goes through it

    def traced(operation: str, parameters: Any) -> Any:
        attributes = {
            "rpc.system": "aws-api", "rpc.service": service, "rpc.method": operation,
            "cloud.region": str(client.meta.region_name),
        }  # fmt: skip
        with span(f"{service}.{operation}", attributes):
            return call(operation, parameters)

    client._make_api_call = traced  # noqa: SLF001


def _tracer() -> Any:
    with _lock:
        if _tracing.process != os.getpid():
            _tracing.tracer, _tracing.process = _made_tracer(), os.getpid()
        return _tracing.tracer


def _made_tracer() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": _tracing.service}))
    exporter = OTLPSpanExporter(endpoint=_tracing.endpoint)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    return provider.get_tracer("sidelight")
