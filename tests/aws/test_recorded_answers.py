"""What AWS has really answered, as others recorded it, read by Sidelight's own clients.

Sources and licences: tests/aws/recorded/README.md.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from sidelight.aws import organizations, sts
from sidelight.aws.ebs_faults import AgainError, fault_of
from sidelight.aws.ec2 import BUSY, Ec2
from sidelight.aws.faults import translate
from sidelight.aws.kms import Kms
from sidelight.aws.session import Session
from sidelight.errors import AccessDeniedError, CloudError, SidelightError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECORDED = Path(__file__).parent / "recorded"
PLACEBO = sorted((RECORDED / "placebo").glob("*.json"))
XML = sorted((RECORDED / "xml").glob("*.xml"))
ACCOUNT = "100001001001"


def read(path: Path) -> tuple[Any, int]:
    """A placebo recording: the answer and its HTTP status."""

    def hook(value: dict[str, Any]) -> Any:
        if value.pop("__class__", "") == "datetime":
            return datetime(**value, tzinfo=UTC)
        return value

    document = json.loads(path.read_text(), object_hook=hook)
    return document["data"], document["status_code"]


def parsed(path: Path) -> Any:
    """A raw answer of EC2, as botocore parses it."""
    model = botocore.session.get_session().get_service_model("ec2")
    shape: Any = model.operation_model(path.stem.rpartition(".")[2]).output_shape
    response = {"body": path.read_bytes(), "headers": {}, "status_code": 200}
    return create_parser("ec2").parse(response, shape)


def operation_of(path: Path) -> str:
    """`describe_key`, of a recording's name."""
    name = path.stem.rpartition(".")[2].removesuffix("_1").removesuffix("_2")
    return str(botocore.xform_name(name))


class Player:
    """A client that gives recorded answers; what was not recorded is empty."""

    def __init__(self, answers: Mapping[str, tuple[Any, int]]) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            del request
            answer, status = self._answers.get(operation, ({}, 200))
            if status < 400:
                return answer
            response: Any = {**answer, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(response, operation)

        return call


class Playing(Session):
    """A Session whose clients are players."""

    def __init__(self, *recordings: Path) -> None:
        super().__init__(region="us-east-1")
        self._answers = {
            operation_of(path): (parsed(path), 200) if path.suffix == ".xml" else read(path)
            for path in recordings
        }

    def client(self, service: str, **_: Any) -> Any:
        del service
        return Player(self._answers)


def ec2_of(*recordings: Path) -> Ec2:
    return Ec2(Playing(*recordings), ACCOUNT, "us-east-1", sleep=lambda _: None)


USES: Mapping[str, Callable[[Path], Any]] = {
    "describe_instances": lambda path: ec2_of(path).instances(),
    "describe_volumes": lambda path: ec2_of(path)._volumes(["vol-1"]),
    "describe_snapshots": lambda path: ec2_of(path).snapshots_by_id(["snap-1"]),
    "describe_regions": lambda path: ec2_of(path).regions(),
    "create_snapshots": lambda path: ec2_of(path).create_snapshots("i-1", {"a": "b"}, "text"),
    "delete_snapshot": lambda path: ec2_of(path).delete_snapshot("snap-1"),
    "modify_snapshot_attribute": lambda path: ec2_of(path).share("snap-1", "100002002002"),
    "describe_key": lambda path: Kms(Playing(path), ACCOUNT, "us-east-1").is_managed_by_aws("k"),
    "list_resource_tags": lambda path: Kms(Playing(path), ACCOUNT, "us-east-1").tagged(["k"], "x"),
    "get_caller_identity": lambda path: (sts.account(Playing(path)), sts.principal(Playing(path))),
    "describe_organization": lambda path: organizations.accounts(Playing(path)),
    "list_accounts": lambda path: organizations.accounts(
        Playing(path, RECORDED / "placebo" / f"{INFO}.json")
    ),
    "assume_role": lambda path: assumed(path),  # noqa: PLW0108 - defined below
}
INFO = "test_account_org_info.organizations.DescribeOrganization_1"


def assumed(path: Path) -> Any:
    """A session with the recorded credentials."""
    session = Session(region="us-east-1", role_name="reader")
    answer, _ = read(path)
    answer["Credentials"]["Expiration"] = datetime(2999, 1, 1, tzinfo=UTC)
    make = session._make
    player = Player({"assume_role": (answer, 200)})
    session._make = lambda *arguments: player if arguments[1] == "sts" else make(*arguments)  # type: ignore[method-assign]
    return session.client("ec2", account=ACCOUNT)


@pytest.mark.slow
@pytest.mark.parametrize("path", [*PLACEBO, *XML], ids=lambda path: path.stem)
def test_every_recorded_answer_is_read_and_every_recorded_refusal_is_a_typed_error(
    path: Path,
) -> None:
    answer, status = ({}, 200) if path.suffix == ".xml" else read(path)
    use = USES[operation_of(path)]
    # A key that is not there is nobody's: that is an answer.
    if status < 400 or answer["Error"]["Code"] == "NotFoundException":
        use(path)
        return
    with pytest.raises(SidelightError) as error:
        use(path)
    assert error.value.where


def test_there_are_recordings() -> None:
    assert len(PLACEBO) > 30
    assert len(XML) == 4


def test_a_raw_answer_gives_the_instance_with_its_volumes_root_first() -> None:
    name = RECORDED / "xml" / "vpc_vm_with_public_ip_and_template"
    volumes = name.with_name(f"{name.name}.DescribeVolumes.xml")
    (found,) = ec2_of(name.with_name(f"{name.name}.DescribeInstances.xml"), volumes).instances()
    assert found.id == "i-c72af2f6"
    assert [(v.device, v.id, v.size_gib) for v in found.volumes] == [
        ("/dev/sda1", "vol-da190f08", 10),
        ("/dev/sdf", "vol-0acad09812d803c09", 1),
    ]
    assert [volume.encrypted for volume in found.volumes] == [False, True]


def test_a_recorded_instance_has_its_addresses_key_profile_and_groups() -> None:
    name = RECORDED / "xml" / "vpc_vm_with_public_ip_and_template"
    volumes = name.with_name(f"{name.name}.DescribeVolumes.xml")
    (found,) = ec2_of(name.with_name(f"{name.name}.DescribeInstances.xml"), volumes).instances()
    assert (found.public_ipv4, found.private_ipv4) == (("203.0.113.10",), ("10.0.0.122",))
    assert found.key_name == "key-pair-1"
    assert found.security_groups == ("sg-80f755ef",)
    assert found.architecture == "x86_64"


def test_terminated_instances_of_recordings_are_left_out_and_stopped_ones_kept() -> None:
    found = {
        instance.id: instance.state
        for path in PLACEBO
        if operation_of(path) == "describe_instances"
        for instance in ec2_of(path).instances()
    }
    assert found == {"i-0fd6bd23de18b49b0": "stopped", "i-0e2a65fcc30f05c39": "stopped"}


def test_created_snapshots_are_pending_with_all_their_tags() -> None:
    path = RECORDED / "placebo" / "test_ec2_snapshot.ec2.CreateSnapshots_1.json"
    found = ec2_of(path).create_snapshots("i-1", {}, "")
    assert [one.state for one in found] == ["pending"] * 3
    assert found[0].tags == (("App", "DevX"), ("Name", "Foo"), ("Stage", "Dev"))
    assert found[0].started_at == datetime(2019, 6, 11, 21, 15, 27, tzinfo=UTC)


def quoted(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RECORDED / name).read_text())
    return [one for one in found if one["code"]]


