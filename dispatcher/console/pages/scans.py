"""Scans and their queue: live states, stages, rate limits, and what failed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.console.charts import StageSpan, stage_line
from dispatcher.console.finding_rows import instance_link
from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, EventsAnswer, TemplateAnswer
from dispatcher.console.rendering import render
from dispatcher.console.web_messages import Poll, WebError
from dispatcher.services.stage_times import RECENT
from sidelight.fleet.rate_limit.limiter import met
from sidelight.model import STAGE_OF, STAGES, State

if TYPE_CHECKING:
    from dispatcher.console.page import PageAnswer, PageRequest
    from sidelight.fleet.rate_limit.limiter import LimiterStats
    from sidelight.model import Scan
    from sidelight.store import ScanState

DAY: Final = timedelta(hours=24)
_SECONDS: Final = 2.0  # between two readings of the store
STAGE_NAMES: Final = {
    "take": "Snapshots",
    "await": "Waiting for AWS",
    "inspect": "Reading",
    "evaluate": "Matching",
    "delete": "Deleting",
}
SLOWEST: Final = (
    ListColumn("instance", "Instance", kind="id"),
    ListColumn("state", "State", kind="status"),
    ListColumn("age", "Since", kind="time", sort="age"),
    ListColumn("entered", "In this state since", kind="time", sort="entered", narrow=True),
    ListColumn("attempts", "Attempts", kind="number", sort="attempts"),
    ListColumn("account", "Account", kind="id", narrow=True),
    ListColumn("region", "Region", narrow=True),
    ListColumn("last_error", "Last error", kind="prose"),
)
FAILED: Final = (
    ListColumn("instance", "Instance", kind="id"),
    ListColumn("code", "Reason", kind="status", sort="code"),
    ListColumn("failure", "What happened", kind="prose"),
    ListColumn("at", "When", kind="time", sort="at"),
    ListColumn("account", "Account", kind="id", narrow=True),
    ListColumn("region", "Region", narrow=True),
)


LIMITS: Final = (
    ListColumn("limit", "Calls"),
    ListColumn("account", "Account", kind="id"),
    ListColumn("region", "Region"),
    ListColumn("waited", "Waited", kind="duration", sort="waited"),
    ListColumn("refused", "Handed back", kind="number", sort="refused"),
    ListColumn("throttles", "Throttled by AWS", kind="number", sort="throttles"),
)
_OTHER_TABS: Final = ("failed", "limits")
_NOTHING: Final = {
    "failed": "Nothing failed in the last 24 h",
    "limits": "No rate limit is in use, or Redis does not answer",
}


def scans(request: PageRequest) -> PageAnswer:
    """Show what is under way, how long stages take, and what failed in a day."""
    accounts = request.scope.accounts
    show = request.one_of("show", _OTHER_TABS)
    if show == "limits" and accounts is not None:
        raise WebError(404, "Rate limits are of all accounts together.", "Clear the scope.")
    listing, rows = _rows(request, show)
    if listing.format:
        return listing.download_items(rows, "scans")
    ended = request.store.scan_lists.ended(accounts, request.now - DAY)
    done, failed = ended.get(State.DONE, 0), ended.get(State.FAILED, 0)
    tabs = [
        ("Under way", request.here(show=None, sort=None), show not in _OTHER_TABS, None),
        ("Failed", request.here(show="failed", sort=None), show == "failed", failed),
    ]
    if accounts is None:
        limits = request.here(show="limits", sort=None)
        tabs.append(("Rate limits", limits, show == "limits", None))
    data = {
        **live_view(request),
        "list": listing.in_memory(rows),
        "tabs": tabs,
        # Times and limits are of all accounts together.
        "stages": _stages(request) if accounts is None else {"line": None, "rows": []},
        "nothing": _NOTHING.get(show, "No scan is under way"),
        "flower": _flower(request),
    }
    return TemplateAnswer(
        "scans.html", data, fact=f"{done:,} scans succeeded in the last 24 h, {failed:,} failed."
    )


def _flower(request: PageRequest) -> str:
    """Return the address of Flower; empty without one, or for one that is not a web address."""
    url = request.services.settings.api.flower
    return url if url.startswith(("https://", "http://")) else ""


def _rows(request: PageRequest, show: str) -> tuple[Listing, list[ListRow]]:
    """Return the chosen list and its rows."""
    accounts, lists = request.scope.accounts, request.store.scan_lists
    if show == "limits":
        listing = Listing(request, "Rate limits in use", LIMITS, sort="-throttles")
        return listing, [_limit(item) for item in met(request.services.settings)]
    if show == "failed":
        listing = Listing(request, "Failed in the last 24 h", FAILED, sort="-at")
        found = lists.failed(accounts, request.now - DAY, limit=500)
        return listing, [_failed(request, scan) for scan in found if _in_region(request, scan)]
    listing = Listing(request, "Longest under way", SLOWEST, sort="age")
    found = lists.slowest(accounts, limit=100)
    return listing, [_slow(request, scan) for scan in found if _in_region(request, scan)]


def events(request: PageRequest) -> EventsAnswer:
    """Send the live states whenever they change."""

    def read() -> str:
        return json.dumps({"scan-states": render("scan_states.html", live_view(request))})

    return EventsAnswer(Poll(read, seconds=_SECONDS))


def live_view(request: PageRequest) -> dict[str, object]:
    """Return the live scans by stage, as `scan_states.html` shows them."""
    states = request.store.scan_lists.states(request.scope.accounts)
    stages = [_stage(name, [item for item in states if STAGE_OF[item.state] == name])
              for name in STAGES]  # fmt: skip
    return {
        "live_stages": stages,
        "live_total": sum(item.count for item in states),
        "live_most": max((int(str(stage["count"])) for stage in stages), default=0),
    }


def _stage(name: str, states: list[ScanState]) -> dict[str, object]:
    return {
        "name": STAGE_NAMES[name],
        "count": sum(item.count for item in states),
        "held": sum(item.held for item in states),
        "queued": sum(item.queued for item in states),
        "waiting": sum(item.waiting for item in states),
    }


def _stages(request: PageRequest) -> dict[str, object]:
    """Return how long stages took lately: the time line, and percentiles."""
    times = request.store.stage_times.times(request.store.clock() - RECENT)
    spans = [
        StageSpan(STAGE_NAMES[item.stage], item.waited.p50, item.paced.p50, item.ran.p50)
        for item in times
    ]
    return {
        "line": stage_line(spans, "Median times of the stages") if spans else None,
        "rows": [
            (STAGE_NAMES[item.stage], item.scans, item.took.p50, item.took.p95, item.waited.p95)
            for item in times
        ],
    }


def _limit(item: LimiterStats) -> ListRow:
    cells = {
        "limit": item.budget,
        "account": item.account,
        "region": item.region,
        "waited": item.stats.waited,
        "refused": item.stats.refused,
        "throttles": item.stats.throttles,
    }
    return ListRow(cells)


def _slow(request: PageRequest, scan: Scan) -> ListRow:
    cells = {
        "instance": scan.instance,
        "state": scan.state.value,
        "age": scan.created_at,
        "entered": scan.entered_at,
        "attempts": scan.attempts,
        "account": scan.account,
        "region": scan.region,
        "last_error": scan.last_error,
    }
    return ListRow(cells, instance_link(request, scan.account, scan.instance))


def _failed(request: PageRequest, scan: Scan) -> ListRow:
    cells = {
        "instance": scan.instance,
        "code": scan.failure_code or "FAILED",
        "failure": scan.failure or scan.last_error,
        "at": scan.finished_at,
        "account": scan.account,
        "region": scan.region,
    }
    return ListRow(cells, instance_link(request, scan.account, scan.instance))


def _in_region(request: PageRequest, scan: Scan) -> bool:
    return not request.scope.region or scan.region == request.scope.region


PAGES = (
    ConsolePage("/scans", "Scans", scans),
    ConsolePage("/scans/events", "Live scans", events, section="/scans", is_live=True),
)
