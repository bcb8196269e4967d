"""Accounts and Regions that discovery could not list are on each page that speaks of coverage."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.accounts import UnreachableTarget
from dispatcher.discovery.target_coverage import TargetCoverage
from dispatcher.fleet_counter import FleetCounter
from sidelight.errors import AccessDeniedError, CloudError, RegionDisabledError, SidelightError
from sidelight.fleet.rate_limit.limiter import RateLimitedError
from sidelight.model import Coverage, Instance, Role
from tests.fakes.clocks import START
from tests.fixtures.console_rig import ACCOUNT, ConsoleRig, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

OTHER, REGION = "222222222222", "eu-west-1"
HOSTILE = "</td><script>x\u202e\x1b[31m"
FAILURES: list[tuple[SidelightError, str, str]] = [
    (CloudError("Could not connect to the endpoint URL", where="ec2"), "", "Internal error"),
    (CloudError("InternalError (500)", where="ec2"), REGION, "Internal error"),
    (RateLimitedError("waits for its turn", where="ec2", delay=1.0), REGION, "Internal error"),
    (AccessDeniedError("no role sidelight there", where="sts"), "", "Access denied"),
    (RegionDisabledError("is not enabled", where=REGION), REGION, "Region not enabled"),
]


def unreachable(store: Store, *targets: UnreachableTarget) -> None:
    TargetCoverage(store, agents=False).cover([], targets)
    FleetCounter(store).run()


def scanned(store: Store, account: str = ACCOUNT) -> None:
    """One machine that was scanned."""
    machine = Instance("i-1", account, REGION, "running", ())
    store.instances.discovered(account, REGION, [machine])
    store.instances.cover(
        [Coverage(account, REGION, "i-1", "web", "ACTIVE", "SUCCESSFUL", scanned_at=START)]
    )


def shown(store: Store, path: str, *, account: str = "") -> str:
    who = person(Role.READER, frozenset(), account, "bob") if account else person(Role.READER)
    answer = ConsoleRig(store).get(path, who)
    assert answer.status == 200, text_of(answer)
    return text_of(answer)


@pytest.mark.parametrize(("error", "region", "reason"), FAILURES)
def test_an_account_that_is_not_listed_is_on_overview_accounts_and_coverage(
    store: Store, error: SidelightError, region: str, reason: str
) -> None:
    scanned(store)
    unreachable(store, UnreachableTarget(OTHER, region, error, hint=HOSTILE))
    overview = shown(store, "/")
    assert "1 account or Region could not be listed" in overview
    assert 'class="tile good"' not in overview
    coverage = shown(store, "/coverage")
    for text in (OTHER, reason, str(error).split(":")[-1].strip(), region or "all"):
        assert text in coverage
    assert 'class="tile good"' not in coverage
    assert "<script>x" not in coverage
    accounts = shown(store, "/settings")
    assert f"could not be listed: {reason.lower()}" in accounts
    # Where one Region alone is missing, the others are scanned.
    assert f"{2 if region else 1} of 2 accounts are scanned" in accounts
    assert (f"{region} could not be listed" in accounts) is bool(region)
    assert reason in shown(store, f"/settings/accounts/{OTHER}")


def test_what_was_not_listed_is_no_instance(store: Store) -> None:
    scanned(store)
    unreachable(store, UnreachableTarget(OTHER, REGION, CloudError("is down")))
    assert "1 of 1 instances" in shown(store, "/coverage")
    page = shown(store, "/instances")
    assert f"{REGION}:*" not in page
    assert "1 account or Region could not be listed" in page


@pytest.mark.parametrize("path", ["/findings", "/packages?q=ssl", "/plan", "/network"])
def test_pages_of_what_machines_have_say_that_accounts_are_missing(store: Store, path: str) -> None:
    unreachable(store, UnreachableTarget(OTHER, "", CloudError("is down")))
    assert "1 account or Region could not be listed" in shown(store, path)


def test_others_accounts_are_not_shown(store: Store) -> None:
    scanned(store)
    unreachable(store, UnreachableTarget(OTHER, "", CloudError("is down")))
    for path in ("/", "/coverage", "/settings", "/instances"):
        page = shown(store, path, account=ACCOUNT)
        assert "could not be listed" not in page
        assert OTHER not in page


def test_a_fleet_whose_accounts_cannot_be_listed_says_since_when(store: Store) -> None:
    scanned(store)
    store.unreached_targets.note_failure(f"{HOSTILE} endpoint")
    for path in ("/", "/coverage"):
        page = shown(store, path)
        assert "accounts could not be listed" in page
        assert "<script>x" not in page
    store.unreached_targets.clear_failure()
    for path in ("/", "/coverage"):
        assert "could not be listed" not in shown(store, path)


@pytest.mark.parametrize(
    ("swept", "tone", "note"),
    [
        ({}, "warn", "no sweep has run yet"),
        ({(ACCOUNT, REGION): 0}, "good", "1 of 1 account-region swept, now"),
        ({(ACCOUNT, REGION): 30}, "", "no sweep in 24 h, the last one 1 d ago"),
        ({(ACCOUNT, REGION): 0, (ACCOUNT, "us-east-1"): 30}, "", "1 of 2 account-regions swept"),
        ({(ACCOUNT, REGION): 3, (ACCOUNT, "us-east-1"): 1}, "good",
         "2 of 2 account-regions swept, the oldest 3 h ago"),
    ],
)  # fmt: skip
def test_no_leaked_snapshot_is_good_where_all_was_swept_lately(
    store: Store, swept: dict[tuple[str, str], int], tone: str, note: str
) -> None:
    scanned(store)
    rig = ConsoleRig(store)
    now = store.clock()
    for (account, region), hours in swept.items():
        _swept(store, account, region, timedelta(hours=hours))
    FleetCounter(store).run()
    page = text_of(rig.get("/", person()))
    assert now <= store.clock()
    tile = page[: page.index(note)].rpartition('class="tile ')[2]
    assert tile.partition('"')[0] == tone
    assert "Snapshots left behind" in tile


def test_an_account_that_was_not_listed_was_not_swept(store: Store) -> None:
    scanned(store)
    _swept(store, ACCOUNT, REGION, timedelta())
    unreachable(store, UnreachableTarget(OTHER, "", CloudError("is down")))
    assert "1 of 2 account-regions swept" in shown(store, "/")


def _swept(store: Store, account: str, region: str, age: timedelta) -> None:
    """Record a sweep that was so long ago."""
    sweeps = store.sweeps
    sweeps._clock = lambda: store.clock() - age
    sweeps.record(account, region, orphans=0, remaining=0)
