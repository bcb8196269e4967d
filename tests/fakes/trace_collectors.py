"""A collector of traces on loopback, which speaks OTLP by HTTP."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it was sent."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]
    failed: bool


@dataclass
class TraceCollector:
    """The spans that were sent to `endpoint`."""

    endpoint: str = ""
    spans: list[CollectedSpan] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {span.name for span in list(self.spans)}

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            known = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.spans += [
                CollectedSpan(
                    span.name, known["service.name"], span.trace_id.hex(), span.span_id.hex(),
                    span.parent_span_id.hex(),
                    {item.key: item.value.string_value for item in span.attributes},
                    span.status.code == 2,
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]  # fmt: skip


@contextmanager
def collecting() -> Iterator[TraceCollector]:
    collector = TraceCollector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
