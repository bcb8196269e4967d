"""`sidelight fleet scan --dry-run`: print the plan and its estimated cost; create nothing.

Discovery and planning are the same as for a scan, on a temporary store, without a broker. The
fleet's store is read if it exists: for due instances, and for the costs of past scans.
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dispatcher.cli.fleet.options import configuration_of, selection_of, wanted_of
from dispatcher.discovery.accounts import UnreachableTarget, in_each
from dispatcher.on_demand import in_process
from dispatcher.planning.plan import is_due, is_old
from sidelight.aws.ebs import USD_PER_GET, USD_PER_LIST
from sidelight.model import ScanMode
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import complain, write_json
from sidelight.report.tables import Column, Report, Table
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from dispatcher.cli.option_values import FleetValues
    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.scan_starter import Started
    from dispatcher.services.fleet_service import FleetService
    from sidelight.documents.fleet import FleetPlanDocument, SkippedInstanceDocument
    from sidelight.fleet.settings import Settings
    from sidelight.model import Coverage, Instance, Known

USUAL_USD = 0.0008  # a Debian of 86,000 paths, 259 blocks: README
# docs/cost-model.md: prices of us-east-1; how long a snapshot exists; calls a scan.
GIB_MONTH_USD = 0.05
STORED_MINUTES, MONTH_MINUTES = 10.0, 730 * 60.0
DESCRIBES, LISTS = 3.2, 3.8


@dataclass(frozen=True, slots=True)
class RecycleBinNotice:
    """Days that an account-region's Recycle Bin keeps snapshots; None: unknown, see `detail`."""

    account: str
    region: str
    days: int | None
    detail: str = ""

    def __str__(self) -> str:
        where = f"Recycle Bin of {self.account}/{self.region}"
        if self.days is None:
            return f"{where}: not known whether it keeps deleted snapshots: {self.detail}"
        return (
            f"{where}: a rule keeps each deleted snapshot for {counted(self.days, 'day')}, and AWS"
            " bills it; exclude our tag (docs/real-accounts.md)"
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """An instance that would be scanned. `usd`: the mean of its last scans, else the fleet's.

    `snapshots` and `gib` are of the snapshots that would be created.
    """

    account: str
    region: str
    instance: str
    name: str
    snapshots: int
    gib: int
    usd: float
    existing: int = 0  # snapshots of the account that would be read instead


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """The planned scans; instances not scanned, or scanned by their agents; Recycle Bins."""

    scans: list[Planned]
    skipped: list[Coverage]
    by_agents: list[Coverage]
    kept: list[RecycleBinNotice]
    started: Started

    @property
    def snapshots(self) -> int:
        """The number of snapshots."""
        return sum(scan.snapshots for scan in self.scans)

    @property
    def gib(self) -> int:
        """The size of the volumes, which the snapshots' data does not exceed."""
        return sum(scan.gib for scan in self.scans)

    @property
    def usd(self) -> float:
        """Dollars of the EBS direct calls."""
        return sum(scan.usd for scan in self.scans)

    @property
    def storage_usd(self) -> float:
        """The most dollars of the snapshots' storage: of full volumes, by docs/cost-model.md."""
        return self.gib * GIB_MONTH_USD * STORED_MINUTES / MONTH_MINUTES

    def calls(self) -> dict[str, int]:
        """Return the estimated number of calls of each kind (docs/cost-model.md)."""
        number = len(self.scans)
        creating = sum(not scan.existing for scan in self.scans)
        return {
            "CreateSnapshots": creating,
            "DescribeSnapshots": math.ceil(creating * DESCRIBES),
            "ListSnapshotBlocks": math.ceil(number * LISTS),
            "GetSnapshotBlock": math.ceil(max(0.0, self.usd - number * LISTS * USD_PER_LIST)
                                          / USD_PER_GET),
            "DeleteSnapshot": self.snapshots,
        }  # fmt: skip

    def summary(self) -> str:
        """Return the snapshots, their size and the dollars."""
        existing = sum(scan.existing for scan in self.scans)
        more = f" and {existing} existing" if existing else ""
        return (
            f"{counted(len(self.scans), 'scan')}, {counted(self.snapshots, 'snapshot')}{more} of"
            f" {self.gib} GiB of volumes, about {self.usd:.4f} dollars of EBS direct API calls and"
            f" at most {self.storage_usd:.4f} of storage"
        )


def show_plan(settings: Settings, options: FleetValues) -> Started:
    """Discover, plan and print; return the reached and unreachable targets.

    Raises UsageError, CloudError.
    """
    plan = make_plan(settings, options)
    if options["form"] == "json":
        write_json(dumps(_document(plan)))
    else:
        _print(plan)
    return plan.started


def confirm(settings: Settings, options: FleetValues) -> None:
    """Print what a scan would create and cost, and ask. Raises click.Abort for any other answer.

    Nothing is asked where nothing would be created.
    """
    plan = make_plan(settings, options)
    if not plan.snapshots:
        return
    complain(f"{plan.summary()}; the snapshots are deleted afterwards")
    for notice in plan.kept:
        if notice.days:
            complain(str(notice))
    cap = settings.budget.usd_per_day
    complain(f"Spend cap: {cap:g} dollars a day and account." if cap else "Spend cap: none.")
    if not click.confirm("Create them?", err=True):
        raise click.Abort


def make_plan(settings: Settings, options: FleetValues) -> ScanPlan:
    """Discover and plan, on a temporary store.

    KMS grants change an account, so none are created. Raises UsageError, CloudError.
    """
    history, costs, deployment = _history(settings)
    with tempfile.TemporaryDirectory(prefix="sidelight-plan-") as directory:
        store = Store(f"sqlite:///{directory}/plan.db")
        store.migrate()
        _copy_configurations(settings, store)
        control = in_process(settings.replaced(kms_grants=False), store=store)
        try:
            started = control.scans.start_everywhere(
                control.look_up(wanted_of(options)),
                configuration_of(options),
                on_demand=True,
                only=selection_of(options),
            )
            due = {(scan.account, scan.instance) for scan in started.scans}
            read = {(scan.account, scan.instance) for scan in started.scans if scan.source}
            if options["due"]:
                now = store.clock()
                due -= {key for key, row in history.items() if not is_due(row, now, by=is_old)}
            planned = [
                _planned(known.instance, costs, read)
                for known in store.instances.known()
                if (known.instance.account, known.instance.id) in due
            ]
            rows = store.instances.coverage()
            skipped = [row for row in rows if row.status_code == "INACTIVE"]
            by_agents = [
                row for row in rows
                if row.status_code == "ACTIVE" and row.scan_mode is ScanMode.AGENT_BASED
            ]  # fmt: skip
            kept = _kept(control, started, deployment)
        finally:
            control.close()
    return ScanPlan(planned, skipped, by_agents, kept, started)


def _kept(control: FleetService, started: Started, deployment: str) -> list[RecycleBinNotice]:
    """Return the Recycle Bin's retention in each reached account-region."""

    def days(account_region: AccountRegion) -> int:
        return control.recycle_days(account_region, deployment)

    return [
        RecycleBinNotice(account_region.account, account_region.region, None, result.error.what)
        if isinstance(result, UnreachableTarget)
        else RecycleBinNotice(account_region.account, account_region.region, result)
        for account_region, result in in_each(started.reached, days, lambda: False)
    ]


def _copy_configurations(settings: Settings, to: Store) -> None:
    """Copy the configurations of accounts and organizations: they decide what is scanned."""
    store = Store(settings.store.url)
    try:
        if store.missing():
            return
        store.migrate()
        for account in store.configurations.accounts():
            to.configurations.change(account.account, lambda _, row=account: row)  # type: ignore[misc]
        for organization in store.configurations.organizations():
            to.configurations.change_organization(
                organization.id,
                lambda _, row=organization: row,  # type: ignore[misc]
            )
    finally:
        store.close()


def _history(
    settings: Settings,
) -> tuple[dict[tuple[str, str], Known], dict[str, float], str]:
    """Return, by instance, its history and the cost of a scan (key `""`: of any instance).

    The third item is the deployment's name; empty if no store has one yet.
    """
    store = Store(settings.store.url)
    try:
        if store.missing():
            return {}, {}, settings.snapshots.deployment
        known = {(row.instance.account, row.instance.id): row for row in store.instances.known()}
        sums = store.costs.sums(["instance"])
        costs = {row.instance: row.usd / row.scans for row in sums if row.scans and row.usd}
        if costs:
            costs[""] = sum(costs.values()) / len(costs)
        deployment = settings.snapshots.deployment or store.deployment()
    finally:
        store.close()
    return known, costs, deployment


def _planned(
    instance: Instance, costs: dict[str, float], read: Collection[tuple[str, str]]
) -> Planned:
    """`read`: the instances of which existing snapshots would be read."""
    usd = costs.get(instance.id, costs.get("", USUAL_USD))
    volumes = instance.volumes
    if (instance.account, instance.id) in read:
        return Planned(
            instance.account, instance.region, instance.id, instance.name, 0, 0, usd, len(volumes)
        )
    return Planned(
        instance.account,
        instance.region,
        instance.id,
        instance.name,
        len(volumes),
        sum(volume.size_gib for volume in volumes),
        usd,
    )


def _print(plan: ScanPlan) -> None:
    rows = Table(
        "Instance", "Name", Column("Account", rank=4), Column("Region", rank=3),
        Column("Snapshots", right=True), Column("GiB", rank=2, right=True),
        Column("USD, estimated", rank=1, right=True),
    )  # fmt: skip
    for item in plan.scans:
        rows.add_row(
            item.instance, item.name, item.account, item.region,
            f"{item.existing} existing" if item.existing else str(item.snapshots), str(item.gib),
            f"{item.usd:.4f}",
        )  # fmt: skip
    shown = Report(sys.stdout)
    shown.table(rows)
    for row in plan.by_agents:
        shown.line(f"scanned by its agent, without a snapshot: {row.instance}")
    for row in plan.skipped:
        shown.line(f"not scanned: {row.instance} ({row.reason}) {row.detail}".rstrip())
    for place in plan.kept:
        if place.days != 0:
            shown.line(str(place))
    calls = ", ".join(f"{number} {name}" for name, number in plan.calls().items())
    shown.line(f"calls, estimated: {calls}")
    shown.line(f"{plan.summary()}; nothing was created")


def _document(plan: ScanPlan) -> FleetPlanDocument:
    """Return the plan and its estimated cost."""
    return {
        "scans": [
            {
                "account": scan.account,
                "region": scan.region,
                "instance": scan.instance,
                "name": scan.name,
                "snapshots": scan.snapshots,
                "existing": scan.existing,
                "gib": scan.gib,
                "usd": scan.usd,
            }
            for scan in plan.scans
        ],
        "skipped": list(map(_skipped, plan.skipped)),
        "by_agents": list(map(_skipped, plan.by_agents)),
        "snapshots": plan.snapshots,
        "gib": plan.gib,
        "calls": plan.calls(),
        "usd": plan.usd,
        "storage_usd": plan.storage_usd,
        "recycle_bin": [
            {
                "account": account_region.account,
                "region": account_region.region,
                "days": account_region.days,
                "detail": account_region.detail,
            }
            for account_region in plan.kept
        ],
    }


def _skipped(row: Coverage) -> SkippedInstanceDocument:
    return {
        "account": row.account,
        "region": row.region,
        "instance": row.instance,
        "reason": row.reason,
        "detail": row.detail,
    }
