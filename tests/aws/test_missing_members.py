"""An answer without a member that its model calls optional: a typed error, or a sensible result.

The answers are made from botocore's models with every member set, then lose one member at a time.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from sidelight.aws import organizations, quotas, recycle_bin, sts
from sidelight.aws.ebs import EbsOptions, SnapshotBlocks
from sidelight.aws.ec2 import Ec2
from sidelight.aws.events import EventBridge, Message, Topic
from sidelight.aws.kms import Kms
from sidelight.aws.session import Session
from sidelight.errors import CloudError, SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BLOCK = b"x" * 524288
# What the answers have to say so that there is no second page, and a block is itself.
VALUES: Mapping[str, Any] = {
    "NextToken": None,
    "NextMarker": None,
    "Truncated": False,
    "BlockIndex": 0,
    "BlockSize": 524288,
    "DataLength": 524288,
    "VolumeSize": 1,
    "Checksum": base64.b64encode(hashlib.sha256(BLOCK).digest()).decode(),
    "ErrorCode": None,
    "FailedEntryCount": 0,
    "Failed": [],
    "Account": "123456789012",
    "MasterAccountId": "123456789012",
    "OptInStatus": "opted-in",
    "Arn": "arn:aws:sts::123456789012:assumed-role/r/s",
}
FUTURE = datetime.now(UTC) + timedelta(hours=1)
DEEPEST = 6


def complete_value(shape: Any, name: str = "", depth: int = 0) -> Any:
    """A value with every member of the shape set."""
    if name in VALUES:
        return VALUES[name]
    if shape.type_name == "structure":
        if depth > DEEPEST:
            return {}
        members = {
            key: complete_value(inner, key, depth + 1) for key, inner in shape.members.items()
        }
        return {key: value for key, value in members.items() if value is not None}
    if shape.type_name == "list":
        return [complete_value(shape.member, "", depth + 1)]
    if shape.type_name == "map":
        return {}
    return {
        "string": f"a-{name}",
        "integer": 1,
        "long": 1,
        "float": 1.0,
        "double": 1.0,
        "boolean": True,
        "timestamp": FUTURE,
        "blob": BLOCK,
    }[shape.type_name]


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each member of each structure within."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*above, key)
            yield from paths(inner, (*above, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from paths(inner, (*above, place))


def without(value: Any, path: tuple[Any, ...]) -> Any:
    """A copy of an answer that lacks the member at the end of the path."""
    changed = copy.deepcopy(value)
    *above, last = path
    inner = changed
    for step in above:
        inner = inner[step]
    del inner[last]
    return changed


class Client:
    """Answers each operation with what the model says, or what it is given."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            del request
            answer = self._answers.get(operation, {})
            if "BlockData" in answer:
                return answer | {"BlockData": io.BytesIO(answer["BlockData"])}
            return answer

        return call


class Sessions(Session):
    """A Session whose clients give made answers."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(region="us-east-1")
        self.answers = answers

    def client(self, service: str, **_: Any) -> Any:
        del service
        return Client(self.answers)


@dataclass(frozen=True)
class Case:
    """A use of some operations' answers."""

    service: str
    operations: tuple[str, ...]
    use: Callable[[Session], Any]


def read_block(session: Session) -> Any:
    blocks = SnapshotBlocks("snap-1", session.client("ebs"), EbsOptions(sleep=lambda _: None))
    return blocks.fetch(0) if blocks.present(0) else None  # a page without Blocks is empty


def ec2_of(session: Session) -> Ec2:
    return Ec2(session, "123456789012", "us-east-1", sleep=lambda _: None)


