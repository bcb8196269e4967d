"""The EC2 calls that scanning needs: instances, volumes, snapshots.

Source: the EC2 API reference and its list of error codes. Every error is a CloudError with AWS's
code, or an AccessDeniedError; `where` names the call and its object.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws import send_hook
from sidelight.aws.answers import member
from sidelight.aws.ec2_codes import (
    BUSY,
    GONE,
    INSTANCE_DOUBTS,
    PENDING_LIMIT,
    STRANGER,
)
from sidelight.aws.ec2_records import (
    ENDED,
    InstanceStatus,
    SnapshotInfo,
    instance_of,
    snapshot_of,
    state_of,
    volume_ids,
)
from sidelight.aws.faults import EXPIRED, THROTTLES, code_of, may_pass, translate
from sidelight.aws.rate_limit import KINDS, RateLimiter, Unlimited
from sidelight.backoff import delay
from sidelight.errors import (
    AccessDeniedError,
    CloudError,
    KeyUnusableError,
    RegionDisabledError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sidelight.aws.session import Session
    from sidelight.model import Instance

__all__ = [
    "BUSY",
    "ENDED",
    "GONE",
    "INSTANCE_DOUBTS",
    "PENDING_LIMIT",
    "Ec2",
    "InstanceStatus",
    "SnapshotInfo",
]

ALIVE = ("pending", "running", "stopping", "stopped")
PAGE = 1000  # EC2's maximum page size; a describe without a page size has a tenth of the rate limit
FILTERED_AT_ONCE = 200  # the most values of a filter that EC2 accepts
UNSHAREABLE = (
    "a snapshot under KMS's default key aws/ebs cannot be shared with another account: read it in "
    "place, or encrypt the volume with a customer key"
)
OF_GLOBAL_ENDPOINT = (
    "the account has enabled this Region, and the same credentials are good in another one: a"
    " session token of STS's global endpoint is refused in opt-in Regions; get one from a regional"
    " endpoint (sts_regional_endpoints = regional), or set the account's global endpoint tokens to"
    " be valid in all Regions"
)
ATTEMPTS = 6
FIRST_WAIT = 0.1  # seconds; doubles with each attempt, with full jitter
LONGEST_WAIT = 5.0


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
        described = [i for i in described if state_of(i) not in ENDED]
        ids = sorted({volume for i in described for volume in volume_ids(i).values()})
        volumes = self._volumes(ids)
        return [instance_of(i, volumes, self._account, self._region) for i in described]

    def instance_status(self, instance_id: str) -> InstanceStatus | None:
        """Return an instance's status, also if terminated; None where EC2 does not list it (yet).

        Raises CloudError, AccessDeniedError.
        """
        # A filter, not InstanceIds: so an id that does not exist is not an error.
        for described in self._instances([{"Name": "instance-id", "Values": [instance_id]}]):
            if described["InstanceId"] == instance_id:
                return InstanceStatus(state_of(described), len(volume_ids(described)))
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
        return [snapshot_of(item) for item in answer.get("Snapshots", ())]

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
        return next((snapshot_of(item) for item in answer.get("Snapshots") or ()), None)

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
        return [
            snapshot_of(item) for item in self._pages("describe_snapshots", "Snapshots", request)
        ]

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
            call: Callable[..., object] = getattr(client, operation)
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
                if attempt >= attempts or not may_pass(error):
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
