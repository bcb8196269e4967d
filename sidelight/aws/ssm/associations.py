"""State Manager's associations and resource data syncs of one account and Region: the calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from sidelight.aws.answers import required
from sidelight.aws.ssm.calls import PAGE, SsmCalls
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ssm.type_defs import (
        AssociationTypeDef,
        InstanceAssociationOutputLocationTypeDef,
        ResourceDataSyncItemTypeDef,
        ResourceDataSyncS3DestinationTypeDef,
        TargetTypeDef,
    )

    from sidelight.aws.session import Session

GONE: Final = frozenset({"AssociationDoesNotExist", "ResourceDataSyncNotFoundException"})
QUOTA: Final = "ResourceDataSyncCountExceededException"
# The bucket is not there, or does not let Systems Manager write.
INVALID_SYNC: Final = "ResourceDataSyncInvalidConfigurationException"
EXISTS: Final = "ResourceDataSyncAlreadyExistsException"
_DESCRIBED: Final = "AssociationDescription"


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
class OutputPlace:
    """Where agents write a run's output: below a prefix in a bucket."""

    bucket: str
    region: str
    prefix: str


@dataclass(frozen=True, slots=True)
class AssociationSpec:
    """An association to make, for all managed instances."""

    name: str
    document: str
    schedule: str
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    output: OutputPlace | None = None


@dataclass(frozen=True, slots=True)
class AssociationDetails:
    """What ListAssociations does not show of an association."""

    parameters: Mapping[str, Sequence[str]]
    output: OutputPlace | None = None


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
        self._ssm = SsmCalls(session, account, region)

    def associations(self) -> list[AssociationInfo]:
        """Return all associations. Needs ssm:ListAssociations."""
        listing = self._ssm.pages(
            "list_associations",
            lambda ssm, following: ssm.list_associations(MaxResults=PAGE, **following),
        )
        return [
            AssociationInfo(
                id=str(item.get("AssociationId") or ""),
                document=str(item.get("Name") or ""),
                name=str(item.get("AssociationName") or ""),
                instances=_instances(item),
                schedule=str(item.get("ScheduleExpression") or ""),
                status=str((item.get("Overview") or {}).get("Status") or ""),
            )
            for page in listing
            for item in page.get("Associations") or ()
        ]

    def create(self, spec: AssociationSpec) -> str:
        """Create an association for all managed instances; return its id."""
        operation = "create_association"
        # SSM takes no client token, and makes a second association of the same name.
        answer = self._ssm.call(
            operation,
            lambda ssm: ssm.create_association(Name=spec.document, **_members(spec)),
            spec.name,
            repeatable=False,
        )
        where = self._ssm.where(operation, spec.name)
        described = required(answer.get(_DESCRIBED), _DESCRIBED, where)
        return required(described.get("AssociationId"), "AssociationId", where)

    def details(self, association_id: str) -> AssociationDetails:
        """Return an association's parameters and output. Needs ssm:DescribeAssociation."""
        operation = "describe_association"
        answer = self._ssm.call(
            operation,
            lambda ssm: ssm.describe_association(AssociationId=association_id),
            association_id,
        )
        where = self._ssm.where(operation, association_id)
        described = required(answer.get(_DESCRIBED), _DESCRIBED, where)
        return AssociationDetails(
            described.get("Parameters") or {}, _output(described.get("OutputLocation"))
        )

    def parameters(self, association_id: str) -> Mapping[str, Sequence[str]]:
        """Return an association's parameters. Needs ssm:DescribeAssociation."""
        return self.details(association_id).parameters

    def update(self, association_id: str, spec: AssociationSpec) -> None:
        """Give an association the schedule and the parameters of `spec`."""
        self._ssm.call(
            "update_association",
            lambda ssm: ssm.update_association(AssociationId=association_id, **_members(spec)),
            spec.name,
        )

    def delete(self, association_id: str) -> None:
        """Delete an association. One that does not exist is not an error."""
        try:
            self._ssm.call(
                "delete_association",
                lambda ssm: ssm.delete_association(AssociationId=association_id),
                association_id,
            )
        except CloudError as error:
            if error.code not in GONE:
                raise

    def data_syncs(self) -> list[DataSyncInfo]:
        """Return all data syncs. Needs ssm:ListResourceDataSync."""
        listing = self._ssm.pages(
            "list_resource_data_sync",
            lambda ssm, following: ssm.list_resource_data_sync(MaxResults=PAGE, **following),
        )
        return [
            _data_sync(item) for page in listing for item in page.get("ResourceDataSyncItems") or ()
        ]

    def create_data_sync(self, name: str, bucket: str, bucket_region: str, prefix: str) -> bool:
        """Create a data sync to the bucket; False where the account's quota of them is full."""
        destination: ResourceDataSyncS3DestinationTypeDef = {
            "BucketName": bucket,
            "Region": bucket_region,
            "SyncFormat": "JsonSerDe",
        }
        if prefix:
            destination["Prefix"] = prefix
        try:
            self._ssm.call(
                "create_resource_data_sync",
                lambda ssm: ssm.create_resource_data_sync(SyncName=name, S3Destination=destination),
                name,
            )
        except CloudError as error:
            if error.code == QUOTA:
                return False
            if error.code != EXISTS:
                raise
        return True

    def delete_data_sync(self, name: str) -> None:
        """Delete a data sync. One that does not exist is not an error."""
        try:
            self._ssm.call(
                "delete_resource_data_sync",
                lambda ssm: ssm.delete_resource_data_sync(SyncName=name),
                name,
            )
        except CloudError as error:
            if error.code not in GONE:
                raise


class _Members(TypedDict):
    """The members that requests to create and to update an association share."""

    AssociationName: str
    ScheduleExpression: str
    Parameters: dict[str, list[str]]
    Targets: list[TargetTypeDef]
    OutputLocation: NotRequired[InstanceAssociationOutputLocationTypeDef]


def _members(spec: AssociationSpec) -> _Members:
    members = _Members(
        AssociationName=spec.name,
        ScheduleExpression=spec.schedule,
        Parameters={name: list(values) for name, values in spec.parameters.items()},
        Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
    )
    if spec.output is not None:
        members["OutputLocation"] = {
            "S3Location": {
                "OutputS3Region": spec.output.region,
                "OutputS3BucketName": spec.output.bucket,
                "OutputS3KeyPrefix": spec.output.prefix,
            }
        }
    return members


def _output(location: InstanceAssociationOutputLocationTypeDef | None) -> OutputPlace | None:
    """Return where an association's output goes, None where it goes nowhere."""
    place = location.get("S3Location") if location else None
    if not place:
        return None
    return OutputPlace(
        place.get("OutputS3BucketName") or "",
        place.get("OutputS3Region") or "",
        place.get("OutputS3KeyPrefix") or "",
    )


def _data_sync(item: ResourceDataSyncItemTypeDef) -> DataSyncInfo:
    destination = item.get("S3Destination")
    return DataSyncInfo(
        name=item.get("SyncName") or "",
        bucket=(destination.get("BucketName") if destination else "") or "",
        prefix=(destination.get("Prefix") if destination else "") or "",
        status=item.get("LastStatus") or "",
        message=item.get("LastSyncStatusMessage") or "",
    )


def _instances(item: AssociationTypeDef) -> tuple[str, ...]:
    """Return the instances of an association: its one, or those of its targets (`*` for all)."""
    instance_id = item.get("InstanceId")
    if instance_id:
        return (instance_id,)
    return tuple(
        value
        for target in item.get("Targets") or ()
        if target.get("Key") == "InstanceIds"
        for value in target.get("Values") or ()
    )
