"""AWS's limits and lags in the local cloud, by real clients; time is moved by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sidelight.localcloud.conditions import (
    KIND,
    PENDING,
    QUICK_STRICT,
    STRICT,
    Conditions,
    EbsAnswer,
    Lag,
)
from sidelight.localcloud.refusals import TEXTS
from tests.fixtures.local_clouds import ACCOUNT, code_of, take
from tests.localcloud.refused_calls import OTHER, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.local_clouds import Clients


pytestmark = pytest.mark.services


def test_the_strict_profile_has_every_lag_and_limit_that_the_kind_one_lacks() -> None:
    for name in (
        "snapshot_seconds", "snapshot_interval", "snapshot_limit", "describe_lag", "ebs_lag",
        "tag_lag", "share_lag", "grant_lag", "iam_lag", "throttle_rate", "rates", "empty_pages",
        "recycle_days", "lists_deleted", "shares_completed_only", "strict_roles", "opt_in_regions",
        "checks_time", "hides_aws_tags", "ended_seconds",
    ):  # fmt: skip
        assert getattr(STRICT, name), name
        assert not getattr(KIND, name), name


def test_a_scaled_profile_has_shorter_seconds_and_the_same_limits() -> None:
    assert QUICK_STRICT.snapshot_seconds == pytest.approx(1.0)
    assert QUICK_STRICT.ebs_lag.most == pytest.approx(1.0)
    assert QUICK_STRICT.ended_seconds == pytest.approx(60.0)
    assert QUICK_STRICT.snapshot_limit == 100
    assert QUICK_STRICT.throttle_rate == STRICT.throttle_rate


def test_a_lag_is_the_same_for_the_same_seed_and_differs_between_connections() -> None:
    lag = Lag(60.0)
    drawn = [lag.drawn(1, "ebs", 7, connection) for connection in range(20)]
    assert drawn == [lag.drawn(1, "ebs", 7, connection) for connection in range(20)]
    assert len(set(drawn)) == 20
    assert all(0 <= seconds <= 60 for seconds in drawn)
    assert Lag(values=(3.0, 4.0)).drawn("x") in (3.0, 4.0)


def test_the_hundred_and_first_pending_snapshot_is_refused_in_the_words_of_aws(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(snapshot_seconds=600, snapshot_limit=100))
    ec2 = clients(cloud)("ec2")
    for number in range(25):
        instance = cloud.add_instance(f"m{number}", [image] * 4, immutable=True)
        ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    one_more = cloud.add_instance("one-more", [image], immutable=True)
    code, message, _ = refused(lambda: take(ec2, cloud, one_more))
    assert code == "PendingSnapshotLimitExceeded"
    assert message == "Maximum allowed active snapshot limit exceeded."
    far = clients(cloud)("ec2", region="eu-west-1")
    there = cloud.add_instance("far", [image], immutable=True, region="eu-west-1")
    take(far, cloud, there)  # another Region has its own hundred
    cloud.clock.advance(601)
    take(ec2, cloud, one_more)


def test_a_deleted_pending_snapshot_counts_for_account_and_volume_until_it_would_be_done(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(
        conditions=Conditions(snapshot_seconds=600, snapshot_limit=1, lists_deleted=True)
    )
    ec2 = clients(cloud)("ec2")
    instance = cloud.add_instance("web", [image], immutable=True)
    snapshot = take(ec2, cloud, instance)
    for _ in range(2):
        ec2.delete_snapshot(SnapshotId=snapshot)
    assert refused(lambda: take(ec2, cloud, instance))[0] == "PendingSnapshotLimitExceeded"
    (still,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert still["State"] == "pending"
    assert cloud.snapshots() == []
    cloud.clock.advance(601)
    assert refused(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])) == (
        "InvalidSnapshot.NotFound", f"The snapshot '{snapshot}' does not exist.", 400,
    )  # fmt: skip
    take(ec2, cloud, instance)


def test_sts_knows_nobody_in_a_region_that_is_not_enabled(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    cloud = make_cloud(conditions=Conditions(opt_in_regions=True))
    sts = clients(cloud)("sts", region="me-south-1")
    arn = f"arn:aws:iam::{OTHER}:role/reader"
    code, message, status = refused(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="me"))
    assert (code, status) == ("RegionDisabledException", 403)
    assert message.startswith(f"STS is not activated in this region for account:{OTHER}.")
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    assert clients(cloud)("sts").get_caller_identity()["Account"] == ACCOUNT


def test_an_opt_in_region_refuses_who_has_not_enabled_it_and_tokens_of_version_1(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    conditions = Conditions(opt_in_regions=True, opted_in=frozenset({"me-south-1"}))
    cloud = make_cloud(conditions=conditions)
    code, message, status = refused(clients(cloud)("ec2", region="me-central-1").describe_instances)
    assert (code, status) == ("AuthFailure", 401)
    assert message == "AWS was not able to validate the provided access credentials"
    ebs = clients(cloud)("ebs", region="me-central-1")
    code, _, _ = refused(lambda: ebs.list_snapshot_blocks(SnapshotId="snap-0123456789abcdef0"))
    assert code == "UnrecognizedClientException"
    here = clients(cloud)("ec2")
    regions = here.describe_regions(RegionNames=["me-south-1", "me-central-1"], AllRegions=True)
    assert {one["RegionName"]: one["OptInStatus"] for one in regions["Regions"]} == {
        "me-south-1": "opted-in", "me-central-1": "not-opted-in",
    }  # fmt: skip

    def with_token(token: str) -> Any:
        return boto3.client(
            "ec2", region_name="me-south-1", endpoint_url=cloud.endpoint,
            aws_access_key_id=ACCOUNT, aws_secret_access_key="local", aws_session_token=token,  # noqa: S106
        )  # fmt: skip

    sts = clients(cloud)("sts", region="me-south-1")
    role = sts.assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/reader", RoleSessionName="me")
    with_token(role["Credentials"]["SessionToken"]).describe_instances()
    clients(cloud)("ec2", region="me-south-1").describe_instances()  # a user's key has no token
    assert refused(with_token("FwoGZXIvYXdzEA").describe_instances)[0] == "AuthFailure"


def test_a_signature_of_a_wrong_clock_is_refused_in_each_services_words(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    cloud = make_cloud(conditions=Conditions(checks_time=True))
    sts, ec2, kms = (clients(cloud)(name) for name in ("sts", "ec2", "kms"))
    cloud.set_clocks_apart(600)
    code, message, _ = refused(sts.get_caller_identity)
    assert (code, message[:19]) == ("SignatureDoesNotMatch", "Signature expired: ")
    assert refused(kms.list_keys)[0] == "InvalidSignatureException"
    ec2.describe_instances()  # it takes a quarter of an hour
    cloud.set_clocks_apart(1000)
    assert refused(ec2.describe_instances)[:2] == ("RequestExpired", "Request has expired.")
    cloud.set_clocks_apart(-600)
    assert refused(sts.get_caller_identity)[1].startswith("Signature not yet current: ")
    cloud.set_clocks_apart(0)
    sts.get_caller_identity()


def test_a_key_of_aws_shows_its_tags_to_nobody_unless_it_is_that_of_ebs(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients]
) -> None:
    cloud = make_cloud(conditions=Conditions(hides_aws_tags=True))
    kms = clients(cloud)("kms")

    def tags_of(alias: str) -> Any:
        key = kms.describe_key(KeyId=alias)["KeyMetadata"]
        assert key["KeyManager"] == "AWS"
        return kms.list_resource_tags(KeyId=key["KeyId"])

    assert tags_of("alias/aws/ebs")["Tags"] == []
    assert refused(lambda: tags_of("alias/aws/acm"))[0] == "AccessDeniedException"


def test_a_terminated_instance_is_listed_for_an_hour(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(ended_seconds=3600))
    ec2 = clients(cloud)("ec2")
    web = cloud.add_instance("web", [image])

    def snapshot() -> Any:
        return ec2.create_snapshots(InstanceSpecification={"InstanceId": web})

    ec2.terminate_instances(InstanceIds=[web])
    assert len(ec2.describe_instances()["Reservations"][0]["Instances"]) == 1
    assert refused(snapshot)[0] == "IncorrectState"
    cloud.clock.advance(3601)
    assert refused(snapshot)[0] == "InvalidInstanceID.NotFound"
    left = ec2.describe_instances()["Reservations"]
    assert [one for each in left for one in each.get("Instances", [])] == []


def test_a_locked_snapshot_is_deleted_by_nobody_until_the_lock_ends(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(snapshot_seconds=60))
    ec2 = clients(cloud)("ec2")
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    locked = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=2)
    assert locked["LockState"] == "governance"
    assert refused(lambda: ec2.delete_snapshot(SnapshotId=snapshot))[0] == "OperationNotPermitted"
    assert cloud.snapshots() == [snapshot]
    cloud.clock.advance(2 * 86400 + 1)
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert cloud.snapshots() == []


def test_the_recycle_bin_keeps_what_describe_no_longer_shows(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    cloud = make_cloud(conditions=Conditions(recycle_days=7))
    ec2, rbin = clients(cloud)("ec2"), clients(cloud)("rbin")
    (rule,) = rbin.list_rules(ResourceType="EBS_SNAPSHOT")["Rules"]
    assert rule["RetentionPeriod"] == {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
    assert rbin.list_rules(ResourceType="EC2_IMAGE")["Rules"] == []
    assert rbin.get_rule(Identifier=rule["Identifier"])["Status"] == "available"
    snapshot = take(ec2, cloud, cloud.add_instance("web", [image]))
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert ec2.describe_snapshots()["Snapshots"] == []
    (kept,) = ec2.list_snapshots_in_recycle_bin()["Snapshots"]
    assert kept["SnapshotId"] == snapshot
    assert (kept["RecycleBinExitTime"] - kept["RecycleBinEnterTime"]).days == 7
    cloud.clock.advance(8 * 86400)
    assert ec2.list_snapshots_in_recycle_bin()["Snapshots"] == []


def test_an_account_without_a_rule_keeps_nothing(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    assert clients(cloud)("rbin").list_rules(ResourceType="EBS_SNAPSHOT")["Rules"] == []


@pytest.mark.parametrize("seed", range(4))
def test_ebs_direct_answers_for_a_pending_snapshot_by_one_of_the_guesses(
    make_cloud: Callable[..., LocalCloud],
    clients: Callable[[LocalCloud], Clients],
    image: Path,
    seed: int,
) -> None:
    cloud = make_cloud(
        conditions=Conditions(snapshot_seconds=60, pending_answers=PENDING), seed=seed
    )
    snapshot = take(clients(cloud)("ec2"), cloud, cloud.add_instance("web", [image]))
    with pytest.raises(ClientError) as error:
        clients(cloud)("ebs").list_snapshot_blocks(SnapshotId=snapshot)
    assert code_of(error) in {(answer.code, answer.reason) for answer in PENDING}


def test_recorded_pending_answers_follow_each_other_in_time() -> None:
    first = EbsAnswer("A", "a", since=0.0)
    second = EbsAnswer("B", "b", since=12.0)
    recorded = Conditions(pending_answers=(first, second))
    assert [recorded.pending_answer(age, 1).code for age in (0.5, 11.9, 12.0, 99.0)] == [
        "A", "A", "B", "B",
    ]  # fmt: skip


def test_an_instance_without_ebs_volumes_is_refused_in_the_words_of_aws(
    cloud: LocalCloud, clients: Callable[[LocalCloud], Clients]
) -> None:
    instance = cloud.add_instance("bare", [])
    ec2 = clients(cloud)("ec2")
    code, message, _ = refused(
        lambda: ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    )
    assert code == "InvalidParameterValue"
    assert message == f"There are no attached EBS-backed volumes on the instance id ({instance})."


def test_a_recordings_texts_take_the_place_of_ours(
    make_cloud: Callable[..., LocalCloud], clients: Callable[[LocalCloud], Clients], image: Path
) -> None:
    texts = {"ConcurrentSnapshotLimitExceeded": "Five are enough."}
    cloud = make_cloud(conditions=Conditions(snapshot_seconds=60, texts=texts))
    ec2 = clients(cloud)("ec2")
    instance = cloud.add_instance("web", [image], volume_type="st1")
    take(ec2, cloud, instance)
    assert refused(lambda: take(ec2, cloud, instance))[1] == "Five are enough."
    assert "ConcurrentSnapshotLimitExceeded" in TEXTS
