"""Try an account-region's permissions without changing anything.

EC2's calls are sent with DryRun, which checks the permission and nothing else. Others are reads, or
ask about an object that cannot exist: "not found" shows that the call is allowed. Sources: "DryRun"
in the EC2 API reference; the references of EBS direct, KMS, Service Quotas and Systems Manager.

A policy may allow a call only for objects with a tag, as deploy/iam does for snapshots. IAM then
denies the call for an object that does not exist, and such a denial decides nothing, unless IAM
says that a policy denies it explicitly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from botocore import xform_name

from sidelight.aws import quotas, recycle_bin
from sidelight.aws.faults import translated
from sidelight.aws.network import permission
from sidelight.errors import AccessDeniedError, CloudError, SidelightError
from sidelight.reachability.answers.stems import STEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.aws.session import Session

ATTEMPTS: Final = 6  # throttles are retried; nothing else of these calls is worth a wait
NO_SNAPSHOT: Final = "snap-00000000000000000"
NO_KEY: Final = "00000000-0000-0000-0000-000000000000"
EXPLICIT: Final = "explicit deny"  # in IAM's text where a policy's Deny decided
# A call that passed authorization: EC2 reports a dry run, the others what they did not find.
PASSED: Final = frozenset(
    {
        "DryRunOperation",
        "InvalidSnapshot.NotFound",
        "NotFoundException",
        "ResourceNotFoundException",
        "InvalidParameter",
        "InvalidParameterValue",
        "InvalidPrefixListID.NotFound",
        "InvalidPrefixListId.NotFound",
        "InvalidRouteTableID.NotFound",
        "ValidationException",
    }
)
# Arguments of EC2's describe calls about one object, as ids that nothing has.
NO_OBJECT: Final = {
    "PrefixListId": "pl-00000000000000000",
    "TransitGatewayRouteTableId": "tgw-rtb-00000000000000000",
}


@dataclass(frozen=True, slots=True)
class PermissionAnswer:
    """Whether an IAM action is allowed; None where the attempt could not decide it.

    `is_denial`: it was denied, which may be due to a condition of the policy and then decides
    nothing. `code`: AWS's error code of another error than a denial. `remedy`: what to do, where
    that is not to allow the action.
    """

    action: str
    allowed: bool | None
    detail: str = ""
    is_denial: bool = False
    code: str = ""
    remedy: str = ""


class PermissionChecks:
    """The permissions of our role in one account-region. Nothing raises for a denied call."""

    def __init__(self, session: Session, account: str | None, region: str) -> None:
        """`account`: whose role is assumed; None for the hub's own credentials."""
        self._session = session
        self._account = account
        self._region = region

    def discovery(self) -> list[PermissionAnswer]:
        """Try EC2's calls that list regions, instances, volumes and snapshots."""
        names = ("DescribeRegions", "DescribeInstances", "DescribeVolumes", "DescribeSnapshots")
        return [self._dry_run(name) for name in names]

    def creation(self, instance: str, tags: Mapping[str, str]) -> PermissionAnswer:
        """Try CreateSnapshots of an instance with these tags, which also needs CreateTags."""
        written = [{"Key": key, "Value": value} for key, value in tags.items()]
        return self._dry_run(
            "CreateSnapshots",
            {
                "InstanceSpecification": {"InstanceId": instance},
                "TagSpecifications": [{"ResourceType": "snapshot", "Tags": written}],
            },
        )

    def deletion(self) -> PermissionAnswer:
        """Try DeleteSnapshot of a snapshot that cannot exist."""
        return self._dry_run("DeleteSnapshot", {"SnapshotId": NO_SNAPSHOT}, conditional=True)

    def sharing(self, scanner: str) -> PermissionAnswer:
        """Try to share a snapshot that cannot exist with the scanner's account."""
        return self._dry_run(
            "ModifySnapshotAttribute",
            {
                "SnapshotId": NO_SNAPSHOT,
                "Attribute": "createVolumePermission",
                "CreateVolumePermission": {"Add": [{"UserId": scanner}]},
            },
            conditional=True,
        )

    def reading(self, *, conditional: bool) -> list[PermissionAnswer]:
        """Try EBS direct's calls on a snapshot that cannot exist.

        `conditional`: the policy may allow them for tagged snapshots alone.
        """
        # No block token is checked before the permission and the snapshot are.
        attempts: dict[str, dict[str, object]] = {
            "ListSnapshotBlocks": {},
            "GetSnapshotBlock": {"BlockIndex": 0, "BlockToken": "none"},
        }
        return [
            self._ask(
                "ebs", name, {"SnapshotId": NO_SNAPSHOT, **arguments}, conditional=conditional
            )
            for name, arguments in attempts.items()
        ]

    def existing(self, snapshot: str) -> PermissionAnswer:
        """List blocks of an existing snapshot, which is a paid call ($0.0000006)."""
        return self._ask(
            "ebs", "ListSnapshotBlocks", {"SnapshotId": snapshot, "MaxResults": 100},
        )  # fmt: skip

    def metrics(self) -> PermissionAnswer:
        """Read a metric of a volume that cannot exist, which is a paid call ($0.00001)."""
        end = datetime.now(UTC)
        metric = {
            "Namespace": "AWS/EBS",
            "MetricName": "VolumeWriteOps",
            "Dimensions": [{"Name": "VolumeId", "Value": "vol-00000000000000000"}],
        }
        query = {"Id": "v0", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}}
        request: dict[str, object] = {
            "MetricDataQueries": [query], "StartTime": end - timedelta(minutes=10), "EndTime": end,
        }  # fmt: skip
        return self._ask("cloudwatch", "GetMetricData", request)

    def keys(self, key: str = "") -> list[PermissionAnswer]:
        """Try the calls about a KMS key of a volume; without one, about a key that cannot exist.

        Not about the alias of EBS's default key: KMS would create that key.
        """
        return [
            self._ask("kms", "DescribeKey", {"KeyId": key or NO_KEY}),
            self._ask("kms", "ListResourceTags", {"KeyId": key or NO_KEY}),
        ]

    def quotas(self) -> PermissionAnswer:
        """Read EBS's quotas."""
        return _answer(
            "servicequotas:GetServiceQuota",
            lambda: quotas.read(self._session, self._account, self._region),
        )

    def recycle_bin(self, tags: Mapping[str, str]) -> tuple[PermissionAnswer, int]:
        """Read the Recycle Bin's rules; return also the days that they keep our snapshots."""
        days: list[int] = []

        def read() -> None:
            account = self._account or ""
            days.append(recycle_bin.kept_days(self._session, account, self._region, tags))

        answer = _answer("rbin:ListRules", read)
        return answer, days[0] if days else 0

    def agents(self) -> list[PermissionAnswer]:
        """Try Systems Manager's listings, one item of each."""
        names = (
            "DescribeInstanceInformation",
            "GetInventory",
            "ListAssociations",
            "ListResourceDataSync",
        )
        return [self._ask("ssm", name, {"MaxResults": 5}) for name in names]

    def bucket(self, name: str) -> PermissionAnswer:
        """List one key of a bucket."""
        request: dict[str, object] = {"Bucket": name, "MaxKeys": 1}
        return self._ask("s3", "ListObjectsV2", request, "s3:ListBucket")

    def queue(self, url: str) -> PermissionAnswer:
        """Read one attribute of an SQS queue."""
        request: dict[str, object] = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
        return self._ask("sqs", "GetQueueAttributes", request)

    def network(self) -> list[PermissionAnswer]:
        """Try the network model's calls: EC2's by DryRun, of the others the first pages.

        A call about one object of another service is not tried.
        """
        answers = []
        for stem in STEMS.values():
            if stem.service == "ec2":
                arguments: dict[str, object] = dict(stem.arguments)
                if stem.argument:
                    arguments[stem.argument] = NO_OBJECT.get(stem.argument, "")
                answers.append(self._dry_run(stem.operation, arguments))
            elif stem.parent:
                detail = "it needs an object to ask about"
                answers.append(PermissionAnswer(permission(stem), None, detail))
            else:
                answers.append(
                    self._ask(stem.service, stem.operation, stem.arguments, permission(stem))
                )
        return answers

    def _dry_run(
        self,
        operation: str,
        arguments: Mapping[str, object] = MappingProxyType({}),
        *,
        conditional: bool = False,
    ) -> PermissionAnswer:
        request = {**arguments, "DryRun": True}
        return self._ask("ec2", operation, request, conditional=conditional)

    def _ask(
        self,
        service: str,
        operation: str,
        arguments: Mapping[str, object],
        action: str = "",
        *,
        conditional: bool = False,
    ) -> PermissionAnswer:
        def call() -> None:
            client = self._session.client(
                service, account=self._account, region=self._region, attempts=ATTEMPTS
            )
            getattr(client, xform_name(operation))(**arguments)

        return _answer(action or f"{service}:{operation}", call, conditional=conditional)


def _answer(
    action: str, call: Callable[[], object], *, conditional: bool = False
) -> PermissionAnswer:
    try:
        with translated(action):
            call()
    except AccessDeniedError as error:
        decided = not conditional or EXPLICIT in error.what
        return PermissionAnswer(action, False if decided else None, error.what, is_denial=True)
    except CloudError as error:
        passed = True if error.code in PASSED else None
        return PermissionAnswer(action, passed, error.what, code=error.code)
    except SidelightError as error:
        return PermissionAnswer(action, None, error.what)
    return PermissionAnswer(action, True)


def denied(answers: Sequence[PermissionAnswer]) -> list[PermissionAnswer]:
    """Return the answers whose action is denied."""
    return [answer for answer in answers if answer.allowed is False]
