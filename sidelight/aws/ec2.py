"""EC2's control plane, as far as scanning needs it: instances, volumes, snapshots.

Source: the EC2 API reference and its list of error codes. Every error is a CloudError with AWS's
code, or an AccessDeniedError; `where` names the call and its object.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from sidelight.aws import turns
from sidelight.aws.pace import KINDS, Pace, Unpaced
from sidelight.aws.session import EXPIRED, THROTTLES, translate
from sidelight.errors import AccessDeniedError, CloudError
from sidelight.model import Instance, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.session import Session

GONE = "InvalidSnapshot.NotFound"
# Not before these have passed: nothing is wrong, somebody else is at it.
BUSY = frozenset(
    {
        "ConcurrentSnapshotLimitExceeded",
        "SnapshotCreationPerVolumeRateExceeded",
        "SnapshotLimitExceeded",
        "PendingSnapshotLimitExceeded",
        "ResourceLimitExceeded",  # as CopySnapshot and the sharing of snapshots word it
    }
    | THROTTLES
)
# The instance is not there (any more), or never comes back.
INSTANCE_GONE = frozenset(
    {"InvalidInstanceID.NotFound", "IncorrectState", "IncorrectInstanceState"}
)
FILTERED_AT_ONCE = 200  # EC2 takes no more values of a filter
UNSHAREABLE = (
    "a snapshot under KMS's default key aws/ebs cannot be shared with another account: read it in "
    "place, or encrypt the volume with a customer key"
)
ATTEMPTS = 6
FIRST_WAIT = 0.1  # seconds; doubles with each attempt, with full jitter
LONGEST_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot as EC2 describes it. `state` is pending, completed, error or recoverable."""

    id: str
    volume: str
    state: str
    description: str = ""
    started_at: datetime | None = None
    tags: tuple[tuple[str, str], ...] = ()
    size_gib: int = 0
    message: str = ""  # why it is in `error`

    def tag(self, key: str) -> str:
        """A tag's value, empty where there is none."""
        return dict(self.tags).get(key, "")


