"""The tables, as the code uses them. `migrations/` creates them; a test compares the two."""

from __future__ import annotations

from sidelight.store.base.tables.columns import metadata
from sidelight.store.base.tables.findings import (
    OPEN_FINDING,
    finding_details,
    finding_events,
    findings,
    suppression_rules,
)
from sidelight.store.base.tables.fleet import (
    account_configurations,
    coverage,
    coverage_changes,
    instances,
    organization_configurations,
    properties,
    sequences,
)
from sidelight.store.base.tables.inventories import (
    advisory_databases,
    agent_inventories,
    inventories,
    package_names,
    package_sets,
    set_software,
    software,
    software_names,
)
from sidelight.store.base.tables.scans import (
    LIVE_SCAN,
    cost_days,
    costs,
    events,
    intents,
    looks,
    scans,
    snapshot_limits,
    snapshots,
    stage_times,
    sweeps,
)

__all__ = [
    "LIVE_SCAN",
    "OPEN_FINDING",
    "account_configurations",
    "advisory_databases",
    "agent_inventories",
    "cost_days",
    "costs",
    "coverage",
    "coverage_changes",
    "events",
    "finding_details",
    "finding_events",
    "findings",
    "instances",
    "intents",
    "inventories",
    "looks",
    "metadata",
    "organization_configurations",
    "package_names",
    "package_sets",
    "properties",
    "scans",
    "sequences",
    "set_software",
    "snapshot_limits",
    "snapshots",
    "software",
    "software_names",
    "stage_times",
    "suppression_rules",
    "sweeps",
]
