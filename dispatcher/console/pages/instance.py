"""One instance: findings, packages, disks, network, scans and history; scan now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.criteria import finding_filter
from dispatcher.console.finding_rows import COLUMNS as FINDING_COLUMNS
from dispatcher.console.finding_rows import SORTS, finding_reader, instance_link
from dispatcher.console.lists import Listing
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.pages.instance_packages import instance_packages
from dispatcher.console.pages.instances import MODES, sentence
from dispatcher.console.web_messages import WebError
from dispatcher.planning.cadence import next_time
from dispatcher.planning.remedies import remedy
from dispatcher.sources.data_notes import SOURCES
from sidelight.errors import StoreError
from sidelight.model import STAGES, Role, ScanMode, ScanType, State
from sidelight.store import CoverageSearch, FindingSearch
from sidelight.suppression import parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dispatcher.console.page import DownloadAnswer, PageAnswer, PageRequest
    from sidelight.model import Coverage, Inventory, Scan
    from sidelight.store import ScanStage

_SCANS: Final = 20
_SCAN_TYPES: Final = {"findings": ScanType.PACKAGE, "network": ScanType.NETWORK}  # of tabs
_NOW: Final = 1  # the priority of a scan that a person waits for
_TABS: Final = ("findings", "packages", "network", "disks", "scans", "history")


def instance(request: PageRequest) -> PageAnswer:
    """Show an instance."""
    account, number = request.segments["account"], request.segments["instance"]
    request.check_account(account)
    store = request.store
    known = store.instances.instance(account, number)
    search = CoverageSearch(
        {"resourceId": [{"comparison": "EQUALS", "value": number}]}, frozenset({account})
    )
    rows = store.found_coverage.page(search, 10).rows
    if known is None and not rows:
        raise WebError(404, "There is no such instance, or you may not see it.")
    tab = request.value("tab") if request.value("tab") in _TABS else "findings"
    content = _TAB_CONTENT[tab](request, account, number)
    if not isinstance(content, dict):
        return content
    package = next((row for row in rows if row.scan_type == "PACKAGE"), None)
    name = (known.name if known else "") or (package.name if package else "") or number
    labels = [(label.capitalize(), request.here(tab=label, sort=None, columns=None),
               label == tab, None) for label in _TABS]  # fmt: skip
    data = {
        "account": account,
        "instance": number,
        "known": known,
        "system": store.finding_counts.platforms([(account, number)]).get((account, number), ""),
        "severities": store.finding_counts.of_instances([(account, number)])[account, number],
        "coverage": [_covered(row, request.now) for row in rows],
        "package": package,
        "is_scanned": any(row.scanned_at for row in rows if row.scan_type == _SCAN_TYPES.get(tab)),
        "tab": tab,
        "tabs": labels,
        "live": next(iter(store.scan_history.of(account, number, 1)), None),
        "back": request.link("/instances"),
        **content,
    }
    return TemplateAnswer("instance.html", data, title=name)


def scan_now(request: PageRequest) -> RedirectAnswer:
    """Create a scan of the instance, before those that are merely due."""
    account, number = request.segments["account"], request.segments["instance"]
    request.check_account(account)
    known = request.store.instances.instance(account, number)
    if known is None or request.store.instances.is_gone(account, number):
        raise WebError(404, "There is no such instance any more.")
    place = (account, known.region, number)
    store = request.store
    created = store.scans.create([place], store.deployment(), priority=_NOW)
    notice = "A scan is queued." if created else "A scan of this instance is under way already."
    return RedirectAnswer(instance_link(request, account, number, "scans"), notice)


def _covered(row: Coverage, now: datetime) -> dict[str, object]:
    return {
        "row": row,
        "reason": sentence(row.reason),
        "mode": MODES.get(row.scan_mode, ""),
        "source": SOURCES.get(row.data_source, ""),
        "remedy": remedy(row.reason, row.scan_mode),
        "next_due": _next_due(row, now),
    }


def _next_due(row: Coverage, now: datetime) -> datetime | None:
    """Return when an instance's disks are read again; None where that is not by the clock."""
    is_timed = row.scan_type == ScanType.PACKAGE and row.scan_mode == ScanMode.AGENTLESS
    return (
        next_time(row.account, row.instance, now)
        if is_timed and row.status_code == "ACTIVE"
        else None
    )


