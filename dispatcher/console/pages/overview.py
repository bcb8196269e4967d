"""The fleet at a glance: kept counts, what to do first, and the scans under way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.console.charts import (
    BarPart,
    ChartDay,
    ChartSeries,
    columns_by_day,
    segmented_bar,
    sparkline,
    table_rows,
)
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.pages.instances import sentence
from dispatcher.console.pages.network import evaluated_networks
from dispatcher.console.pages.plan import action_view
from dispatcher.console.pages.scans import live_view
from dispatcher.console.rendering import ago
from dispatcher.console.signals import signal_feeds
from dispatcher.planning.remedies import remedy
from dispatcher.services.sweep_proof import sweep_proof
from dispatcher.services.unreached_accounts import counted_targets
from sidelight.model import MOST_SEVERE_FIRST, Severity
from sidelight.store import measures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from dispatcher.console.page import PageRequest
    from dispatcher.services.sweep_proof import SweepProof
    from sidelight.store import DayCounts, MeasureSums

DAYS: Final = 90
FIRST_ACTIONS: Final = 5
# The lowest part of a column is the most severe.
SERIES: Final = [
    ChartSeries(grade.value, grade.value.capitalize(), grade.value.lower())
    for grade in MOST_SEVERE_FIRST
]
FIXES: Final = [
    ChartSeries("opened", "Opened", "opened"),
    ChartSeries("closed", "Closed", "closed"),
]
_SERIOUS: Final = (Severity.CRITICAL, Severity.HIGH)
_MEASURES: Final = (
    measures.COVERAGE, measures.UNREACHED, measures.STALE, measures.EXPOSED, measures.COST,
)  # fmt: skip


def overview(request: PageRequest) -> TemplateAnswer:
    """Show the fleet, or the accounts and the Region of the scope."""
    accounts, region = request.scope.accounts, request.scope.region
    kept = request.store.fleet_overview
    days = kept.days(accounts, DAYS, region=region)
    sums = kept.sums(_MEASURES, accounts, region=region)
    plan = request.store.remediations.kept(accounts, FIRST_ACTIONS)
    coverage = sums[measures.COVERAGE]
    scanned, stale = _scanned(coverage, sums[measures.STALE])
    unlisted = int(sums[measures.UNREACHED].total)
    data = {
        "counted_at": kept.counted_at(),
        "tiles": _tiles(request, days, sums),
        "actions": [action_view(request, action) for action in plan.actions],
        "trend": columns_by_day(
            _trend(days), SERIES, "Active findings by severity, 90 days", name="trend"
        ),
        "trend_rows": table_rows(_trend(days), SERIES),
        "trend_head": ["Day", *(item.label for item in SERIES)],
        "others": sum(days[-1].other.values()),
        "fixes": columns_by_day(
            _weeks(days), FIXES, "Findings opened and closed a week", name="fixes", stacked=False
        ),
        "fix_rows": table_rows(_weeks(days), FIXES),
        "fix_head": ["Week from", *(item.label for item in FIXES)],
        "coverage": segmented_bar(_segments(request, coverage), "Coverage by reason"),
        "covered": bool(coverage.values),
        "failure": request.store.unreached_targets.failure(),
        "unlisted": unlisted,
        "unlisted_text": counted_targets(unlisted),
        **live_view(request),
    }
    fact = ""
    if coverage.values or unlisted:
        fact = f"{scanned:,} instances scanned in the last 24 h, {stale:,} not."
        fact += f" {counted_targets(unlisted)} could not be listed." if unlisted else ""
    return TemplateAnswer("overview.html", data, fact=fact)


def _scanned(coverage: MeasureSums, stale: MeasureSums) -> tuple[int, int]:
    eligible = sum(value for item, value in coverage.values.items() if item.startswith("ACTIVE "))
    return int(max(eligible - stale.total, 0)), int(stale.total)


def _tiles(
    request: PageRequest, days: Sequence[DayCounts], sums: dict[str, MeasureSums]
) -> list[dict[str, object]]:
    """Return the tiles; leaked snapshots are first where there are any."""
    today = days[-1]
    new = sum(day.opened.get(grade, 0) for day in days[-2:] for grade in _SERIOUS)
    serious = today.active(*_SERIOUS)
    stale = int(sums[measures.STALE].total)
    exposed = int(sums[measures.EXPOSED].total)
    link = request.link
    # What was not counted is unknown; and without a machine that is scanned, 0 is not good. Nor is
    # it where accounts could not be listed.
    is_listed = not sums[measures.UNREACHED].total
    codes = sums[measures.COVERAGE].values
    is_counted, is_scanned = today.counted, any(code.startswith("ACTIVE ") for code in codes)
    is_evaluated = bool(exposed or evaluated_networks(request))
    good, unknown = "good" if is_scanned and is_listed else "", "no instance is scanned"
    if sums[measures.COVERAGE].counted_at is None:
        unknown = "not counted yet"
    tiles: list[dict[str, object]] = [
        {
            "label": "Critical and high, open",
            "value": f"{serious:,}" if is_counted else "?",
            "href": link("/findings", severity=["CRITICAL", "HIGH"]),
            "note": f"{new:,} new since yesterday" if is_counted else "not counted yet",
            "spark": sparkline(
                [day.active(*_SERIOUS) if day.counted else None for day in days[-30:]],
                "Critical and high findings, 30 days",
            ),
        },
        _exploited_tile(request, today.exploited if is_counted else None, good),
        {
            "label": "Reachable and vulnerable",
            "value": f"{exposed:,}" if is_counted and is_evaluated else "?",
            "href": link("/network"),
            "note": "instances open to the internet, critical or high"
            if is_evaluated
            else "no network was evaluated yet",
            "tone": "bad" if exposed else good if is_evaluated else "warn",
        },
        {
            "label": "Not scanned in 24 h",
            "value": f"{stale:,}" if is_scanned or stale else "?",
            "href": link("/coverage"),
            "note": "instances that should be" if is_scanned or stale else unknown,
            "tone": "bad" if stale else good or ("" if is_scanned else "warn"),
        },
        _cost_tile(request, days, sums[measures.COST].values),
    ]
    return _with_leaks(request, tiles)


def _exploited_tile(request: PageRequest, exploited: int | None, good: str) -> dict[str, object]:
    """Return the tile of known exploits; None of them without a feed of them is unknown."""
    tile: dict[str, object] = {
        "label": "Exploited now (KEV)",
        "value": "?" if exploited is None else f"{exploited:,}",
        "href": request.link("/findings", exploit="YES"),
        "note": "not counted yet" if exploited is None else "findings with a known exploit",
        "tone": "bad" if exploited else "" if exploited is None else good,
    }
    why = "" if exploited else signal_feeds(request).kev
    if why:
        # Neutral: nothing is wrong with the fleet, but nothing says that it is well either.
        unknown = {"value": "?", "href": request.link("/advisories"), "tone": ""}
        tile |= {**unknown, "note": f"unknown: {why}"}
    return tile


def _cost_tile(
    request: PageRequest, days: Sequence[DayCounts], dollars: Mapping[str, float]
) -> dict[str, object]:
    """Return the tile of this month's cost, from the dollars of each day."""
    month = request.now.strftime("%Y-%m-")
    cost = sum(value for item, value in dollars.items() if item.startswith(month))
    costs = [dollars.get(day.day.isoformat(), 0.0) for day in days[-30:]]
    amount = f"${cost:,.2f}" if cost >= 0.005 or not cost else "<$0.01"
    return {
        "label": "Cost this month",
        "value": amount if dollars else "?",
        "href": "",
        "note": "EBS direct API calls" if dollars else "no scan's cost is recorded yet",
        "spark": sparkline(costs, "Dollars a day, 30 days"),
    }


