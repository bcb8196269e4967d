"""`sidelight fleet scan --dry-run`: print the plan and its estimated cost; create nothing.

Discovery and planning are the same as for a scan, on a temporary store, without a broker. The
fleet's store is read if it exists: for due instances, and for the costs of past scans.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dispatcher.cli.fleet.options import configuration_of, wanted_of
from dispatcher.discovery.accounts import UnreachableTarget, in_each
from dispatcher.on_demand import in_process
from dispatcher.planning.plan import is_due, is_old
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import write_json
from sidelight.report.tables import Column, Report, Table
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.cli.option_values import FleetValues
    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.scan_starter import Started
    from dispatcher.services.fleet_service import FleetService
    from sidelight.documents.fleet import FleetPlanDocument
    from sidelight.fleet.settings import Settings
    from sidelight.model import Coverage, Instance, Known

USUAL_USD = 0.0008  # a Debian of 86,000 paths, 259 blocks: README


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
    """An instance that would be scanned. `usd`: the mean of its last scans, else the fleet's."""

    account: str
    region: str
    instance: str
    name: str
    snapshots: int
    gib: int
    usd: float


def show_plan(settings: Settings, given: FleetValues) -> Started:
    """Discover, plan and print; return the reached and unreachable targets.

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
                control.look_up(wanted_of(given)),
                configuration_of(given),
                on_demand=True,
                only=given["instances"],
            )
            due = {(scan.account, scan.instance) for scan in started.scans}
            if given["due"]:
                now = store.clock()
                due -= {key for key, row in history.items() if not is_due(row, now, by=is_old)}
            planned = [
                _planned(known.instance, costs)
                for known in store.instances.known()
                if (known.instance.account, known.instance.id) in due
            ]
            skipped = [row for row in store.instances.coverage() if row.status_code == "INACTIVE"]
            kept = _kept(control, started, deployment)
        finally:
            control.close()
    _print(planned, skipped, kept, as_json=given["form"] == "json")
    return started


def _kept(control: FleetService, started: Started, deployment: str) -> list[RecycleBinNotice]:
    """Return the Recycle Bin's retention in each reached account-region."""

    def days(place: AccountRegion) -> int:
        return control.recycle_days(place, deployment)

    return [
        RecycleBinNotice(place.account, place.region, None, result.error.what)
        if isinstance(result, UnreachableTarget)
        else RecycleBinNotice(place.account, place.region, result)
        for place, result in in_each(started.reached, days, lambda: False)
    ]


def _copy_configurations(settings: Settings, to: Store) -> None:
    """Copy what was set for accounts and organizations: it decides what would be scanned."""
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


def _planned(instance: Instance, costs: dict[str, float]) -> Planned:
    return Planned(
        instance.account,
        instance.region,
        instance.id,
        instance.name,
        len(instance.volumes),
        sum(volume.size_gib for volume in instance.volumes),
        costs.get(instance.id, costs.get("", USUAL_USD)),
    )


def _print(
    planned: list[Planned], skipped: list[Coverage], kept: list[RecycleBinNotice], *, as_json: bool
) -> None:
    usd = sum(item.usd for item in planned)
    if as_json:
        write_json(dumps(_document(planned, skipped, kept)))
        return
    rows = Table(
        "Instance", "Name", Column("Account", rank=4), Column("Region", rank=3),
        Column("Snapshots", right=True), Column("GiB", rank=2, right=True),
        Column("USD, estimated", rank=1, right=True),
    )  # fmt: skip
    for item in planned:
        rows.add_row(
            item.instance, item.name, item.account, item.region, str(item.snapshots), str(item.gib),
            f"{item.usd:.4f}",
        )  # fmt: skip
    shown = Report(sys.stdout)
    shown.table(rows)
    for row in skipped:
        shown.line(f"not scanned: {row.instance} ({row.reason}) {row.detail}".rstrip())
    for place in kept:
        if place.days != 0:
            shown.line(str(place))
    snapshots = counted(sum(item.snapshots for item in planned), "snapshot")
    shown.line(
        f"{counted(len(planned), 'scan')}, {snapshots}, about {usd:.4f} dollars of EBS direct API"
        " calls; nothing was created"
    )


def _document(
    planned: Sequence[Planned], skipped: Sequence[Coverage], kept: Sequence[RecycleBinNotice]
) -> FleetPlanDocument:
    """Return the plan and its estimated cost."""
    return {
        "scans": [
            {
                "account": scan.account,
                "region": scan.region,
                "instance": scan.instance,
                "name": scan.name,
                "snapshots": scan.snapshots,
                "gib": scan.gib,
                "usd": scan.usd,
            }
            for scan in planned
        ],
        "skipped": [
            {
                "account": row.account,
                "region": row.region,
                "instance": row.instance,
                "reason": row.reason,
                "detail": row.detail,
            }
            for row in skipped
        ],
        "usd": sum(scan.usd for scan in planned),
        "recycle_bin": [
            {
                "account": place.account,
                "region": place.region,
                "days": place.days,
                "detail": place.detail,
            }
            for place in kept
        ],
    }
