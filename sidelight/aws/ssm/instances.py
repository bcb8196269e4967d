"""The instances that Systems Manager manages (DescribeInstanceInformation)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.aws.ssm.calls import PAGE, SsmCalls
from sidelight.model import ManagedInstance, PingStatus, PlatformType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ssm.type_defs import InstanceInformationTypeDef

    from sidelight.aws.session import Session

_TEXT: Final = 256  # characters of an agent's text that are kept


def managed_instances(session: Session, account: str, region: str) -> Iterator[ManagedInstance]:
    """Yield the EC2 instances that SSM lists, without hybrid nodes (`mi-…`).

    `inventory_at` is not known here. Raises AccessDeniedError, CloudError. Needs
    ssm:DescribeInstanceInformation.
    """
    for page in SsmCalls(session, account, region).pages(
        "describe_instance_information",
        lambda ssm, following: ssm.describe_instance_information(
            Filters=[{"Key": "ResourceType", "Values": ["EC2Instance"]}],
            MaxResults=PAGE,
            **following,
        ),
    ):
        for item in page.get("InstanceInformationList") or ():
            found = _managed(item)
            if found is not None:
                yield found


def _managed(item: InstanceInformationTypeDef) -> ManagedInstance | None:
    """Return the instance; one without an id, or of another kind, is not an instance."""
    instance_id = str(item.get("InstanceId") or "")
    if not instance_id.startswith("i-"):
        return None
    try:
        ping = PingStatus(str(item.get("PingStatus")))
    except ValueError:
        ping = PingStatus.INACTIVE  # a status that the model does not have yet: it does not answer
    platform: PlatformType | None
    try:
        platform = PlatformType(str(item.get("PlatformType")))
    except ValueError:
        platform = None
    return ManagedInstance(
        instance_id=instance_id,
        ping_status=ping,
        last_ping=item.get("LastPingDateTime"),
        platform_type=platform,
        platform_name=_text(item.get("PlatformName")),
        platform_version=_text(item.get("PlatformVersion")),
        agent_version=_text(item.get("AgentVersion")),
        association_status=_text(item.get("AssociationStatus")),
        association_at=item.get("LastAssociationExecutionDate"),
    )


def _text(value: str | None) -> str:
    return (value or "")[:_TEXT]
