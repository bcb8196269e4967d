"""The instances that Systems Manager manages (DescribeInstanceInformation)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.ssm.pages import pages
from sidelight.model import ManagedInstance, PingStatus, PlatformType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sidelight.aws.session import Session

PAGE: Final = 50  # the most that SSM gives in a page
_TEXT: Final = 256  # characters of an agent's text that are kept


def managed_instances(session: Session, account: str, region: str) -> Iterator[ManagedInstance]:
    """Yield the EC2 instances that SSM lists, without hybrid nodes (`mi-…`).

    `inventory_at` is not known here. Raises AccessDeniedError, CloudError. Needs
    ssm:DescribeInstanceInformation.
    """
    client = session.client("ssm", account=account, region=region)
    where = f"{account}/{region} describe_instance_information"
    filters = [{"Key": "ResourceType", "Values": ["EC2Instance"]}]
    for page in pages(
        client.describe_instance_information, where, MaxResults=PAGE, Filters=filters
    ):
        for item in page.get("InstanceInformationList") or ():
            found = _managed(item)
            if found is not None:
                yield found


def _managed(item: dict[str, Any]) -> ManagedInstance | None:
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
        last_ping=_moment(item, "LastPingDateTime"),
        platform_type=platform,
        platform_name=_text(item, "PlatformName"),
        platform_version=_text(item, "PlatformVersion"),
        agent_version=_text(item, "AgentVersion"),
        association_status=_text(item, "AssociationStatus"),
        association_at=_moment(item, "LastAssociationExecutionDate"),
    )


def _text(item: dict[str, object], name: str) -> str:
    return str(item.get(name) or "")[:_TEXT]


def _moment(item: dict[str, Any], name: str) -> datetime | None:
    moment: datetime | None = item.get(name)
    return moment
