"""State Manager's associations and resource data syncs of one account and Region: the calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.faults import translated
from sidelight.aws.ssm.pages import pages
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.aws.session import Session

PAGE: Final = 50
GONE: Final = frozenset({"AssociationDoesNotExist", "ResourceDataSyncNotFoundException"})
QUOTA: Final = "ResourceDataSyncCountExceededException"
EXISTS: Final = "ResourceDataSyncAlreadyExistsException"


@dataclass(frozen=True, slots=True)
class AssociationInfo:
    """An association as ListAssociations shows it. `instances` are those of its targets."""

    id: str
    document: str
    name: str = ""
    instances: tuple[str, ...] = ()
    schedule: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class AssociationSpec:
    """An association to make, for all managed instances."""

    name: str
    document: str
    schedule: str
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataSyncInfo:
    """A data sync. `message` says why it failed, if it did."""

    name: str
    bucket: str
    prefix: str = ""
    status: str = ""
    message: str = ""


class StateManager:
    """The calls for one account and Region. Each raises AccessDeniedError, CloudError."""

    def __init__(self, session: Session, account: str, region: str) -> None:
        self._client = session.client("ssm", account=account, region=region)
        self._where = f"{account}/{region}"

    def associations(self) -> list[AssociationInfo]:
        """Return all associations. Needs ssm:ListAssociations."""
        listing = self._client.list_associations
        where = f"{self._where} list_associations"
        return [
            AssociationInfo(
                id=str(item.get("AssociationId") or ""),
                document=str(item.get("Name") or ""),
                name=str(item.get("AssociationName") or ""),
                instances=_instances(item),
                schedule=str(item.get("ScheduleExpression") or ""),
                status=str((item.get("Overview") or {}).get("Status") or ""),
            )
            for page in pages(listing, where, MaxResults=PAGE)
            for item in page.get("Associations") or ()
        ]

    def create(self, spec: AssociationSpec) -> str:
        """Create an association for all managed instances; return its id."""
        with translated(f"{self._where} create_association: {spec.name}"):
            answer = self._client.create_association(
                AssociationName=spec.name,
                Name=spec.document,
                Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
                ScheduleExpression=spec.schedule,
                Parameters={name: list(values) for name, values in spec.parameters.items()},
            )
        return str(answer["AssociationDescription"]["AssociationId"])

    def parameters(self, association_id: str) -> dict[str, list[str]]:
        """Return an association's parameters. Needs ssm:DescribeAssociation."""
        with translated(f"{self._where} describe_association: {association_id}"):
            answer = self._client.describe_association(AssociationId=association_id)
        found: dict[str, list[str]] = answer["AssociationDescription"].get("Parameters") or {}
        return found

    def update(self, association_id: str, spec: AssociationSpec) -> None:
        """Give an association the schedule and the parameters of `spec`."""
        with translated(f"{self._where} update_association: {spec.name}"):
            self._client.update_association(
                AssociationId=association_id,
                AssociationName=spec.name,
                ScheduleExpression=spec.schedule,
                Parameters={name: list(values) for name, values in spec.parameters.items()},
                Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
            )

    def delete(self, association_id: str) -> None:
        """Delete an association. One that is gone is no error."""
        try:
            with translated(f"{self._where} delete_association: {association_id}"):
                self._client.delete_association(AssociationId=association_id)
        except CloudError as error:
            if error.code not in GONE:
                raise

    def data_syncs(self) -> list[DataSyncInfo]:
        """Return all data syncs. Needs ssm:ListResourceDataSync."""
        listing = self._client.list_resource_data_sync
        found = []
        for page in pages(listing, f"{self._where} list_resource_data_sync", MaxResults=PAGE):
            for item in page.get("ResourceDataSyncItems") or ():
                destination = item.get("S3Destination") or {}
                found.append(
                    DataSyncInfo(
                        name=str(item.get("SyncName") or ""),
                        bucket=str(destination.get("BucketName") or ""),
                        prefix=str(destination.get("Prefix") or ""),
                        status=str(item.get("LastStatus") or ""),
                        message=str(item.get("LastSyncStatusMessage") or ""),
                    )
                )
        return found

    def create_data_sync(self, name: str, bucket: str, bucket_region: str, prefix: str) -> bool:
        """Create a data sync to the bucket; False where the account's quota of them is full."""
        destination = {"BucketName": bucket, "Region": bucket_region, "SyncFormat": "JsonSerDe"}
        if prefix:
            destination["Prefix"] = prefix
        try:
            with translated(f"{self._where} create_resource_data_sync: {name}"):
                self._client.create_resource_data_sync(SyncName=name, S3Destination=destination)
        except CloudError as error:
            if error.code == QUOTA:
                return False
            if error.code != EXISTS:
                raise
        return True

    def delete_data_sync(self, name: str) -> None:
        """Delete a data sync. One that is gone is no error."""
        try:
            with translated(f"{self._where} delete_resource_data_sync: {name}"):
                self._client.delete_resource_data_sync(SyncName=name)
        except CloudError as error:
            if error.code not in GONE:
                raise


def _instances(item: dict[str, Any]) -> tuple[str, ...]:
    """Return the instances of an association: its one, or those of its targets (`*` for all)."""
    if item.get("InstanceId"):
        return (str(item["InstanceId"]),)
    return tuple(
        str(value)
        for target in item.get("Targets") or ()
        if target.get("Key") == "InstanceIds"
        for value in target.get("Values") or ()
    )