MESSAGE = Message("1", "g", FUTURE, "s", "k", (), "{}")
CASES = {
    "instances": Case(
        "ec2", ("DescribeInstances", "DescribeVolumes"), lambda s: ec2_of(s).instances()
    ),
    "instance": Case("ec2", ("DescribeInstances",), lambda s: ec2_of(s).instance_status("a-x")),
    "looked at": Case(
        "ec2", ("DescribeInstances", "DescribeVolumes"), lambda s: ec2_of(s).instances_by_id(["i"])
    ),
    "snapshot": Case("ec2", ("DescribeSnapshots",), lambda s: ec2_of(s).snapshot("a-SnapshotId")),
    "quotas": Case(
        "service-quotas", ("GetServiceQuota",), lambda s: quotas.read(s, None, "us-east-1")
    ),
    "retention": Case(
        "rbin", ("ListRules", "GetRule"),
        lambda s: recycle_bin.kept_days(s, "123456789012", "us-east-1", {}),
    ),
    "regions": Case("ec2", ("DescribeRegions",), lambda s: ec2_of(s).regions()),
    "create": Case(
        "ec2", ("CreateSnapshots",), lambda s: ec2_of(s).create_snapshots("i-1", {"a": "b"}, "d")
    ),
    "snapshots": Case("ec2", ("DescribeSnapshots",), lambda s: ec2_of(s).snapshots_by_id(["s"])),
    "tags": Case("ec2", ("DescribeSnapshots",), lambda s: ec2_of(s).snapshots_by_tags({"a": None})),
    "key tags": Case(
        "kms", ("ListResourceTags",),
        lambda s: Kms(s, "123456789012", "us-east-1").tagged(["k"], "x"),
    ),
    "key manager": Case(
        "kms", ("DescribeKey",),
        lambda s: Kms(s, "123456789012", "us-east-1").is_managed_by_aws("k"),
    ),
    "account": Case("sts", ("GetCallerIdentity",), sts.account),
    "principal": Case("sts", ("GetCallerIdentity",), sts.principal),
    "organization": Case(
        "organizations", ("DescribeOrganization", "ListAccounts"), organizations.accounts
    ),
    "units": Case(
        "organizations", ("DescribeOrganization", "ListAccountsForParent"),
        lambda s: organizations.accounts(s, units=["ou-1"]),
    ),
    "block": Case("ebs", ("ListSnapshotBlocks", "GetSnapshotBlock"), read_block),
    "bus": Case(
        "events", ("PutEvents",),
        lambda s: EventBridge(s, "bus", pause=lambda _: None).send([MESSAGE]),
    ),
    "topic": Case(
        "sns", ("PublishBatch",),
        lambda s: Topic(s, "arn:aws:sns:us-east-1:123456789012:t", pause=lambda _: None).send(
            [MESSAGE]
        ),
    ),
}  # fmt: skip


def answers_of(case: Case) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(case.service)
    return {
        botocore.xform_name(operation): complete_value(
            model.operation_model(operation).output_shape
        )
        for operation in case.operations
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_whatever_optional_member_an_answer_lacks_the_error_is_ours_or_there_is_none(
    name: str,
) -> None:
    case = CASES[name]
    answers = answers_of(case)
    session = Sessions(answers)
    case.use(session)  # complete, it is read
    ways = [(key, path) for key, answer in answers.items() for path in paths(answer)]
    assert ways
    for key, path in ways:
        session.answers = answers | {key: without(answers[key], path)}
        try:
            case.use(session)
        except SidelightError as error:
            assert "has no" in error.what, (key, path)  # noqa: PT017 - most paths raise nothing
        except Exception as error:  # noqa: BLE001 - the point of the test
            pytest.fail(f"{key} without {path}: {error!r}")


@pytest.mark.slow
def test_an_answer_without_credentials_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "123456789012")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    model = botocore.session.get_session().get_service_model("sts")
    complete = complete_value(model.operation_model("AssumeRole").output_shape)
    for path in [way for way in paths(complete) if way[0] == "Credentials"]:
        session = Session(region="us-east-1", role_name="reader")
        answers = {"assume_role": without(complete, path)}
        monkeypatch.setattr(session, "_make", lambda *_, answers=answers: Client(answers))
        with pytest.raises(CloudError, match="has no"):
            session.client("ec2", account="210987654321")
