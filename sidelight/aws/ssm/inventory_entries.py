"""An instance's inventory by ListInventoryEntries: 50 entries a page.

A machine of 600 packages takes 12 calls for AWS:Application, so a fleet reads the data sync's
objects (data_sync_objects.py) where it can. The first page names the capture time: an inventory
that was not captured again costs one call. Capture times are compared for equality: a machine whose
clock was ahead captures its next inventories at earlier times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.aws.ssm.calls import PAGE, SsmCalls
from sidelight.aws.ssm.capture import Capture, captured, digest_of
from sidelight.inventory.ssm import items
from sidelight.inventory.ssm.items import InventoryItem

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.aws.session import Session


class InventoryEntries:
    """Reads inventories of one account and Region by SSM's API."""

    def __init__(self, session: Session, account: str, region: str) -> None:
        self._ssm = SsmCalls(session, account, region)

    def read(self, instance_id: str, since: datetime | None = None) -> Capture | None:
        """Return the inventory; None where AWS:Application is still the one captured at `since`.

        Needs ssm:ListInventoryEntries. Raises AccessDeniedError, CloudError.
        """
        application, at = self._item(instance_id, items.APPLICATION, since)
        if application is None and at is not None:
            return None
        found = {} if application is None else {application.type_name: application}
        if found:
            for name in items.WANTED_TYPES:
                item, _at = self._item(instance_id, name) if name not in found else (None, None)
                if item is not None:
                    found[name] = item
        return Capture(instance_id, found, digest_of(found.values()), at)

    def _item(
        self, instance_id: str, type_name: str, since: datetime | None = None
    ) -> tuple[InventoryItem | None, datetime | None]:
        """Return an item and its capture time; no item where that is `since`."""
        entries: list[object] = []
        text = ""
        for page in self._ssm.pages(
            "list_inventory_entries",
            lambda ssm, following: ssm.list_inventory_entries(
                InstanceId=instance_id, TypeName=type_name, MaxResults=PAGE, **following
            ),
            f"{instance_id} {type_name}",
        ):
            # The first page's: if another was captured between pages, the next round reads it.
            text = text or str(page.get("CaptureTime") or "")
            at = captured(text)
            if since is not None and at == since:
                return None, at
            entries += page.get("Entries") or ()
            if len(entries) > items.MAX_ENTRIES:
                break  # the parser reports what is beyond the limit
        if not text:
            return None, None
        return InventoryItem(type_name, entries, text), captured(text)
