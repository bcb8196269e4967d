"""Where a worker of a test may be killed: everything that a scan's stages do to the outside."""

from __future__ import annotations

EC2 = ("create_snapshots", "snapshots_by_id", "delete_snapshot", "snapshots_by_tags")
# Of the store, by its part.
STORE = {
    "scans": ("claim", "intend", "receipted", "snapshots"),
    "snapshot_polls": ("pend", "claim_waiting", "settle", "schedule"),
    "origins": ("of",),
    "findings": ("save_inventory", "evaluate"),
    "instances": ("finish",),
}
CONTEXT = ("open_snapshot", "inspect")
POINTS = (*EC2, *(name for names in STORE.values() for name in names), *CONTEXT, "match")
