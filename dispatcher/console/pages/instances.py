"""Instances: whether each is scanned, why not, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.finding_rows import instance_link
from dispatcher.console.lists import ListColumn, Listing, ListRow, wrong_position
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.pages.views import INSTANCES, views_data
from dispatcher.console.unlisted import unlisted_note
from dispatcher.planning.remedies import remedy
from dispatcher.sources.data_notes import detailed
from sidelight.model import ScanMode
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.console.lists import Position
    from dispatcher.console.page import DownloadAnswer, PageRequest

COLUMNS: Final = (
    ListColumn("name", "Instance"),
    ListColumn("account", "Account", "id", narrow=True),
    ListColumn("status", "Status", "status"),
    ListColumn("reason", "Reason"),
    ListColumn("findings", "Findings", "severities"),
    ListColumn("system", "Operating system", wide=True),
    ListColumn("mode", "Monitored using", wide=True),
    ListColumn("scanned", "Last scanned", "time"),
    ListColumn("instance", "Id", "id", optional=True),
    ListColumn("region", "Region", optional=True),
    ListColumn("type", "Instance type", "code", optional=True),
    ListColumn("state", "State", "status", optional=True),
    ListColumn("tags", "Tags", "tags", optional=True),
    ListColumn("remedy", "What to do", "prose", optional=True),
)
_STATES: Final = {"scanning": "ACTIVE", "not-scanning": "INACTIVE"}
MODES: Final = {
    ScanMode.AGENT_BASED.value: "Systems Manager",
    ScanMode.AGENTLESS.value: "Snapshots",
}


def sentence(reason: str) -> str:
    """Return a reason's code as words."""
    words = reason.replace("_", " ").lower()
    for name in ("ec2", "ebs", "ssm", "os"):
        words = " ".join(name.upper() if word == name else word for word in words.split(" "))
    return words[:1].upper() + words[1:]


def coverage_search(request: PageRequest, text: str = "", **filters: str) -> CoverageSearch:
    """Return the search of package coverage in the request's scope; `text` replaces the query's."""
    tests: dict[str, Sequence[Mapping[str, object]]] = {
        "scanType": [{"comparison": "EQUALS", "value": "PACKAGE"}],
        **request.scope.coverage_filters(),
    }
    for name, value in filters.items():
        if value:
            tests[name] = [{"comparison": "EQUALS", "value": value}]
    wanted = text or request.value("q").strip()[:200]
    return CoverageSearch(tests, request.scope.accounts, text=wanted, machines=True)


def instances(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List instances with their coverage."""
    code = _STATES.get(request.one_of("state", _STATES), "")
    reason, mode = request.value("reason")[:100], request.value("mode")[:40]
    search = coverage_search(request, scanStatusCode=code, scanStatusReason=reason, scanMode=mode)
    listing = Listing(request, "Instances", COLUMNS)

    def read(after: Position, size: int) -> tuple[Sequence[ListRow], Position]:
        return coverage_rows(request, search, after, size)

    if listing.format:
        return listing.download(read, "instances")
    rows, position = read(listing.after, listing.size)
    every = coverage_search(request, scanStatusReason=reason, scanMode=mode)
    counts = request.store.found_coverage.counts(every, "SCAN_STATUS_CODE")
    total = sum(counts.values())
    shown = counts.get(code, 0) if code else total
    tabs = [
        ("All", request.here(state=None), not code, total),
        ("Scanning", request.here(state="scanning"), code == "ACTIVE", counts.get("ACTIVE", 0)),
        ("Not scanning", request.here(state="not-scanning"), code == "INACTIVE",
         counts.get("INACTIVE", 0)),
    ]  # fmt: skip
    chips = [(label, "is", sentence(value), request.here(**{name: None}))
             for name, label, value in (("reason", "Reason", reason), ("mode", "Mode", mode))
             if value]  # fmt: skip
    if search.text:
        chips.append(("Name, id or address", "has", search.text, request.here(q=None)))
    data = {"t": listing.page(rows, position, shown), "tabs": tabs, "chips": chips,
            "clear": request.link("/instances"), **views_data(request, INSTANCES)}  # fmt: skip
    data["unlisted"] = unlisted_note(request)
    fact = f"{counts.get('ACTIVE', 0):,} of {total:,} are scanned regularly" + (
        f", {counts['INACTIVE']:,} are not." if counts.get("INACTIVE") else "."
    )
    return TemplateAnswer("instances.html", data, fact=fact)


def coverage_rows(
    request: PageRequest, search: CoverageSearch, after: Position, size: int
) -> tuple[list[ListRow], Position]:
    """Return a page of rows of instances. Raises WebError for a position of another list."""
    store = request.store
    try:
        page = store.found_coverage.page(search, size, after)
    except ValueError as error:
        raise wrong_position() from error
    pairs = [(row.account, row.instance) for row in page.rows]
    counts = store.finding_counts.of_instances(pairs)
    systems = store.finding_counts.platforms(pairs)
    rows = []
    for row in page.rows:
        pair = row.account, row.instance
        known = page.instances.get(pair)
        cells = {
            "name": row.name or row.instance,
            "instance": row.instance,
            "account": row.account,
            "region": row.region,
            "status": row.status_code,
            "reason": sentence(row.reason),
            # What was not scanned must not look clean.
            "findings": counts[pair] if row.scanned_at or counts[pair] else None,
            "system": systems.get(pair, ""),
            "mode": MODES.get(row.scan_mode, ""),
            "scanned": row.scanned_at,
            "type": known.type if known else "",
            "state": known.state.upper() if known else "",
            "tags": dict(known.tags) if known else {},
            "remedy": remedy(row.reason, row.scan_mode),
        }
        notes = {"name": row.instance if row.name else row.region}
        if note := detailed(row):
            notes["reason"] = note
        # Part of a machine was not read: it is not as good as one that was.
        tones = {"status": "warn"} if row.reason == "PARTIAL" or not row.scanned_at else {}
        rows.append(
            ListRow(cells, href=instance_link(request, *pair), notes=notes,
                    tones=tones if row.status_code == "ACTIVE" else {})
        )  # fmt: skip
    return rows, page.position


PAGES = (ConsolePage("/instances", "Instances", instances),)
