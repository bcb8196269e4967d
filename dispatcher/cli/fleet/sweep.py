"""`sidelight fleet sweep`: delete orphaned snapshots, and adopt those of a lost store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dispatcher.cli.exit_status import FAILED
from dispatcher.cli.fleet import documents, report
from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget
from sidelight.errors import UsageError
from sidelight.report.as_json import dumps
from sidelight.report.output import complain, say, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.cli.option_values import FleetValues
    from dispatcher.services.fleet_service import FleetService
    from dispatcher.sweep import Adoptable

Offer = list[tuple[AccountRegion, "list[Adoptable]"]]


def run_sweep(
    control: FleetService,
    account_regions: Sequence[AccountRegion | UnreachableTarget],
    form: str,
    *,
    dry_run: bool,
) -> None:
    """Sweep these account-regions and print the results; exit with 4 where something failed."""
    swept, closed = control.sweeper.sweep_everywhere(account_regions, dry_run=dry_run)
    if form == "json":
        write_json(dumps(documents.sweep_document(swept)))
    else:
        for line in report.swept_lines(swept):
            say(line)
    _show_closed(closed)
    if closed or any(one.failed for _, one in swept):
        sys.exit(FAILED)


def run_adoption(
    control: FleetService,
    account_regions: Sequence[AccountRegion | UnreachableTarget],
    options: FleetValues,
    *,
    dry_run: bool,
) -> None:
    """List adoptable snapshots; delete those named with --yes, or all after a typed answer.

    Raises UsageError where the deletion is not confirmed.
    """
    form, ids = options["form"], tuple(options["snapshots"])
    if options["yes"] and not ids:
        raise UsageError("--yes needs the ids: give --snapshot for each")
    offered, closed = control.sweeper.adoptable_everywhere(account_regions)
    _show_closed(closed)
    if form != "json":
        _show(offered)
    all_ids = [one.id for _, found in offered for one in found]
    chosen = [name for name in all_ids if not ids or name in ids]
    unknown = sorted(set(ids) - set(all_ids))
    deleted: list[str] = []
    failed: list[str] = []
    if not dry_run and chosen and _is_confirmed(len(chosen), form, yes=options["yes"]):
        for place, found in offered:
            here = [one.id for one in found if one.id in chosen]
            done, refused = control.sweeper.adopt(place, here)
            deleted += done
            failed += refused
    _show_outcome(offered, deleted, [*failed, *unknown], form)
    if closed or failed or unknown:
        sys.exit(FAILED)


def _is_confirmed(count: int, form: str, *, yes: bool) -> bool:
    """Whether --yes or a typed sentence confirms. Raises UsageError without a terminal."""
    if yes:
        return True
    if form == "json":
        raise UsageError("--adopt --format json needs --yes with --snapshot, or --dry-run")
    wanted = f"delete {count} snapshot{'' if count == 1 else 's'}"
    try:
        typed = click.prompt(f"Type '{wanted}' to delete", default="", show_default=False, err=True)
    except click.Abort:
        typed = ""
    if str(typed).strip() != wanted:
        raise UsageError("not confirmed: nothing was deleted")
    return True


def _show(offered: Offer) -> None:
    for account_region, snapshots in offered:
        say(f"{account_region}: {len(snapshots)} snapshots may be adopted")
        for snapshot in snapshots:
            say(
                f"  {snapshot.id} of {snapshot.volume}, {snapshot.size_gib} GiB, "
                f"started {snapshot.started or '?'}: "
                f"{snapshot.description}"
            )


def _show_outcome(offered: Offer, deleted: list[str], failed: list[str], form: str) -> None:
    if form == "json":
        write_json(dumps(documents.adoption_document(offered, deleted)))
    elif deleted or failed:
        say(f"{len(deleted)} deleted")
    for name in failed:
        complain(f"sidelight: {name}: not deleted: cannot be adopted")


def _show_closed(closed: Sequence[UnreachableTarget]) -> None:
    for target in closed:
        complain(f"sidelight: not swept: {target}")