def client_error(one: Mapping[str, Any]) -> ClientError:
    response: Any = {
        "Error": {"Code": one["code"], "Message": one["message"] or ""},
        "ResponseMetadata": {"HTTPStatusCode": one["status"]},
    }
    if one.get("reason"):
        response["Reason"] = one["reason"]
    return ClientError(response, "Operation")


@pytest.mark.parametrize(
    "one",
    [
        *quoted("errors.json"),
        *(
            one
            for name in ("ec2", "kms", "sts")
            for one in quoted(f"localstack/{name}.errors.json")
        ),
    ],
    ids=lambda one: f"{one['service']}-{one['code']}",
)
def test_every_quoted_error_is_typed_and_keeps_the_words_of_aws(one: dict[str, Any]) -> None:
    if one["service"] == "ebs":
        fault: Any = fault_of(client_error(one), where="snap-1", snapshot="snap-1")
        fault = fault.fault if isinstance(fault, AgainError) else fault
    else:
        fault = translate(client_error(one), where="here")
        assert one["code"] in str(fault)
        assert isinstance(fault, AccessDeniedError | CloudError)
    assert isinstance(fault, SidelightError)
    if not isinstance(fault, ThrottledError):
        # Of an encoded message, which only AWS can read, its length is left.
        words, _, _ = (one["message"] or "").partition("failure message: ")
        assert words in str(fault)


def test_the_quoted_limits_of_snapshots_are_waited_for() -> None:
    limits = {one["code"] for one in quoted("errors.json") if "Exceeded" in one["code"]}
    assert limits == {
        "SnapshotCreationPerVolumeRateExceeded",
        "ConcurrentSnapshotLimitExceeded",
        "PendingSnapshotLimitExceeded",
    }
    assert limits <= BUSY


def test_the_quoted_throttles_of_ebs_direct_are_throttles() -> None:
    for one in quoted("errors.json"):
        if one["service"] == "ebs" and "Thrott" in one["code"]:
            fault = fault_of(client_error(one), where="w", snapshot="s")
            assert isinstance(fault, AgainError)
            assert isinstance(fault.fault, ThrottledError)
