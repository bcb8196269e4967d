"""EC2's calls that list snapshots: whose they are, who may see them, and when EC2 lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from sidelight.localcloud.ec2.base import Ec2Calls, checked
from sidelight.localcloud.ec2.listing import described, filtered, page_of
from sidelight.localcloud.snapshot_store import ShelfSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable


class SnapshotReads(Ec2Calls):
    """Calls that change nothing."""

    def describe_snapshots(self) -> ActionResult:
        """DescribeSnapshots: what the account may see, owned by whom it asks, filtered, paged."""
        ids = self._get_param("SnapshotIds", [])
        limit = self._get_param("MaxResults")
        if ids and limit is not None:
            raise EC2ClientError(
                "InvalidParameterCombination",
                "Name snapshots or ask for pages, not both.",
            )
        visible = self._sl_visible()
        if ids:
            missing = [checked(i, "snap") for i in ids if i not in visible]
            if missing:
                raise self._sl_absent(missing[0])
            visible = {key: value for key, value in visible.items() if key in ids}
        found = filtered(
            self._sl_owned(visible.values()),
            self._get_param("Filters", []) or self._get_param("Filter", []),
            self.current_account,
        )
        page, following = page_of(
            sorted(found, key=lambda s: (s.start_time, s.id)), limit, self._get_param("NextToken")
        )
        self.error_on_dryrun()
        result: dict[str, Any] = {"Snapshots": [described(s, self.current_account) for s in page]}
        if following:
            result["NextToken"] = following
        return ActionResult(result)

    def list_snapshots_in_recycle_bin(self) -> ActionResult:
        """ListSnapshotsInRecycleBin: what was deleted, and is kept and billed."""
        wanted = self._get_param("SnapshotIds", [])
        kept = self.shelf.in_recycle_bin(self.current_account, self.region)
        return ActionResult(
            {
                "Snapshots": [
                    {
                        "SnapshotId": item.id,
                        "VolumeId": item.volume,
                        "Description": item.description,
                        "RecycleBinEnterTime": datetime.fromtimestamp(item.entered, UTC),
                        "RecycleBinExitTime": datetime.fromtimestamp(item.exits, UTC),
                    }
                    for item in kept
                    if not wanted or item.id in wanted
                ]
            }
        )

    def _sl_absent(self, snapshot_id: str) -> EC2ClientError:
        return self._sl_refused("InvalidSnapshot.NotFound", checked(snapshot_id, "snap"))

    def _sl_snapshot(self) -> Any:
        """The account's own snapshot that the request names, if EC2 knows of it yet."""
        snapshot_id = checked(self._get_param("SnapshotId") or "", "snap")
        self.shelf.finish_deletions()
        snapshot = self.ec2_backend.snapshots.get(snapshot_id)
        if snapshot is None or not self._sl_listed(snapshot):
            raise self._sl_absent(snapshot_id)
        return snapshot

    def _sl_listed(self, snapshot: Any) -> bool:
        is_stored = isinstance(snapshot, ShelfSnapshot)
        return not is_stored or self.shelf.lags.listed(snapshot, self._sl_connection())

    def _sl_visible(self) -> dict[str, object]:
        self.shelf.finish_deletions()
        own: dict[str, object] = dict(self.ec2_backend.snapshots)
        here = (self.current_account, self.region, self._sl_connection())
        for snapshot in list(self.shelf.snapshots.values()):
            if self.shelf.find(snapshot.id, *here) is not None:
                own.setdefault(snapshot.id, snapshot)
        return {key: value for key, value in own.items() if self._sl_listed(value)}

    def _sl_owned(self, snapshots: Iterable[Any]) -> list[Any]:
        account = self.current_account
        owners = self._get_param("OwnerIds", [])
        restorers = self._get_param("RestorableByUserIds", [])
        found = list(snapshots)
        if owners:
            wanted = {account if owner == "self" else owner for owner in owners}
            found = [s for s in found if s.owner_id in wanted]
        if restorers:
            wanted = {account if user == "self" else user for user in restorers}
            found = [
                s
                for s in found
                if s.owner_id in wanted
                or wanted & s.create_volume_permission_userids
                or wanted & s.create_volume_permission_groups
            ]
        return found
