"""When each instance's software inventory was captured, by GetInventory: 50 instances a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.aws.ssm.capture import captured
from sidelight.aws.ssm.pages import pages
from sidelight.inventory.ssm.items import APPLICATION

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.aws.session import Session

PAGE: Final = 50


def inventory_times(session: Session, account: str, region: str) -> dict[str, datetime]:
    """Return the capture time of AWS:Application by instance; without those that have none.

    Needs ssm:GetInventory. Raises AccessDeniedError, CloudError.
    """
    client = session.client("ssm", account=account, region=region)
    wanted = [{"TypeName": APPLICATION}]
    found: dict[str, datetime] = {}
    where = f"{account}/{region} get_inventory"
    for page in pages(client.get_inventory, where, ResultAttributes=wanted, MaxResults=PAGE):
        for entity in page.get("Entities") or ():
            item = (entity.get("Data") or {}).get(APPLICATION) or {}
            at = captured(str(item.get("CaptureTime") or ""))
            if at is not None:
                found[str(entity.get("Id") or "")] = at
    return found
