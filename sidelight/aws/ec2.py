"""The EC2 calls that scanning needs: instances, volumes, snapshots.

Source: the EC2 API reference and its list of error codes. Every error is a CloudError with AWS's
code, or an AccessDeniedError; `where` names the call and its object.
"""

from __future__ import annotations

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

from sidelight.aws import send_hook
from sidelight.aws.answers import member
from sidelight.aws.faults import EXPIRED, THROTTLES, code_of, status_of, translate
from sidelight.aws.rate_limit import KINDS, RateLimiter, Unlimited
from sidelight.backoff import delay
from sidelight.errors import (
    AccessDeniedError,
    CloudError,
    KeyUnusableError,
    RegionDisabledError,
)
from sidelight.model import Instance, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sidelight.aws.session import Session

GONE = "InvalidSnapshot.NotFound"
# All tools together have as many pending snapshots in the account-region as AWS allows.
PENDING_LIMIT = "PendingSnapshotLimitExceeded"
# Transient capacity errors: retry later.
BUSY = frozenset(
    {
        "ConcurrentSnapshotLimitExceeded",
        "SnapshotCreationPerVolumeRateExceeded",
        "SnapshotLimitExceeded",
        PENDING_LIMIT,
        "ResourceLimitExceeded",  # as CopySnapshot and the sharing of snapshots word it
    }
    | THROTTLES
)
# EC2 does not know the instance, or it or a volume is in the wrong state. Each error has transient
# causes: DescribeInstances decides which it is.
INSTANCE_DOUBTS = frozenset(
    {
        "InvalidInstanceID.NotFound",
        "IncorrectInstanceState",
        "IncorrectState",
        # "There are no attached EBS-backed volumes", among others.
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidVolume.NotFound",
    }
)
ENDED = ("terminated", "shutting-down")
ALIVE = ("pending", "running", "stopping", "stopped")
PAGE = 1000  # EC2's maximum page size; a describe without a page size has a tenth of the rate limit
FILTERED_AT_ONCE = 200  # the most values of a filter that EC2 accepts
UNSHAREABLE = (
    "a snapshot under KMS's default key aws/ebs cannot be shared with another account: read it in "
    "place, or encrypt the volume with a customer key"
)
# EC2's code for credentials that are not valid in a Region (HTTP 401).
STRANGER = "AuthFailure"
OF_GLOBAL_ENDPOINT = (
    "the account has enabled this Region, and the same credentials are good in another one: a"
    " session token of STS's global endpoint is refused in opt-in Regions; get one from a regional"
    " endpoint (sts_regional_endpoints = regional), or set the account's global endpoint tokens to"
    " be valid in all Regions"
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
    owner: str = ""  # the account
    completed_at: datetime | None = None

    def tag(self, key: str) -> str:
        """Return a tag's value; empty if the tag is missing."""
        return dict(self.tags).get(key, "")


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """An instance's present state in EC2, and the number of EBS volumes mapped to it."""

    state: str
    volumes: int

    @property
    def ended(self) -> bool:
        """Whether it is terminated, or about to be."""
        return self.state in ENDED


class Ec2:
    """The EC2 client of one account-region."""

    def __init__(
        self,
        session: Session,
        account: str,
        region: str,
        *,
        pace: RateLimiter | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create boto3 clients when they are needed, since their credentials expire.

        `pace` limits the rate of all attempts of calls.
        """
        self._session = session
        self._account = account
        self._region = region
        self._pace = pace or Unlimited()
        self._sleep = sleep
        self.calls = 0

    def instances(self) -> list[Instance]:
        """Return all instances that are not terminated, with their volumes."""
        described = self._instances([{"Name": "instance-state-name", "Values": list(ALIVE)}])
        described = [i for i in described if _state(i) not in ENDED]
        ids = sorted({volume for i in described for volume in _volume_ids(i).values()})
        volumes = self._volumes(ids)
        return [_instance(i, volumes, self._account, self._region) for i in described]

    def instance_status(self, instance_id: str) -> InstanceStatus | None:
        """Return an instance's status, also if terminated; None where EC2 does not list it (yet).

        Raises CloudError, AccessDeniedError.
        """
        # A filter, not InstanceIds: so an id that does not exist is not an error.
        for described in self._instances([{"Name": "instance-id", "Values": [instance_id]}]):
            if described["InstanceId"] == instance_id:
                return InstanceStatus(_state(described), len(_volume_ids(described)))
        return None

    def regions(self) -> list[str]:
        """Return the regions that the account has enabled, sorted by name."""
        answer = self._call("describe_regions", "", AllRegions=False)
        return sorted(
            member(region, "RegionName", "describe_regions")
            for region in member(answer, "Regions", "describe_regions")
            if region.get("OptInStatus") != "not-opted-in"
        )

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        """Snapshot all volumes of an instance, crash-consistent; all of them or none.

        CreateSnapshots takes no client token, so it is tried once: after a lost answer, only a
        listing by tags shows whether the call was executed.
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
        """Return these snapshots; those that do not exist are omitted without an error."""
        infos: list[SnapshotInfo] = []
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            # A filter, not SnapshotIds: one missing id would fail the call for all.
            part = list(ids[begin : begin + FILTERED_AT_ONCE])
            infos += self._described([{"Name": "snapshot-id", "Values": part}])
        return infos

    def snapshot(self, snapshot_id: str) -> SnapshotInfo | None:
        """Return one snapshot, our own or shared with us; None where EC2 does not list it.

        Raises CloudError, AccessDeniedError.
        """
        try:
            answer = self._call("describe_snapshots", snapshot_id, SnapshotIds=[snapshot_id])
        except CloudError as error:
            if error.code == GONE:
                return None
            raise
        return next((_snapshot(item) for item in answer.get("Snapshots") or ()), None)

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        """Return our own account's snapshots with all these tags; None matches any value."""
        filters: list[dict[str, Any]] = [
            {"Name": "tag-key", "Values": [key]}
            if value is None
            else {"Name": f"tag:{key}", "Values": [value]}
            for key, value in tags.items()
        ]
        return self._described(filters)

    def pending_snapshots(self) -> list[SnapshotInfo]:
        """Return all pending snapshots of our own account, other tools' too."""
        return self._described([{"Name": "status", "Values": ["pending"]}])

    def share(self, snapshot_id: str, account: str) -> None:
        """Let another account read a snapshot until it is deleted. The call is idempotent.

        Raises KeyUnusableError for a snapshot under an AWS managed key, which cannot be shared.
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
            raise KeyUnusableError(f"{error.what} ({UNSHAREABLE})", where=error.where) from error

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot; return False where it does not exist, which is equally good."""
        try:
            self._call("delete_snapshot", snapshot_id, SnapshotId=snapshot_id)
        except CloudError as error:
            if error.code == GONE:
                return False
            raise
        return True

    def _described(self, filters: list[dict[str, Any]]) -> list[SnapshotInfo]:
        request = {"OwnerIds": ["self"], "Filters": filters, "MaxResults": PAGE}
        return [_snapshot(item) for item in self._pages("describe_snapshots", "Snapshots", request)]

    def _volumes(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        volumes: dict[str, dict[str, Any]] = {}
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            # A filter: a volume may have been deleted since the instances were described.
            named = {"Name": "volume-id", "Values": list(ids[begin : begin + FILTERED_AT_ONCE])}
            part = {"Filters": [named], "MaxResults": PAGE}
            for volume in self._pages("describe_volumes", "Volumes", part):
                volumes[member(volume, "VolumeId", "describe_volumes")] = volume
        return volumes

    def _instances(self, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        request = {"Filters": filters, "MaxResults": PAGE}
        reservations = self._pages("describe_instances", "Reservations", request)
        return [item for each in reservations for item in each.get("Instances") or ()]

    def _pages(self, operation: str, items: str, request: dict[str, Any]) -> Iterator[Any]:
        token = ""
        while True:
            if token:
                request = {**request, "NextToken": token}
            answer = self._call(operation, "", **request)
            yield from answer.get(items) or ()
            token = answer.get("NextToken") or ""
            if not token:
                return

    def _call(self, operation: str, what: str, *, attempts: int = ATTEMPTS, **request: Any) -> Any:
        place = "/".join(filter(None, (self._account, self._region)))
        where = ": ".join(filter(None, (f"{place} {operation}".lstrip(), what)))
        kind = KINDS.get(operation, "describe")
        attempt, renewed = 0, False

        def turn() -> None:
            self._pace.before(kind)
            self.calls += 1

        while True:
            # botocore tries once: its own retries would be calls that are not counted.
            client = self._session.client(
                "ec2", account=self._account, region=self._region or None, attempts=1
            )
            call: Callable[..., Any] = getattr(client, operation)
            try:
                with send_hook.waiting(turn):
                    return call(**request)
            except (ClientError, BotoCoreError, OSError) as error:
                code = code_of(error)
                if code in THROTTLES:
                    self._pace.throttled(kind)
                if code in EXPIRED and not renewed:
                    # AWS refused it before doing anything: not an attempt, even of a creation.
                    renewed = self._session.renew(self._account, client)
                    if renewed:
                        continue
                attempt += 1
                if attempt >= attempts or not _may_pass(error, code):
                    fault = translate(error, where=where)
                    # The caller of describe_regions asks other regions itself.
                    is_strange = code == STRANGER and operation != "describe_regions"
                    if is_strange and isinstance(fault, AccessDeniedError):
                        fault = self._stranger(fault)
                    raise fault from error
            self._sleep(delay(FIRST_WAIT, attempt, LONGEST_WAIT))

    def _stranger(self, fault: AccessDeniedError) -> AccessDeniedError:
        """Return why the Region refuses our credentials, by asking the partition's first Region."""
        others = self._session.regions_to_ask(self._region)[1:]
        for other in others:
            client = self._session.client("ec2", account=self._account, region=other, attempts=1)
            self._pace.before("describe")
            self.calls += 1
            try:
                answer = client.describe_regions(RegionNames=[self._region], AllRegions=True)
            except (ClientError, BotoCoreError, OSError):
                continue  # the credentials are wrong there as well
            for region in answer.get("Regions") or ():
                if region.get("OptInStatus") == "not-opted-in":
                    what = f"the account has not enabled {self._region}: {fault.what}"
                    return RegionDisabledError(what, where=fault.where)
                if region.get("OptInStatus") == "opted-in":
                    return AccessDeniedError(
                        f"{fault.what} ({OF_GLOBAL_ENDPOINT})", where=fault.where
                    )
        return fault


def _may_pass(error: Exception, code: str) -> bool:
    """Whether a retry of the call may succeed."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return False
    if not isinstance(error, ClientError):
        return True
    return code in THROTTLES or status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR


def _state(described: Mapping[str, Any]) -> str:
    return str(described.get("State", {}).get("Name", ""))


def _volume_ids(described: Mapping[str, Any]) -> dict[str, str]:
    """Return device -> volume; the root device first, then by name, in the kernel's order."""
    root = described.get("RootDeviceName", "")
    mapped = {
        mapping.get("DeviceName", ""): mapping["Ebs"]["VolumeId"]
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
        id=member(described, "InstanceId", "describe_instances"),
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
        id=member(described, "VolumeId", "describe_volumes"),
        device=device,
        size_gib=described.get("Size", 0),
        type=described.get("VolumeType", ""),
        encrypted=bool(described.get("Encrypted", False)),
        kms_key_id=described.get("KmsKeyId") or "",
        tags=_tags(described.get("Tags", ())),
    )


def _snapshot(described: Mapping[str, Any]) -> SnapshotInfo:
    return SnapshotInfo(
        id=member(described, "SnapshotId", "describe_snapshots"),
        volume=described.get("VolumeId", ""),
        # moto's CreateSnapshots answers without a state; AWS's says pending.
        state=described.get("State") or "pending",
        description=described.get("Description", ""),
        started_at=described.get("StartTime"),
        tags=_tags(described.get("Tags", ())),
        size_gib=described.get("VolumeSize", 0),
        message=described.get("StateMessage", ""),
        owner=described.get("OwnerId", ""),
        completed_at=described.get("CompletionTime"),
    )


def _tags(described: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((tag.get("Key", ""), tag.get("Value", "")) for tag in described))
