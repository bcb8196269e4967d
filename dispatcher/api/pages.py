"""The pages of `sidelight serve` besides API and console: metrics, health, totals as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dispatcher.api.metrics import exposition
from sidelight.errors import UsageError
from sidelight.report.as_json import dumps
from sidelight.report.costs import costs_document, moment
from sidelight.store import COST_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dispatcher.services.cached_value import RefreshingValue
    from dispatcher.services.fleet_totals import Sums
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

JSON: Final = "application/json"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(slots=True)
class PageContext:
    """What pages are made of."""

    store: Store
    settings: Settings
    sums: RefreshingValue[Sums]


@dataclass(frozen=True, slots=True)
class ServedPage:
    """A path that is served. `is_probe`: it is answered to anyone, and has no data."""

    content_type: str
    body: Callable[[PageContext, Mapping[str, Sequence[str]]], bytes]
    is_probe: bool = False


def _metrics(context: PageContext, _: Mapping[str, Sequence[str]]) -> bytes:
    return exposition(context.store, context.settings, context.sums)


def _health(context: PageContext, _: Mapping[str, Sequence[str]]) -> bytes:
    context.store.totals.instances()  # raises where the store does not answer
    return b'{"status": "ok"}\n'


def _ready(context: PageContext, query: Mapping[str, Sequence[str]]) -> bytes:
    context.store.require()
    return _health(context, query)


def _costs(context: PageContext, query: Mapping[str, Sequence[str]]) -> bytes:
    by = list(query.get("by", ["account"]))
    since = moment(query["since"][0]) if "since" in query else None
    if unknown := sorted(set(by) - set(COST_KEYS)):
        raise UsageError(f"by is one of {', '.join(COST_KEYS)}, not {unknown[0][:100]!r}")
    return dumps({"costs": costs_document(context.store.costs.sums(by, since), by)}).encode()


def _coverage(context: PageContext, _: Mapping[str, Sequence[str]]) -> bytes:
    totals = context.store.totals
    document = {
        "instances": totals.instances(),
        "coverage": [asdict(row) for row in totals.coverage()],
        "findings": totals.findings(),
    }
    return dumps(document).encode()


METRICS: Final = "/metrics"
PAGES: Final[Mapping[str, ServedPage]] = {
    METRICS: ServedPage(CONTENT_TYPE_LATEST, _metrics),
    "/healthz": ServedPage(JSON, _health, is_probe=True),
    "/readyz": ServedPage(JSON, _ready, is_probe=True),
    "/api/v1/costs": ServedPage(JSON, _costs),
    "/api/v1/coverage": ServedPage(JSON, _coverage),
}
"""By path."""
