"""Roles assumed at a Region's STS, or at the default Region's where it does not know them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from sidelight.aws import sts, sts_regions
from sidelight.aws.session import Session
from sidelight.errors import AccessDeniedError, RegionDisabledError
from tests.fakes.scripted_aws import ACCOUNT, REGION, Scripted, credentials, refused

DISABLED = refused("RegionDisabledException", "STS is not activated", status=403)

UNKNOWN = refused("InvalidClientTokenId", "invalid", status=403)

ROLE = {
    "Credentials": {
        "AccessKeyId": "a",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": datetime.now(UTC) + timedelta(hours=1),
    }
}


def session_of(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[Session, list[str]]:
    """A session in eu-south-1 whose STS answers by region, and the regions that were asked."""
    credentials(monkeypatch)
    regions: list[str] = []
    session = Session(region=REGION, role_name="target")
    make = session._make

    def scripted_client(source: Any, service: str, region: str, attempts: int) -> Any:
        if service != "sts":
            return make(source, service, region, attempts)
        regions.append(region)
        answer = answers[region.replace("-", "_")]
        return Scripted(assume_role=[answer], get_caller_identity=[answer])

    monkeypatch.setattr(session, "_make", scripted_client)
    monkeypatch.setattr("sidelight.aws.send_hook.watch", lambda _: None)
    return session, regions


@pytest.mark.parametrize("refusal", [DISABLED, UNKNOWN])
def test_a_role_that_our_regions_sts_does_not_know_is_assumed_in_the_default_region(
    monkeypatch: pytest.MonkeyPatch, refusal: ClientError
) -> None:
    session, regions = session_of(monkeypatch, eu_south_1=refusal, us_east_1=ROLE)
    client: Any = session.client("ec2", account="999999999999", region=REGION)
    assert regions == ["eu-south-1", "us-east-1"]
    assert client._request_signer._credentials.access_key == "a"


def test_our_own_regions_sts_is_the_only_one_where_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, regions = session_of(monkeypatch, eu_south_1=ROLE)
    session.client("ec2", account="999999999999", region=REGION)
    assert regions == ["eu-south-1"]


def test_a_region_that_is_disabled_everywhere_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, _ = session_of(monkeypatch, eu_south_1=DISABLED, us_east_1=DISABLED)
    with pytest.raises(RegionDisabledError, match="STS is not activated"):
        session.client("ec2", account="999999999999", region=REGION)


def test_what_the_default_region_says_of_a_role_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = refused("AccessDenied", "not authorized to perform: sts:AssumeRole", status=403)
    session, _ = session_of(monkeypatch, eu_south_1=DISABLED, us_east_1=denied)
    with pytest.raises(AccessDeniedError, match="not authorized") as caught:
        session.client("ec2", account="999999999999", region=REGION)
    assert not isinstance(caught.value, RegionDisabledError)


def test_an_endpoint_out_of_reach_leaves_the_first_answer() -> None:
    def make(region: str) -> Any:
        answer = DISABLED if region == REGION else ReadTimeoutError(endpoint_url="https://sts")
        return Scripted(get_caller_identity=[answer])

    with pytest.raises(ClientError, match="RegionDisabledException"):
        sts_regions.ask(make, [REGION, "us-east-1"], lambda client: client.get_caller_identity())


def test_the_callers_account_is_known_if_the_region_is_not_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, regions = session_of(monkeypatch, af_south_1=UNKNOWN, us_east_1={"Account": ACCOUNT})
    assert sts.account(session, region="af-south-1") == ACCOUNT
    assert regions == ["af-south-1", "us-east-1"]


@pytest.mark.parametrize(
    ("region", "partition", "expected"),
    [
        ("eu-south-1", "aws", ["eu-south-1", "us-east-1"]),
        ("us-east-1", "aws", ["us-east-1"]),
        ("cn-northwest-1", "aws-cn", ["cn-northwest-1", "cn-north-1"]),
        ("us-iso-west-1", "aws-iso", ["us-iso-west-1"]),
    ],
)
def test_the_default_region_is_the_partitions(
    region: str, partition: str, expected: list[str]
) -> None:
    assert sts_regions.candidates(region, partition) == expected


def test_sts_is_called_regionally_whatever_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    credentials(monkeypatch)
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.delenv(name, raising=False)
    client = Session(region="us-west-2").client("sts")
    assert client.meta.endpoint_url == "https://sts.us-west-2.amazonaws.com"
