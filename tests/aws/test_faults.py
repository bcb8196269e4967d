"""AWS's errors by code and reason, as its manuals and botocore have them; no server is asked."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.retries.standard import ThrottledRetryableChecker

from sidelight.aws import organizations, recycle_bin, sts, sts_regions
from sidelight.aws.ebs import ATTEMPTS, MOST_EMPTY, EbsOptions, SnapshotBlocks
from sidelight.aws.ebs_faults import AgainError, fault_of, is_late
from sidelight.aws.ec2 import Ec2, InstanceStatus
from sidelight.aws.faults import THROTTLES, translate
from sidelight.aws.kms import Kms
from sidelight.aws.organizations import Units
from sidelight.aws.session import EBS_READ_SECONDS, Session
from sidelight.errors import (
    AccessDeniedError,
    BlockError,
    ClockSkewError,
    CloudError,
    KeyDeniedError,
    KeyUnusableError,
    OwnCredentialsError,
    RegionDisabledError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
    ThrottledError,
)
from sidelight.fleet.stages.final_errors import code_of
from tests.fakes.scripted_aws import ACCOUNT, REGION, Scripted, Sessions, credentials, refused

SNAPSHOT = "snap-00000000000000001"
BLOCK = 512 << 10


class Noted:
    """A pace that notes throttles."""

    def __init__(self) -> None:
        self.slowed: list[str] = []

    def before(self, kind: str) -> None:
        """At once."""

    def throttled(self, kind: str) -> None:
        self.slowed.append(kind)


def ec2(client: Scripted, pace: Noted | None = None) -> Ec2:
    session: Any = Sessions(client)
    return Ec2(session, ACCOUNT, REGION, pace=pace or Noted(), sleep=lambda _: None)


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


# Reasons of EBS direct


@pytest.mark.parametrize(
    ("code", "reason", "status", "expected"),
    [
        ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", 404, SnapshotNotFoundError),
        ("ResourceNotFoundException", "", 404, SnapshotNotFoundError),
        ("ValidationException", "INVALID_SNAPSHOT_ID", 400, SnapshotNotFoundError),
        ("ResourceNotFoundException", "GRANT_NOT_FOUND", 404, KeyDeniedError),
        ("ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND", 404, KeyUnusableError),
        ("ValidationException", "INVALID_CUSTOMER_KEY", 400, KeyUnusableError),
        ("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", 403, KeyDeniedError),
        ("AccessDeniedException", "UNAUTHORIZED_ACCOUNT", 403, AccessDeniedError),
        ("ResourceNotFoundException", "IMAGE_NOT_FOUND", 404, SourceError),
        ("ValidationException", "INVALID_PARAMETER_VALUE", 400, SourceError),
    ],
)
def test_a_refusal_is_what_its_reason_says(
    code: str, reason: str, status: int, expected: type[Exception]
) -> None:
    fault = fault_of(refused(code, status=status, reason=reason), where="x", snapshot=SNAPSHOT)
    assert type(fault) is expected


@pytest.mark.parametrize("text", ["", "is pending", "key is pending deletion", "not completed"])
def test_no_text_decides_what_a_first_refusal_means(text: str) -> None:
    error = refused("ValidationException", text, reason="INVALID_PARAMETER_VALUE")
    assert type(fault_of(error, where="x", snapshot="s", first=True)) is SnapshotNotReadyError
    assert type(fault_of(error, where="x", snapshot="s")) is SourceError


def test_only_what_time_may_fix_is_late() -> None:
    for late in (SnapshotNotFoundError, SnapshotNotReadyError, AccessDeniedError, KeyDeniedError):
        assert is_late(late("x"))
    for lasting in (KeyUnusableError, SourceError, ThrottledError, BlockError):
        assert not is_late(lasting("x"))


# A snapshot's blocks


def page(count: int = 4) -> dict[str, Any]:
    blocks = [{"BlockIndex": index, "BlockToken": str(index)} for index in range(count)]
    return {"BlockSize": BLOCK, "VolumeSize": 1, "Blocks": blocks}


def block(**changes: Any) -> dict[str, Any]:
    data = bytes(BLOCK)
    checksum = b64encode(hashlib.sha256(data).digest()).decode()
    return {"DataLength": BLOCK, "Checksum": checksum, "BlockData": BytesIO(data)} | changes


def blocks(client: Scripted) -> SnapshotBlocks:
    return SnapshotBlocks(SNAPSHOT, client, EbsOptions(sleep=lambda _: None))


NOT_FOUND = refused("ResourceNotFoundException", status=404, reason="SNAPSHOT_NOT_FOUND")
DENIED = refused("AccessDeniedException", status=403)


@pytest.mark.parametrize("refusal", [NOT_FOUND, DENIED])
def test_the_first_refusal_is_the_callers_to_judge(refusal: ClientError) -> None:
    client = Scripted(list_snapshot_blocks=[refusal])
    with pytest.raises(SourceError):
        blocks(client)
    assert len(client.requests) == 1


@pytest.mark.parametrize("refusal", [NOT_FOUND, DENIED])
def test_a_block_that_one_host_refuses_after_others_were_read_is_asked_for_again(
    refusal: ClientError,
) -> None:
    client = Scripted(
        list_snapshot_blocks=[page()], get_snapshot_block=[block(), refusal, refusal, block()]
    )
    opened = blocks(client)
    opened.fetch(0)
    assert opened.fetch(1) == bytes(BLOCK)
    assert opened.stats().get_calls == 4


def test_a_page_that_one_host_refuses_after_others_is_asked_for_again() -> None:
    following = page() | {"NextToken": "more"}
    opened = blocks(Scripted(list_snapshot_blocks=[following, NOT_FOUND, page()]))
    opened.present(opened.size // BLOCK - 1)
    assert opened.stats().list_calls == 3


def test_a_snapshot_that_is_refused_for_good_is_not_asked_for_block_by_block() -> None:
    client = Scripted(list_snapshot_blocks=[page(100)], get_snapshot_block=[block(), NOT_FOUND])
    opened = blocks(client)
    opened.fetch(0)
    for index in range(1, 100):
        with pytest.raises(SnapshotNotFoundError):
            opened.fetch(index)
    assert opened.stats().get_calls == 1 + ATTEMPTS


def test_a_block_without_its_checksum_is_not_believed() -> None:
    client = Scripted(
        list_snapshot_blocks=[page()],
        get_snapshot_block=[{"DataLength": BLOCK, "BlockData": BytesIO(bytes(BLOCK))}],
    )
    client.answers["get_snapshot_block"] = [
        {"DataLength": BLOCK, "BlockData": BytesIO(bytes(BLOCK))} for _ in range(ATTEMPTS)
    ]
    with pytest.raises(BlockError, match=r"block 1: AWS's answer has no Checksum"):
        blocks(client).fetch(1)


def test_a_list_without_sizes_is_one_error_with_its_snapshot() -> None:
    with pytest.raises(BlockError, match=SNAPSHOT):
        blocks(Scripted(list_snapshot_blocks=[{"Blocks": []}]))


def test_a_request_that_is_never_answered_is_cut_and_made_again() -> None:
    hung = ReadTimeoutError(endpoint_url="https://ebs")
    client = Scripted(list_snapshot_blocks=[page()], get_snapshot_block=[hung, block()])
    assert blocks(client).fetch(0) == bytes(BLOCK)


def test_requests_of_ebs_direct_are_cut_early(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    session = Session(region="us-east-1")
    ebs: Any = session.client("ebs")
    ec2: Any = session.client("ec2")
    assert ebs.meta.config.read_timeout == EBS_READ_SECONDS == 12
    assert ec2.meta.config.read_timeout == 60


# The clock


@pytest.mark.parametrize(
    "code",
    ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "AuthFailure"],
)
@pytest.mark.parametrize(("ahead", "way"), [(900.0, "fast"), (-900.0, "slow")])
def test_a_wrong_clock_is_detected_by_awss_date_header(code: str, ahead: float, way: str) -> None:
    error = translate(refused(code, "not valid", status=403, ahead=ahead), where="here")
    assert isinstance(error, ClockSkewError)
    assert f"clock is wrong ({900:.0f} s {way})" in str(error).replace("901", "900").replace(
        "899", "900"
    )
    right = translate(refused(code, "not valid", status=403), where="here")
    assert isinstance(right, AccessDeniedError)


def test_a_wrong_clock_without_a_date_header_is_detected_by_the_error_code() -> None:
    text = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"
    error = refused("InvalidSignatureException", text, status=403, ahead=None)
    assert isinstance(translate(error, where=""), ClockSkewError)
    other = refused("InvalidSignatureException", "does not match", status=403, ahead=None)
    assert isinstance(translate(other, where=""), AccessDeniedError)


def test_a_block_read_with_a_wrong_clock_is_not_a_denial() -> None:
    error = refused("InvalidSignatureException", status=403, ahead=900.0)
    fault = fault_of(error, where="x", snapshot=SNAPSHOT, first=True)
    assert isinstance(fault, ClockSkewError)
    assert not is_late(fault)


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


# STS


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


# Organizations


def organization(**answers: Any) -> tuple[Any, Scripted]:
    described = {"Organization": {"MasterAccountId": "1"}}
    client = Scripted(describe_organization=[described], **answers)
    return Sessions(client), client


def test_organizations_is_waited_for_longer_than_any_other_service() -> None:
    throttled = [refused("TooManyRequestsException") for _ in range(10)]
    session, _ = organization(list_accounts=[*throttled, {"Accounts": [{"Id": "2"}]}])
    waits: list[float] = []
    found = organizations.accounts(session, sleep=waits.append)
    assert [one.id for one in found] == ["2"]
    assert len(waits) == 10
    assert 10 < max(waits) <= 30
    assert sum(waits) > 60


def test_organizations_denial_is_not_tried_again() -> None:
    session, client = organization(list_accounts=[refused("AccessDeniedException")])
    with pytest.raises(AccessDeniedError):
        organizations.accounts(session, sleep=lambda _: None)
    assert len(client.requests) == 2


class Tree(Scripted):
    """Units by parent; each has an account of the same name."""

    def __init__(self, units: dict[str, list[str]]) -> None:
        super().__init__(describe_organization=[{"Organization": {"MasterAccountId": "1"}}])
        self.units = units
        self.gone: set[str] = set()

    def list_accounts_for_parent(self, ParentId: str) -> Any:  # noqa: N803 - boto3's
        self.requests.append(("accounts", {"ParentId": ParentId}))
        if ParentId in self.gone:
            raise refused("ParentNotFoundException")
        return {"Accounts": [{"Id": f"in {ParentId}"}]}

    def list_organizational_units_for_parent(self, ParentId: str) -> Any:  # noqa: N803 - boto3's
        self.requests.append(("units", {"ParentId": ParentId}))
        return {"OrganizationalUnits": [{"Id": unit} for unit in self.units.get(ParentId, ())]}


def test_units_are_listed_once_in_hours_and_each_once() -> None:
    tree = Tree({"root": ["a", "b"], "a": ["c"]})
    session: Any = Sessions(tree)
    time = [0.0]
    known = Units(lambda: time[0])

    def look() -> list[str]:
        tree.requests.clear()
        units = ["root", "a"]
        return [one.id for one in organizations.accounts(session, units=units, known=known)]

    everything = ["in a", "in b", "in c", "in root"]
    assert look() == everything
    assert len(tree.requests) == 1 + 4 + 4
    assert look() == everything
    assert [name for name, _ in tree.requests] == ["accounts"] * 4
    time[0] += 24 * 3600
    tree.units["b"] = ["d"]
    assert look() == sorted([*everything, "in d"])


def test_a_unit_that_was_removed_since_it_was_listed_stops_no_other() -> None:
    tree = Tree({"root": ["a", "b"]})
    session: Any = Sessions(tree)
    known = Units()
    organizations.accounts(session, units=["root"], known=known)
    tree.gone = {"a"}
    found = organizations.accounts(session, units=["root"], known=known)
    assert [one.id for one in found] == ["in b", "in root"]
    tree.gone = {"root"}
    with pytest.raises(CloudError, match="ParentNotFoundException"):
        organizations.accounts(session, units=["root"], known=known)