def _with_leaks(request: PageRequest, tiles: list[dict[str, object]]) -> list[dict[str, object]]:
    """Add the tile of leaked snapshots: none is good where each account-region was swept lately."""
    proof = sweep_proof(request.store, request.now, request.scope.accounts, request.scope.region)
    tile: dict[str, object] = {
        "label": "Snapshots left behind",
        "value": "?" if proof.newest is None else f"{proof.left:,}",
        "href": request.link("/scans"),
        "note": _swept(proof, request.now),
        "tone": "bad" if proof.left else "warn" if proof.newest is None or proof.foreign
        else "good" if proof.is_whole else "",
    }  # fmt: skip
    return [tile, *tiles] if proof.left else [*tiles, tile]


def _swept(proof: SweepProof, now: datetime) -> str:
    """Return where and when the sweeps looked, which is all that a number of them can speak of."""
    if proof.newest is None:
        return "no sweep has run yet"
    if proof.oldest is None:
        return f"no sweep in 24 h, the last one {ago(proof.newest, now)}"
    if proof.foreign:
        return f"{proof.foreign:,} foreign snapshots carry our tags"
    noun = "account-region" if proof.known == 1 else "account-regions"
    when = ago(proof.oldest, now)
    when = "now" if when == "now" else f"the oldest {when}" if proof.swept > 1 else when
    return f"{proof.swept:,} of {proof.known:,} {noun} swept, {when}"


def _trend(days: Sequence[DayCounts]) -> list[ChartDay]:
    return [
        ChartDay(
            f"{day.day:%-d %b}",
            {grade.value: day.running.get(grade, 0) for grade in Severity},
            known=day.counted,
        )
        for day in days
    ]


def _weeks(days: Sequence[DayCounts]) -> list[ChartDay]:
    """Sum days to weeks, from Monday; the first one only if it is whole."""
    weeks: dict[object, list[DayCounts]] = {}
    for day in days:
        monday = day.day - timedelta(days=day.day.weekday())
        weeks.setdefault(monday, []).append(day)
    whole = [some for some in weeks.values() if some[0].day.weekday() == 0]
    return [
        ChartDay(
            f"{some[0].day:%-d %b}",
            {
                "opened": sum(sum(day.opened.values()) for day in some),
                "closed": sum(sum(day.closed.values()) for day in some),
            },
            known=any(day.counted for day in some),
        )
        for some in whole
    ]


def _segments(request: PageRequest, coverage: MeasureSums) -> list[BarPart]:
    """Return coverage by reason: scanned ones first, then what needs something done."""
    found = []
    for item, value in coverage.values.items():
        code, _, reason = item.partition(" ")
        state = "scanning" if code == "ACTIVE" else "not-scanning"
        href = request.link("/instances", reason=reason, state=state)
        found.append(BarPart(sentence(reason or code), value, _tone(code, reason), href))
    order = {"good": 0, "warn": 1, "": 2, "bad": 3}
    return sorted(found, key=lambda part: (order[part.tone], -part.value))


def _tone(code: str, reason: str) -> str:
    if code == "ACTIVE":
        return "good" if reason == "SUCCESSFUL" else "warn"
    return "" if remedy(reason).startswith("Nothing") or reason == "EXCLUDED_BY_TAG" else "bad"


PAGES = (ConsolePage("/", "Overview", overview),)
