"""AWS's errors by code and reason, as its manuals and botocore have them; no server is asked."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.retries.standard import ThrottledRetryableChecker

from sidelight.aws import recycle_bin
from sidelight.aws.ebs import MOST_EMPTY
from sidelight.aws.ebs_faults import AgainError, fault_of, is_late
from sidelight.aws.ec2 import InstanceStatus
from sidelight.aws.faults import THROTTLES, translate
from sidelight.aws.kms import Kms
from sidelight.errors import (
    AccessDeniedError,
    BlockError,
    CloudError,
    OwnCredentialsError,
    RegionDisabledError,
    ThrottledError,
)
from sidelight.fleet.stages.final_errors import code_of
from tests.aws.scripted_snapshots import SNAPSHOT, Noted, blocks, ec2, page
from tests.fakes.scripted_aws import ACCOUNT, REGION, Scripted, Sessions, refused

# Throttles


def test_what_botocore_calls_a_throttle_is_one() -> None:
    checker: Any = ThrottledRetryableChecker
    assert set(checker._THROTTLED_ERROR_CODES) <= THROTTLES


@pytest.mark.parametrize("code", sorted(THROTTLES | {"ServiceQuotaExceededException"}))
@pytest.mark.parametrize("reason", ["", "ACCOUNT_THROTTLED", "RESOURCE_LEVEL_THROTTLE"])
def test_a_throttled_block_read_is_tried_again_with_or_without_a_reason(
    code: str, reason: str
) -> None:
    fault = fault_of(refused(code, reason=reason), where="x", snapshot=SNAPSHOT)
    assert isinstance(fault, AgainError)
    assert isinstance(fault.fault, ThrottledError)


def test_a_quota_of_a_dependency_is_a_throttle() -> None:
    error = refused("Anything", status=402, reason="DEPENDENCY_SERVICE_QUOTA_EXCEEDED")
    fault = fault_of(error, where="x", snapshot=SNAPSHOT)
    assert isinstance(fault, AgainError)
    assert isinstance(fault.fault, ThrottledError)


@pytest.mark.parametrize("code", ["EC2ThrottledException", "RequestThrottled", "SlowDown"])
def test_every_throttle_slows_the_calls_of_the_place(code: str) -> None:
    pace = Noted()
    ec2(Scripted(describe_snapshots=[refused(code), {"Snapshots": []}]), pace).snapshots_by_tags({})
    assert pace.slowed == ["describe"]


# EC2


def test_a_denial_is_short() -> None:
    text = "You are not authorized. Encoded authorization failure message: " + "x" * 3000
    error = translate(refused("UnauthorizedOperation", text, status=403), where="")
    assert isinstance(error, AccessDeniedError)
    assert str(error).endswith("Encoded authorization failure message: 3000 characters left out")


@pytest.mark.parametrize("code", ["OptInRequired", "RegionDisabledException"])
def test_a_region_that_is_not_enabled_is_no_ordinary_denial(code: str) -> None:
    error = translate(refused(code, status=403), where="")
    assert isinstance(error, RegionDisabledError)
    assert code_of(error) == "REGION_NOT_ENABLED"


def test_a_revoked_key_is_the_keys_reason() -> None:
    error = translate(refused("CustomerKeyHasBeenRevoked"), where="")
    assert code_of(error) == "ACCESS_DENIED_TO_ENCRYPTION_KEY"


def test_every_describe_asks_for_a_full_page_of_what_it_wants() -> None:
    instance = {
        "InstanceId": "i-1",
        "State": {"Name": "running"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeId": "vol-1"}}],
    }
    client = Scripted(
        describe_instances=[{"Reservations": [{"Instances": [instance]}]}],
        describe_volumes=[{"Volumes": [{"VolumeId": "vol-1"}]}],
        describe_snapshots=[{"Snapshots": []}],
    )
    calls = ec2(client)
    assert [one.id for one in calls.instances()] == ["i-1"]
    calls.snapshots_by_id(["snap-1"])
    calls.snapshots_by_tags({})
    calls.pending_snapshots()
    assert calls.instance_status("i-1") == InstanceStatus("running", frozenset({"vol-1"}))
    assert calls.instance_status("i-2") is None
    for _, request in client.requests:
        assert request["MaxResults"] == 1000
        assert "Filters" in request
    (states,) = client.requests[0][1]["Filters"]
    assert states["Name"] == "instance-state-name"
    assert {"running", "stopped"} <= set(states["Values"])
    assert "terminated" not in states["Values"]


def test_an_instance_on_two_pages_is_one() -> None:
    """It may start while the pages are read."""

    def instance(state: str) -> dict[str, Any]:
        return {"InstanceId": "i-1", "State": {"Name": state}, "BlockDeviceMappings": []}

    pages = [
        {"Reservations": [{"Instances": [instance("pending")]}], "NextToken": "1"},
        {"Reservations": [], "NextToken": "2"},
        {"Reservations": [{"Instances": [instance("running")]}]},
    ]
    found = ec2(Scripted(describe_instances=pages)).instances()
    assert [(one.id, one.state) for one in found] == [("i-1", "running")]


# Listings that never end


def test_a_list_of_empty_pages_without_an_end_is_an_error() -> None:
    empty = [page(0) | {"NextToken": str(number)} for number in range(MOST_EMPTY + 5)]
    with pytest.raises(BlockError, match="1000 pages of the list have no block"):
        blocks(Scripted(list_snapshot_blocks=empty))
    same = page(0) | {"NextToken": "again"}
    client = Scripted(list_snapshot_blocks=[same])
    with pytest.raises(BlockError, match="repeats the token"):
        blocks(client)
    assert len(client.requests) == 2


def test_tags_and_rules_without_an_end_are_errors() -> None:
    tags = {"Tags": [], "Truncated": True, "NextMarker": "again"}
    with pytest.raises(CloudError, match="more than 1000 pages"):
        kms(Scripted(list_resource_tags=[tags])).tagged(["k"], "tag")
    session: Any = Sessions(Scripted(list_rules=[{"Rules": [], "NextToken": "again"}]))
    with pytest.raises(CloudError, match="repeats the token"):
        recycle_bin.kept_days(session, ACCOUNT, REGION, {})


# Credentials


def test_expired_credentials_are_ours_and_no_accounts_denial() -> None:
    for code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        error = translate(refused(code, status=403), where="")
        assert isinstance(error, OwnCredentialsError)
        assert not is_late(error)


# KMS


def kms(client: Scripted) -> Kms:
    session: Any = Sessions(client)
    return Kms(session, ACCOUNT, REGION)


def test_a_key_without_a_manager_is_a_customers() -> None:
    assert not kms(Scripted(describe_key=[{"KeyMetadata": {"KeyId": "k"}}])).is_managed_by_aws("k")
    assert not kms(Scripted(describe_key=[{}])).is_managed_by_aws("k")


def test_a_key_of_awss_own_that_hides_its_tags_is_not_excluded() -> None:
    denied = refused("AccessDeniedException")
    client = Scripted(
        list_resource_tags=[denied], describe_key=[{"KeyMetadata": {"KeyManager": "AWS"}}]
    )
    assert kms(client).tagged(["k"], "tag") == frozenset()
    for manager in ({"KeyMetadata": {"KeyManager": "CUSTOMER"}}, denied):
        client = Scripted(list_resource_tags=[denied], describe_key=[manager])
        with pytest.raises(AccessDeniedError):
            kms(client).tagged(["k"], "tag")