def _findings(
    request: PageRequest, account: str, number: str
) -> dict[str, object] | DownloadAnswer:
    return _finding_list(request, account, number, "PACKAGE_VULNERABILITY")


def _network(request: PageRequest, account: str, number: str) -> dict[str, object] | DownloadAnswer:
    return _finding_list(request, account, number, "NETWORK_REACHABILITY")


def _finding_list(
    request: PageRequest, account: str, number: str, kind: str
) -> dict[str, object] | DownloadAnswer:
    # Each row is of this instance.
    columns = [column for column in FINDING_COLUMNS if column.name != "instance"]
    listing = Listing(request, "Findings", columns, sort="-severity")
    document = {
        **finding_filter(request).document,
        "resourceId": [{"comparison": "EQUALS", "value": number}],
        "findingType": [{"comparison": "EQUALS", "value": kind}],
    }
    search = FindingSearch(
        parse(document), frozenset({account}), SORTS[listing.sort], listing.descending
    )
    read = finding_reader(request, search)
    if listing.format:
        return listing.download(read, f"findings-{number}")
    rows, position = read(listing.after, listing.size)
    facets = request.store.finding_counts.facets(search)
    return {"t": listing.page(rows, position, facets.total, at_least=facets.is_part)}


def _inventory(request: PageRequest, account: str, number: str) -> Inventory | None:
    try:
        return request.store.findings.inventory(account, number)
    except StoreError:
        return None


def _packages(
    request: PageRequest, account: str, number: str
) -> dict[str, object] | DownloadAnswer:
    return instance_packages(request, _inventory(request, account, number), number)


def _disks(request: PageRequest, account: str, number: str) -> dict[str, object]:
    return {"machine": _inventory(request, account, number)}


def _scans(request: PageRequest, account: str, number: str) -> dict[str, object]:
    store = request.store
    scans = store.scan_history.of(account, number, _SCANS)
    ids = [scan.id for scan in scans]
    stages, costs = store.scan_history.stages(ids), store.costs.of(ids)
    return {
        "scans": [
            {"scan": scan, "line": stage_line(scan, stages[scan.id]), "cost": costs.get(scan.id)}
            for scan in scans
        ]
    }


def stage_line(scan: Scan, stages: Sequence[ScanStage]) -> list[tuple[str, str, str]]:
    """Return a scan's stages for the part of that name: label, state and duration."""
    ended = {stage.stage: stage for stage in stages}
    line, is_next = [], True
    for name in STAGES:
        stage = ended.get(name)
        label = name.capitalize()
        if stage is not None:
            line.append((label, "done", f"{stage.ran:.1f} s"))
        elif scan.state in (State.DONE, State.FAILED):
            line.append((label, "failed" if scan.state is State.FAILED and is_next else "", ""))
            is_next = False
        else:
            line.append((label, "now" if is_next else "", ""))
            is_next = False
    return line


def _history(request: PageRequest, account: str, number: str) -> dict[str, object]:
    changes = request.store.coverage_history.of([(account, number)])
    ordered = sorted(changes, key=lambda change: change.at, reverse=True)[:200]
    return {"changes": [(change, sentence(change.reason)) for change in ordered]}


_TAB_CONTENT: Final = {
    "findings": _findings,
    "packages": _packages,
    "network": _network,
    "disks": _disks,
    "scans": _scans,
    "history": _history,
}

PAGES = (
    ConsolePage("/instances/{account}/{instance}", "Instance", instance, section="/instances"),
    ConsolePage("/instances/{account}/{instance}/scan", "Scan now", scan_now, Role.OPERATOR,
                "POST", "/instances", "ScanInstance"),
)  # fmt: skip
