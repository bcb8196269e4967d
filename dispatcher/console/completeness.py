"""What a page of the fleet's findings cannot have: machines read in part, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.services.unreached_accounts import counted_targets
from sidelight.store import measures

if TYPE_CHECKING:
    from dispatcher.console.page import PageRequest

# Pages of what machines have, by the rail's item; others speak of coverage themselves.
SECTIONS: Final = frozenset({"/findings", "/packages", "/plan", "/network"})
_GONE: Final = "RESOURCE_TERMINATED"
_DENIED: Final = "ACCESS_DENIED"


def incomplete(request: PageRequest) -> str:
    """Return what is missing in the scope, by the kept counts; empty where nothing is."""
    kept = request.store.fleet_overview.sums(
        (measures.COVERAGE, measures.UNREACHED), request.scope.accounts, region=request.scope.region
    )
    partial = denied = absent = 0
    for item, value in kept[measures.COVERAGE].values.items():
        code, _, reason = item.partition(" ")
        if reason == "PARTIAL":
            partial += int(value)
        elif reason == _DENIED:
            denied += int(value)
        elif (code != "ACTIVE" and reason != _GONE) or reason == "PENDING_INITIAL_SCAN":
            absent += int(value)
    parts = [
        f"{number:,} {'is' if number == 1 else 'are'} {what}"
        for number, what in ((partial, "read in part"), (absent, "not scanned"),
                             (denied, "in accounts that do not answer"))
        if number
    ]  # fmt: skip
    sentences = []
    if parts:
        sentences.append(
            f"Of the instances {', '.join(parts)}: what they have may be missing here."
        )
    if unlisted := int(kept[measures.UNREACHED].total):
        sentences.append(
            f"{counted_targets(unlisted)} could not be listed: what is there is missing here."
        )
    return " ".join(sentences)
