"""When each instance's software inventory was captured, by GetInventory: 50 instances a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.aws.ssm.calls import PAGE, SsmCalls
from sidelight.aws.ssm.capture import captured
from sidelight.inventory.ssm.items import APPLICATION

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.aws.session import Session


def inventory_times(session: Session, account: str, region: str) -> dict[str, datetime]:
    """Return the capture time of AWS:Application by instance; without those that have none.

    Needs ssm:GetInventory. Raises AccessDeniedError, CloudError.
    """
    found: dict[str, datetime] = {}
    for page in SsmCalls(session, account, region).pages(
        "get_inventory",
        lambda ssm, following: ssm.get_inventory(
            ResultAttributes=[{"TypeName": APPLICATION}], MaxResults=PAGE, **following
        ),
    ):
        for entity in page.get("Entities") or ():
            item = (entity.get("Data") or {}).get(APPLICATION)
            at = captured(str(item.get("CaptureTime") or "")) if item else None
            if at is not None:
                found[str(entity.get("Id") or "")] = at
    return found
