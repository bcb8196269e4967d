"""The web page: totals of coverage, findings, costs and scans. No script; all text is escaped."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

from dispatcher.services.stage_times import PARTS, RECENT
from sidelight.fleet.rate_limit.limiter import met
from sidelight.model import Severity, State
from sidelight.report.escape import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dispatcher.services.cached_value import CachedValue
    from dispatcher.services.fleet_totals import Sums
    from sidelight.fleet.settings import Settings
    from sidelight.store import StageTimes, Store

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
  color: #1c2733; background: #fff; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .2rem 0; color: #51606e; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #dde3e9; }
td.n, th.n { text-align: right; }
.bad { color: #a61b1b; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { color: #dfe6ee; background: #14191f; }
  p { color: #9aa8b5; } th, td { border-color: #2b343d; } .bad { color: #ff8f8f; } }
"""
# The page needs only its own style; the policy makes the browser refuse everything else.
POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
RECENT_DAYS = 14


def page(store: Store, settings: Settings, sums: CachedValue[Sums]) -> str:
    """Return the page as HTML. Raises StoreError."""
    totals = sums.value
    counts = store.scans.counts()
    sweeps = store.sweeps.all()
    orphans = sum(item.orphans for item in sweeps)
    left = sum(item.remaining for item in sweeps)
    midnight = store.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    days = store.costs.sums(["day"], midnight - timedelta(days=RECENT_DAYS - 1))
    age = f" Coverage, findings and costs as of {sums.age:.0f} s ago." if sums.age >= 1 else ""
    summary = f"{orphans} orphaned snapshots were ever found, {left} are left"
    foreign = sum(item.foreign_snapshots for item in sweeps)
    if foreign:
        summary += f"; {foreign} foreign snapshots carry our tags and were not touched"
    leak = " class=bad" if orphans or left or foreign else ""
    head = f"{totals.instances} instances; <span{leak}>{summary}</span>.{age}"
    parts = [
        f"<h1>Sidelight</h1><p>{head}</p>",
        _table("Coverage", ("Status", "Reason", "Instances"),
               [(row.status_code, row.reason, row.count) for row in totals.coverage]),
        _table("Active findings", ("Severity", "Findings"),
               [(s.value, totals.findings.get(s.value, 0))
                for s in sorted(Severity, key=lambda s: -s.rank)]),
        _table("Findings that are kept", ("State", "Findings"),
               sorted(totals.findings_by_status.items())),
        _table("Scans", ("State", "Scans"),
               [(state.value, counts[state]) for state in State if state in counts]),
        _table("Snapshots in flight", ("Account", "Region", "State", "Snapshots"),
               [(item.account, item.region, item.state.value, item.count)
                for item in store.totals.snapshots_in_flight()]),
        _table("Stages in the last hour, seconds at p50 and p95",
               ("Stage", "Scans", *(f"{part} {q}" for part in PARTS for q in ("p50", "p95"))),
               [(item.stage, item.scans, *_spreads(item))
                for item in store.stage_times.times(store.clock() - RECENT)]),
        _table("Budgets", ("Account", "Region", "Budget", "Waited s", "Handed back", "Throttles"),
               [(item.account, item.region, item.budget, f"{item.stats.waited:.1f}",
                 item.stats.refused, item.stats.throttles) for item in met(settings)]),
        _table("Costs by account and region", ("Account", "Region", *COSTS),
               [(r.account, r.region, *_cost(r)) for r in totals.costs]),
        _table("Costs by day", ("Day", *COSTS), [(r.day, *_cost(r)) for r in days]),
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Sidelight</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _spreads(times: StageTimes) -> Iterable[str]:
    for part in PARTS:
        spread = getattr(times, part)
        yield from (f"{spread.p50:.2f}", f"{spread.p95:.2f}")


COSTS = ("Scans", "Get calls", "List calls", "MiB", "USD")


def _cost(row: object) -> tuple[object, ...]:
    def of(name: str) -> float:
        return float(getattr(row, name))

    return (
        int(of("scans")), int(of("get_calls")), int(of("list_calls")),
        f"{of('bytes') / (1 << 20):.1f}", f"{of('usd'):.4f}",
    )  # fmt: skip


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table. Every cell is escaped: names come from untrusted instances."""
    texts = {"Status", "Reason", "Severity", "State", "Account", "Region", "Day", "Stage", "Budget"}
    kinds = ["" if name in texts else " class=n" for name in head]

    def line(cells: Sequence[object], tag: str) -> str:
        cells_html = (
            f"<{tag}{kind}>{escape(printable(str(cell)))}</{tag}>"
            for kind, cell in zip(kinds, cells, strict=True)
        )
        return f"<tr>{''.join(cells_html)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    if not body:
        return f"<h2>{escape(title)}</h2><p>None yet.</p>"
    return f"<h2>{escape(title)}</h2><table>{line(head, 'th')}{body}</table>"
