"""Which regions an account has, also where ours is not one of them."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.discovery.accounts import (
    AccountRegion,
    ScanScope,
    UnreachableTarget,
    in_each,
    look_up,
)
from sidelight.aws.ec2 import Ec2
from sidelight.aws.session import Session
from tests.fakes.scripted_aws import Scripted, credentials, refused

OWN_REGION, OTHER_ACCOUNT = "eu-south-1", "999999999999"


def unknown() -> Exception:
    """What EC2 of a region says that the account has not enabled; with the Date of now."""
    return refused("AuthFailure", "AWS was not able to validate the credentials", status=401)


def looking(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[Session, list[str]]:
    """A session in an opt-in region whose EC2 answers by region, and those asked."""
    credentials(monkeypatch)
    session, regions = Session(region=OWN_REGION), list[str]()

    def client(_service: str, *, region: str, **_options: Any) -> Scripted:
        regions.append(region)
        return Scripted(describe_regions=[answers[region.replace("-", "_")]])

    monkeypatch.setattr(session, "client", client)
    return session, regions


WANTED = ScanScope(accounts=[OTHER_ACCOUNT], all_regions=True, regions=[OWN_REGION])
ENABLED = {"Regions": [{"RegionName": "us-east-1", "OptInStatus": "opt-in-not-required"}]}


def test_an_account_that_lacks_our_region_is_asked_in_one_that_every_account_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, regions = looking(monkeypatch, eu_south_1=unknown(), us_east_1=ENABLED)
    assert look_up(session, WANTED) == [AccountRegion(OTHER_ACCOUNT, "us-east-1")]
    assert regions == [OWN_REGION, "us-east-1"]


def test_an_account_that_denies_in_both_is_unreachable_for_the_first_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    denied = refused("UnauthorizedOperation", status=403)
    session, _ = looking(monkeypatch, eu_south_1=denied, us_east_1=unknown())
    (found,) = look_up(session, WANTED)
    assert isinstance(found, UnreachableTarget)
    assert "UnauthorizedOperation" in str(found)


def test_an_account_that_answers_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session, regions = looking(monkeypatch, eu_south_1=ENABLED)
    look_up(session, WANTED)
    assert regions == [OWN_REGION]


NOT_ENABLED = {"Regions": [{"RegionName": OWN_REGION, "OptInStatus": "not-opted-in"}]}
OPTED_IN = {"Regions": [{"RegionName": OWN_REGION, "OptInStatus": "opted-in"}]}
DEFAULT = {"Regions": [{"RegionName": OWN_REGION, "OptInStatus": "opt-in-not-required"}]}


def discovering(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Any, here: Exception | None = None
) -> tuple[UnreachableTarget, list[tuple[str, dict[str, Any]]]]:
    """What discovery of our Region comes to, and what was asked of us-east-1."""
    credentials(monkeypatch)
    session = Session(region=OWN_REGION)
    far = Scripted(describe_regions=[elsewhere])
    near = Scripted(describe_instances=[here or unknown()])
    monkeypatch.setattr(
        session, "client", lambda *_, region, **__: near if region == OWN_REGION else far
    )
    ((_, found),) = in_each(
        [AccountRegion(OTHER_ACCOUNT, OWN_REGION)],
        lambda place: Ec2(session, OTHER_ACCOUNT, place.region).instances(),
        lambda: False,
    )
    assert isinstance(found, UnreachableTarget)
    return found, far.requests


def test_a_region_that_the_account_has_not_enabled_has_its_own_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, requests = discovering(monkeypatch, NOT_ENABLED)
    assert found.coverage().reason == "REGION_NOT_ENABLED"
    assert "has not enabled eu-south-1" in str(found)
    assert requests == [("describe_regions", {"RegionNames": [OWN_REGION], "AllRegions": True})]


def test_a_token_of_the_global_endpoint_is_named_where_the_region_is_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, _ = discovering(monkeypatch, OPTED_IN)
    assert found.coverage().reason == "ACCESS_DENIED"
    assert "sts_regional_endpoints = regional" in str(found)


@pytest.mark.parametrize("elsewhere", [DEFAULT, unknown(), refused("UnauthorizedOperation")])
def test_credentials_that_are_wrong_everywhere_are_an_ordinary_denial(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Any
) -> None:
    found, _ = discovering(monkeypatch, elsewhere)
    assert found.coverage().reason == "ACCESS_DENIED"
    assert "sts_regional_endpoints" not in str(found)


def test_no_other_region_is_asked_about_another_denial(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = refused("UnauthorizedOperation", status=403)
    found, requests = discovering(monkeypatch, NOT_ENABLED, here=denied)
    assert found.coverage().reason == "ACCESS_DENIED"
    assert requests == []
