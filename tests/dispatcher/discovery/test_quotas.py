"""An account's quotas are read with its instances: once a day, and never at a scan's cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget
from dispatcher.discovery.discoverer import Discoverer
from dispatcher.planning.eligibility import Configuration
from sidelight.errors import (
    AccessDeniedError,
    CloudError,
    OwnCredentialsError,
    RegionDisabledError,
)
from sidelight.fleet.settings import Settings
from sidelight.model import Instance, Volume
from tests.fakes.fake_ec2 import ACCOUNT, REGION
from tests.fakes.fake_fleet import FakeFleet
from tests.fakes.scripted_aws import Scripted, Sessions, refused
from tests.fixtures.store_urls import sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


SCANNER = "111111111111"


class NoInstances:
    def instances(self) -> list[Instance]:
        return []

    def instances_by_id(self, ids: Sequence[str]) -> tuple[list[Instance], list[str]]:
        del ids
        return [], []


@pytest.fixture
def fake_fleet(tmp_path: Path) -> Iterator[FakeFleet]:
    fleet = FakeFleet(sqlite_url(tmp_path))
    yield fleet
    fleet.close()


def discovering(fake_fleet: FakeFleet, client: Scripted, **settings: Any) -> Discoverer:
    session: Any = Sessions(client)
    return Discoverer(
        fake_fleet.store, session, lambda _: NoInstances(), Settings.of(**settings), "here"
    )


def value(number: float) -> dict[str, Any]:
    return {"Quota": {"Value": number}}


def test_quotas_are_read_once_a_day(fake_fleet: FakeFleet) -> None:
    client = Scripted(get_service_quota=[value(500.0)])
    discover, here = discovering(fake_fleet, client), AccountRegion(ACCOUNT, REGION)
    for _ in range(3):
        discover(here, Configuration())
        fake_fleet.clock.advance(3600)
    assert len(client.requests) == 3
    known = fake_fleet.store.account_limits.of(ACCOUNT, REGION)
    assert (known.pending_quota, known.get_quota, known.list_quota) == (500.0, 500.0, 500.0)
    discover(AccountRegion(ACCOUNT, "another-region-1"), Configuration())
    assert len(client.requests) == 6
    fake_fleet.clock.advance(86400)
    discover(here, Configuration())
    assert len(client.requests) == 9


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalFailure", "OptInRequired"])
def test_quotas_that_cannot_be_read_stop_no_discovery_and_are_not_asked_for_again(
    fake_fleet: FakeFleet, code: str
) -> None:
    client = Scripted(get_service_quota=[refused(code)])
    discover, here = discovering(fake_fleet, client), AccountRegion(ACCOUNT, REGION)
    for _ in range(3):
        assert list(discover(here, Configuration()).instances) == []
    assert len(client.requests) == 1
    assert fake_fleet.store.account_limits.of(ACCOUNT, REGION).pending_quota is None


def test_where_snapshots_are_read_elsewhere_the_readers_rates_are_its_own_accounts(
    fake_fleet: FakeFleet,
) -> None:
    client = Scripted(get_service_quota=[value(500.0)])
    discovering(fake_fleet, client, scanner_account=SCANNER)(
        AccountRegion(ACCOUNT, REGION), Configuration()
    )
    assert fake_fleet.store.account_limits.of(SCANNER, REGION).get_quota == 500.0
    assert fake_fleet.store.account_limits.of(ACCOUNT, REGION).pending_quota == 500.0


def test_an_account_region_whose_region_is_not_enabled_has_its_own_reason() -> None:
    disabled = UnreachableTarget(ACCOUNT, REGION, RegionDisabledError("STS is not activated"))
    assert (disabled.denied, disabled.coverage().reason) == (True, "REGION_NOT_ENABLED")
    assert UnreachableTarget(ACCOUNT, REGION, CloudError("x")).coverage().reason == "INTERNAL_ERROR"


def test_our_own_expired_credentials_deny_no_account() -> None:
    """A denial is written to every known instance."""
    expired = UnreachableTarget(ACCOUNT, REGION, OwnCredentialsError("ExpiredToken: no"))
    assert (expired.denied, expired.coverage().reason) == (False, "INTERNAL_ERROR")
    assert UnreachableTarget(ACCOUNT, REGION, AccessDeniedError("no")).denied


@pytest.mark.parametrize("operation", ["list_resource_tags", "describe_key"])
def test_our_own_expired_credentials_exclude_no_key(fake_fleet: FakeFleet, operation: str) -> None:
    """Else coverage would blame the keys of all encrypted volumes."""
    volume = Volume("vol-1", "/dev/sda1", 1, encrypted=True, kms_key_id="k")
    instance = Instance("i-1", ACCOUNT, REGION, "running", (volume,))

    class OneInstance(NoInstances):
        def instances(self) -> list[Instance]:
            return [instance]

    answers: dict[str, list[Any]] = {
        "list_resource_tags": [{"Tags": []}],
        "get_service_quota": [value(100.0)],
    }
    session: Any = Sessions(Scripted(**answers | {operation: [refused("ExpiredTokenException")]}))
    settings = Settings.of(scanner_account=SCANNER)
    discover = Discoverer(fake_fleet.store, session, lambda _: OneInstance(), settings, "here")
    with pytest.raises(OwnCredentialsError):
        discover(AccountRegion(ACCOUNT, REGION), Configuration())