class Ec2:
    """One account and region."""

    def __init__(
        self,
        session: Session,
        account: str,
        region: str,
        *,
        pace: Pace | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Makes its clients when they are needed, since their credentials expire.

        `pace` is asked before every try of a call.
        """
        self._session = session
        self._account = account
        self._region = region
        self._pace = pace or Unpaced()
        self._sleep = sleep
        self.calls = 0

    def instances(self) -> list[Instance]:
        """All instances that are not terminated, with their volumes."""
        reservations = self._pages("describe_instances", "Reservations", {})
        described = [i for r in reservations for i in r.get("Instances", ())]
        described = [i for i in described if _state(i) not in ("terminated", "shutting-down")]
        ids = sorted({volume for i in described for volume in _volume_ids(i).values()})
        volumes = self._volumes(ids)
        return [_instance(i, volumes, self._account, self._region) for i in described]

    def regions(self) -> list[str]:
        """The regions that the account has enabled, by name."""
        answer = self._call("describe_regions", "", AllRegions=False)
        return sorted(
            region["RegionName"]
            for region in answer["Regions"]
            if region.get("OptInStatus") != "not-opted-in"
        )

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        """Snapshot all volumes of an instance, crash-consistent; all of them or none.

        CreateSnapshots takes no client token, so it is tried once: whether a call whose answer
        was lost did its work, only a look by the tags tells.
        """
        answer = self._call(
            "create_snapshots",
            instance_id,
            attempts=1,
            InstanceSpecification={"InstanceId": instance_id},
            Description=description,
            TagSpecifications=[
                {
                    "ResourceType": "snapshot",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            ],
        )
        return [_snapshot(item) for item in answer.get("Snapshots", ())]

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        """These snapshots; those that do not exist are absent, and that is no error."""
        found: list[SnapshotInfo] = []
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            # A filter, not SnapshotIds: one missing id would fail the call for all.
            part = list(ids[begin : begin + FILTERED_AT_ONCE])
            found += self._described([{"Name": "snapshot-id", "Values": part}])
        return found

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        """Our own account's snapshots with all these tags; None is any value."""
        filters: list[dict[str, Any]] = [
            {"Name": "tag-key", "Values": [key]}
            if value is None
            else {"Name": f"tag:{key}", "Values": [value]}
            for key, value in tags.items()
        ]
        return self._described(filters)

    def share(self, snapshot_id: str, account: str) -> None:
        """Let another account read a snapshot, until it is deleted. Twice does no harm.

        Raises AccessDeniedError for one under a key of AWS's own, which cannot be shared.
        """
        try:
            self._call(
                "modify_snapshot_attribute",
                snapshot_id,
                SnapshotId=snapshot_id,
                Attribute="createVolumePermission",
                CreateVolumePermission={"Add": [{"UserId": account}]},
            )
        except CloudError as error:
            if error.code != "OperationNotPermitted":
                raise
            raise AccessDeniedError(f"{error.what} ({UNSHAREABLE})", where=error.where) from error

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete; False where there is none, which is as good."""
        try:
            self._call("delete_snapshot", snapshot_id, SnapshotId=snapshot_id)
        except CloudError as error:
            if error.code == GONE:
                return False
            raise
        return True

    def _described(self, filters: list[dict[str, Any]]) -> list[SnapshotInfo]:
        request = {"OwnerIds": ["self"], "Filters": filters, "MaxResults": 1000}
        return [_snapshot(item) for item in self._pages("describe_snapshots", "Snapshots", request)]

    def _volumes(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            # A filter again: a volume may have been deleted since the instances were described.
            part = {
                "Filters": [{"Name": "volume-id", "Values": ids[begin : begin + FILTERED_AT_ONCE]}]
            }
            found |= {v["VolumeId"]: v for v in self._pages("describe_volumes", "Volumes", part)}
        return found

    def _pages(self, operation: str, member: str, request: dict[str, Any]) -> Iterator[Any]:
        token = ""
        while True:
            if token:
                request = {**request, "NextToken": token}
            answer = self._call(operation, "", **request)
            yield from answer.get(member, ())
            token = answer.get("NextToken") or ""
            if not token:
                return

    def _call(self, operation: str, what: str, *, attempts: int = ATTEMPTS, **request: Any) -> Any:
        where = ": ".join(filter(None, (f"{self._account}/{self._region} {operation}", what)))
        kind = KINDS.get(operation, "describe")
        attempt, renewed = 0, False

        def turn() -> None:
            self._pace.before(kind)
            self.calls += 1

        while True:
            # Tried once by botocore: its own retries would be calls beyond those that are counted.
            client = self._session.client(
                "ec2", account=self._account, region=self._region or None, attempts=1
            )
            call: Callable[..., Any] = getattr(client, operation)
            try:
                with turns.waiting(turn):
                    return call(**request)
            except (ClientError, BotoCoreError, OSError) as error:
                code = _code(error)
                if code in THROTTLES:
                    self._pace.throttled(kind)
                if code in EXPIRED and not renewed:
                    # Refused before anything was done: no attempt, even of a creation.
                    renewed = self._session.renew(self._account, client)
                    if renewed:
                        continue
                attempt += 1
                if attempt >= attempts or not _may_pass(error, code):
                    raise translate(error, where=where) from error
            longest = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
            self._sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not cryptography


def _code(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def _may_pass(error: Exception, code: str) -> bool:
    """Whether the same call may be answered a moment later."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return False
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in THROTTLES or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _state(described: Mapping[str, Any]) -> str:
    return str(described.get("State", {}).get("Name", ""))


def _volume_ids(described: Mapping[str, Any]) -> dict[str, str]:
    """Device -> volume; the root device first, then by name, as the kernel would find them."""
    root = described.get("RootDeviceName", "")
    mapped = {
        mapping["DeviceName"]: mapping["Ebs"]["VolumeId"]
        for mapping in described.get("BlockDeviceMappings", ())
        if "VolumeId" in mapping.get("Ebs", {})
    }
    return dict(sorted(mapped.items(), key=lambda item: (item[0] != root, item[0])))


def _instance(
    described: Mapping[str, Any],
    volumes: Mapping[str, Mapping[str, Any]],
    account: str,
    region: str,
) -> Instance:
    tags = _tags(described.get("Tags", ()))
    return Instance(
        id=described["InstanceId"],
        account=account,
        region=region,
        state=_state(described),
        volumes=tuple(
            _volume(volumes[volume_id], device)
            for device, volume_id in _volume_ids(described).items()
            if volume_id in volumes
        ),
        tags=tags,
        name=dict(tags).get("Name", ""),
        root_device_type=described.get("RootDeviceType", "ebs"),
        platform=described.get("Platform", ""),
        launched_at=described.get("LaunchTime"),
        type=described.get("InstanceType", ""),
        image_id=described.get("ImageId", ""),
        vpc_id=described.get("VpcId", ""),
        subnet_id=described.get("SubnetId", ""),
    )


def _volume(described: Mapping[str, Any], device: str) -> Volume:
    return Volume(
        id=described["VolumeId"],
        device=device,
        size_gib=described.get("Size", 0),
        type=described.get("VolumeType", ""),
        encrypted=bool(described.get("Encrypted", False)),
        kms_key_id=described.get("KmsKeyId") or "",
    )


def _snapshot(described: Mapping[str, Any]) -> SnapshotInfo:
    return SnapshotInfo(
        id=described["SnapshotId"],
        volume=described.get("VolumeId", ""),
        # moto's CreateSnapshots answers without a state; AWS's says pending.
        state=described.get("State") or "pending",
        description=described.get("Description", ""),
        started_at=described.get("StartTime"),
        tags=_tags(described.get("Tags", ())),
        size_gib=described.get("VolumeSize", 0),
        message=described.get("StateMessage", ""),
    )


def _tags(described: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((tag["Key"], tag["Value"]) for tag in described))
