"""The EC2 calls that scanning needs: instances, volumes, snapshots.

Source: the EC2 API reference and its list of error codes. Every error is a CloudError with AWS's
code, or an AccessDeniedError; `where` names the call and its object.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from sidelight.aws.answers import required
from sidelight.aws.ec2_codes import (
    BUSY,
    GONE,
    INSTANCE_DOUBTS,
    PENDING_LIMIT,
    STRANGER,
)
from sidelight.aws.ec2_records import (
    ENDED,
    RECYCLED,
    InstanceStatus,
    SnapshotInfo,
    instance_of,
    snapshot_of,
    state_of,
    volume_ids,
)
from sidelight.aws.paced_calls import PacedCalls
from sidelight.aws.pages import pages
from sidelight.errors import (
    AccessDeniedError,
    CloudError,
    KeyUnusableError,
    RegionDisabledError,
    SidelightError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        InstanceTypeDef,
        SnapshotInfoTypeDef,
        SnapshotTypeDef,
        VolumeTypeDef,
    )

    from sidelight.aws.rate_limit import RateLimiter
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
        self._pace = pace
        self._ec2 = PacedCalls(
            session,
            partial(self._client, region),
            account,
            pace=pace,
            sleep=sleep,
            explain=self._explain,
        )

    def _client(self, region: str) -> EC2Client:
        return self._session.client("ec2", account=self._account, region=region or None, attempts=1)

    @property
    def calls(self) -> int:
        """How many calls were sent."""
        return self._ec2.calls

    def instances(self) -> list[Instance]:
        """Return all instances that are not terminated, with their volumes."""
        described = self._instances([{"Name": "instance-state-name", "Values": list(ALIVE)}])
        return self._with_volumes([i for i in described if state_of(i) not in ENDED])

    def instances_by_id(self, ids: Sequence[str]) -> tuple[list[Instance], list[str]]:
        """Return those of these instances that are not terminated, and the ids of those that are.

        Instances that EC2 does not list (yet, or any more) are in neither.
        """
        described: list[InstanceTypeDef] = []
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            # A filter, not InstanceIds: one unknown id would fail the call for all.
            part = list(ids[begin : begin + FILTERED_AT_ONCE])
            described += self._instances([{"Name": "instance-id", "Values": part}])
        found = [i for i in described if state_of(i) not in ENDED]
        ended = [
            required(i.get("InstanceId"), "InstanceId", "describe_instances")
            for i in described
            if state_of(i) in ENDED
        ]
        return self._with_volumes(found), ended

    def _with_volumes(self, described: Sequence[InstanceTypeDef]) -> list[Instance]:
        ids = sorted({volume for i in described for volume in volume_ids(i).values()})
        volumes = self._volumes(ids)
        return [instance_of(i, volumes, self._account, self._region) for i in described]

    def instance_status(self, instance_id: str) -> InstanceStatus | None:
        """Return an instance's status, also if terminated; None where EC2 does not list it (yet).

        Raises CloudError, AccessDeniedError.
        """
        # A filter, not InstanceIds: so an id that does not exist is not an error.
        for described in self._instances([{"Name": "instance-id", "Values": [instance_id]}]):
            if described.get("InstanceId") == instance_id:
                volumes = frozenset(volume_ids(described).values())
                return InstanceStatus(state_of(described), volumes)
        return None

    def regions(self) -> list[str]:
        """Return the regions that the account has enabled, sorted by name."""
        operation = "describe_regions"
        answer = self._ec2.call(
            lambda ec2: ec2.describe_regions(AllRegions=False),
            self._where(operation),
            explained=False,  # the caller asks other Regions itself
        )
        return sorted(
            required(region.get("RegionName"), "RegionName", operation)
            for region in required(answer.get("Regions"), "Regions", operation)
            if region.get("OptInStatus") != "not-opted-in"
        )

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        """Snapshot all volumes of an instance, crash-consistent; all of them or none.

        CreateSnapshots takes no client token, so it is tried once: after a lost answer, only a
        listing by tags shows whether the call was executed.
        """
        answer = self._ec2.call(
            lambda ec2: ec2.create_snapshots(
                InstanceSpecification={"InstanceId": instance_id},
                Description=description,
                TagSpecifications=[
                    {
                        "ResourceType": "snapshot",
                        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                    }
                ],
            ),
            self._where("create_snapshots", instance_id),
            kind="create",
            attempts=1,
        )
        created = answer.get("Snapshots") or ()
        for item in created:
            # The store's record of a snapshot and its volume proves later that it is ours.
            required(item.get("VolumeId"), "VolumeId", self._where("create_snapshots", instance_id))
        return _newest(created)

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        """Return these snapshots; those that do not exist are omitted without an error."""
        infos: list[SnapshotInfo] = []
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            # A filter, not SnapshotIds: one missing id would fail the call for all.
            part = list(ids[begin : begin + FILTERED_AT_ONCE])
            infos += self._described([{"Name": "snapshot-id", "Values": part}])
        wanted = frozenset(ids)
        return [info for info in infos if info.id in wanted]

    def snapshot(self, snapshot_id: str) -> SnapshotInfo | None:
        """Return one snapshot, our own or shared with us; None where EC2 does not list it.

        Raises CloudError, AccessDeniedError.
        """
        try:
            answer = self._ec2.call(
                lambda ec2: ec2.describe_snapshots(SnapshotIds=[snapshot_id]),
                self._where("describe_snapshots", snapshot_id),
            )
        except CloudError as error:
            if error.code == GONE:
                return None
            raise
        found = _newest(answer.get("Snapshots") or ())
        return next((info for info in found if info.id == snapshot_id), None)

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        """Return our own account's snapshots with all these tags; None matches any value."""
        filters: list[FilterTypeDef] = [
            {"Name": "tag-key", "Values": [key]}
            if value is None
            else {"Name": f"tag:{key}", "Values": [value]}
            for key, value in tags.items()
        ]
        return self._described(filters)

    def completed_snapshots(
        self, volumes: Sequence[str], started: Sequence[str]
    ) -> list[SnapshotInfo]:
        """Return our own account's completed snapshots of these volumes, in 200 volumes a call.

        `started`: patterns of the start time as EC2 filters it, up to 200: `2026-01-31T12*`.
        """
        infos: list[SnapshotInfo] = []
        for begin in range(0, len(volumes), FILTERED_AT_ONCE):
            infos += self._described(
                [
                    {"Name": "volume-id", "Values": volumes[begin : begin + FILTERED_AT_ONCE]},
                    {"Name": "status", "Values": ["completed"]},
                    {"Name": "start-time", "Values": started},
                ]
            )
        return infos

    def pending_snapshots(self) -> list[SnapshotInfo]:
        """Return all pending snapshots of our own account, other tools' too."""
        return self._described([{"Name": "status", "Values": ["pending"]}])

    def share(self, snapshot_id: str, account: str) -> None:
        """Let another account read a snapshot until it is deleted. The call is idempotent.

        Raises KeyUnusableError for a snapshot under an AWS managed key, which cannot be shared.
        """
        try:
            self._ec2.call(
                lambda ec2: ec2.modify_snapshot_attribute(
                    SnapshotId=snapshot_id,
                    Attribute="createVolumePermission",
                    CreateVolumePermission={"Add": [{"UserId": account}]},
                ),
                self._where("modify_snapshot_attribute", snapshot_id),
                kind="delete",
            )
        except CloudError as error:
            if error.code != "OperationNotPermitted":
                raise
            raise KeyUnusableError(f"{error.what} ({UNSHAREABLE})", where=error.where) from error

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot; return False where it does not exist, which is equally good."""
        try:
            self._ec2.call(
                lambda ec2: ec2.delete_snapshot(SnapshotId=snapshot_id),
                self._where("delete_snapshot", snapshot_id),
                kind="delete",
            )
        except CloudError as error:
            if error.code == GONE:
                return False
            raise
        return True

    def _described(self, filters: Sequence[FilterTypeDef]) -> list[SnapshotInfo]:
        where = self._where("describe_snapshots")
        answers = pages(
            lambda following: self._ec2.call(
                lambda ec2: ec2.describe_snapshots(
                    OwnerIds=["self"], Filters=filters, MaxResults=PAGE, **following
                ),
                where,
            ),
            where,
        )
        return _newest(item for answer in answers for item in answer.get("Snapshots") or ())

    def _volumes(self, ids: Sequence[str]) -> dict[str, VolumeTypeDef]:
        volumes: dict[str, VolumeTypeDef] = {}
        for begin in range(0, len(ids), FILTERED_AT_ONCE):
            for volume in self._volumes_of(ids[begin : begin + FILTERED_AT_ONCE]):
                volume_id = required(volume.get("VolumeId"), "VolumeId", "describe_volumes")
                volumes[volume_id] = volume
        return volumes

    def _volumes_of(self, ids: Sequence[str]) -> Iterator[VolumeTypeDef]:
        where = self._where("describe_volumes")
        # A filter: a volume may have been deleted since the instances were described.
        filters: list[FilterTypeDef] = [{"Name": "volume-id", "Values": list(ids)}]
        answers = pages(
            lambda following: self._ec2.call(
                lambda ec2: ec2.describe_volumes(Filters=filters, MaxResults=PAGE, **following),
                where,
            ),
            where,
        )
        return (volume for answer in answers for volume in answer.get("Volumes") or ())

    def _instances(self, filters: Sequence[FilterTypeDef]) -> list[InstanceTypeDef]:
        where = self._where("describe_instances")
        answers = pages(
            lambda following: self._ec2.call(
                lambda ec2: ec2.describe_instances(Filters=filters, MaxResults=PAGE, **following),
                where,
            ),
            where,
        )
        # An instance that starts while the pages are read may be on two of them.
        found = {
            required(instance.get("InstanceId"), "InstanceId", "describe_instances"): instance
            for answer in answers
            for reservation in answer.get("Reservations") or ()
            for instance in reservation.get("Instances") or ()
        }
        return list(found.values())

    def _where(self, operation: str, what: str = "") -> str:
        place = "/".join(filter(None, (self._account, self._region)))
        return ": ".join(filter(None, (f"{place} {operation}".lstrip(), what)))

    def _explain(self, code: str, fault: SidelightError) -> SidelightError:
        """Return why the Region refuses our credentials, by asking the partition's first Region."""
        if code != STRANGER or not isinstance(fault, AccessDeniedError):
            return fault
        others = self._session.regions_to_ask(self._region)[1:]
        for other in others:
            elsewhere = PacedCalls(
                self._session, partial(self._client, other), self._account, pace=self._pace
            )
            try:
                answer = elsewhere.call(
                    lambda ec2: ec2.describe_regions(RegionNames=[self._region], AllRegions=True),
                    fault.where,
                    attempts=1,
                )
            except SidelightError:
                continue  # the credentials are wrong there as well
            finally:
                self._ec2.calls += elsewhere.calls
            for region in answer.get("Regions") or ():
                if region.get("OptInStatus") == "not-opted-in":
                    what = f"the account has not enabled {self._region}: {fault.what}"
                    return RegionDisabledError(what, where=fault.where)
                if region.get("OptInStatus") == "opted-in":
                    return AccessDeniedError(
                        f"{fault.what} ({OF_GLOBAL_ENDPOINT})", where=fault.where
                    )
        return fault


def _newest(described: Iterable[SnapshotTypeDef | SnapshotInfoTypeDef]) -> list[SnapshotInfo]:
    """Return the snapshots of a listing, each once: what comes twice is as it came last.

    Snapshots come twice where some begin or end while the pages are read. Those in the Recycle Bin
    are deleted: they cannot be read, and EC2 does not list them as a rule.
    """
    infos = {info.id: info for info in map(snapshot_of, described)}
    return [info for info in infos.values() if info.state != RECYCLED]
