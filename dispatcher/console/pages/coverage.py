"""Coverage: was everything scanned, and what to do where it was not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.pages.advisories import moment_of
from dispatcher.console.pages.instances import coverage_search, sentence
from dispatcher.console.unlisted import unlisted
from dispatcher.planning.remedies import remedy
from dispatcher.services.unreached_accounts import counted_targets
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest

COLUMNS: Final = (
    ListColumn("reason", "Reason", sort="reason"),
    ListColumn("state", "State", "status", sort="state"),
    ListColumn("instances", "Instances", "number", sort="instances"),
    ListColumn("remedy", "What to do", "prose"),
)


def coverage(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """Show coverage by reason and account, and what the last 24 hours prove."""
    found = request.store.found_coverage
    base = coverage_search(request)
    active = found.counts(coverage_search(request, scanStatusCode="ACTIVE"), "SCAN_STATUS_REASON")
    inactive = found.counts(
        coverage_search(request, scanStatusCode="INACTIVE"), "SCAN_STATUS_REASON"
    )
    rows = [
        ListRow(
            {"reason": sentence(reason), "state": state, "instances": count,
             "remedy": remedy(reason)},
            href=request.link("/instances", reason=reason, state=tab),
        )
        for state, tab, counts in (("INACTIVE", "not-scanning", inactive),
                                   ("ACTIVE", "scanning", active))
        for reason, count in counts.items()
    ]  # fmt: skip
    listing = Listing(request, "By reason", COLUMNS, sort="-instances")
    if listing.format:
        return listing.download_items(rows, "coverage")
    day = request.now - timedelta(days=1)
    recent = CoverageSearch(
        {**base.filters, "lastScannedAt": [{"startInclusive": day}]}, base.accounts,
        text=base.text, machines=True,
    )  # fmt: skip
    scanned = sum(found.counts(recent).values())
    accounts = found.counts(base, "ACCOUNT_ID")
    bad = found.counts(coverage_search(request, scanStatusCode="INACTIVE"), "ACCOUNT_ID")
    total = sum(accounts.values())
    # What instances are compared with is part of the proof.
    registered = request.store.registered_advisories.latest()
    newest = moment_of(registered[0].newest) if registered else None
    missing = unlisted(request)
    data = {
        "t": listing.in_memory(rows),
        "total": total,
        "scanned": scanned,
        "inactive": sum(inactive.values()),
        "partial": active.get("PARTIAL", 0),
        "accounts": [
            (account, count, count - bad.get(account, 0))
            for account, count in sorted(accounts.items(), key=lambda pair: -bad.get(pair[0], 0))
        ][:200],
        "newest": newest,
        "unlisted": missing,
        "sentence": sentence,
        "more_accounts": max(0, len(accounts) - 200),
    }
    fact = f"{scanned:,} of {total:,} instances were scanned in the last 24 h."
    if missing.count:
        fact += f" {counted_targets(missing.count)} could not be listed."
    return TemplateAnswer("coverage.html", data, fact=fact)


PAGES = (ConsolePage("/coverage", "Coverage", coverage),)
