"""`sidelight inspector compare`: both sides read, compared and shown."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Unpack

from dispatcher.cli.exit_status import PARTIAL
from dispatcher.cli.fleet.options import opened_store, wanted_of
from dispatcher.cli.inspector import views
from dispatcher.cli.inspector.comparison_csv import write_comparison
from dispatcher.cli.inspector.saved_answers import read_answers, read_ssm_inventories
from dispatcher.cli.option_values import PlaceValues
from dispatcher.cli.output_file import check_writable, opened
from dispatcher.discovery.accounts import AccountRegion, in_all, look_up
from sidelight.aws.inspector import InspectorCalls
from sidelight.errors import AccessDeniedError, CloudError, StoreError, UsageError
from sidelight.fleet.bootstrap import session_of
from sidelight.inspector_comparison import InspectorSide, SidelightSide
from sidelight.inspector_comparison import compare as compared
from sidelight.model.software import Problem
from sidelight.report.as_json import dumps
from sidelight.report.output import complain
from sidelight.report.progress import live
from sidelight.report.tables import Report

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings
    from sidelight.model import Coverage, FindingRow, InstanceRef, Inventory
    from sidelight.store import Store


class CompareValues(PlaceValues):
    """The values of the command's options."""

    files: tuple[Path, ...]
    administrator: bool
    instances: tuple[str, ...]
    custom_paths: tuple[str, ...]
    ssm_files: tuple[Path, ...]
    show_all: bool
    limit: int | None
    form: str
    output: Path | None


def compare(settings: Settings, **options: Unpack[CompareValues]) -> None:
    """`sidelight inspector compare`: its options are in dispatcher.cli.inspector.commands."""
    check_writable(options["output"])
    ssm_names = read_ssm_inventories(options["ssm_files"])
    with opened_store(settings) as store:
        if options["files"]:
            side = InspectorSide()
            read_answers(options["files"], side)
            places = _places_of(side, options)
        else:
            side, places = _read(session_of(settings), options)
        instances = frozenset(options["instances"])
        _restrict(side, places, instances)
        with live("comparing"):
            result = compared(
                SidelightSide(
                    _findings(store, places, instances),
                    _coverage(store, places, instances),
                    lambda place: _inventory(store, place),
                    lambda place: ssm_names.get(place.instance),
                    _newest_advisory(store),
                    options["custom_paths"],
                ),
                side,
            )
    with opened(options["output"]) as file:
        if options["form"] == "table":
            views.show(Report(file), result, side, options["limit"], equal=options["show_all"])
        else:
            document = views.comparison_document(result, side, sorted(places))
            if options["form"] == "json":
                file.write(dumps(document))
            else:
                write_comparison(document, file)
    for problem in side.problems:
        complain(f"sidelight: {problem.where}: {problem.what}")
    if side.problems:
        sys.exit(PARTIAL)


def _read(session: Session, options: CompareValues) -> tuple[InspectorSide, set[tuple[str, str]]]:
    """Read the account-regions of the options from Inspector; return them too.

    Raises UsageError, and the first error if no account-region could be read.
    """
    side = InspectorSide()

    def read(account_region: AccountRegion) -> InspectorSide:
        caller = None if options["administrator"] else account_region.account
        calls = InspectorCalls(
            session, account_region.account, account_region.region, caller=caller
        )
        return _answers(calls, f"{account_region}")

    with live("reading Inspector's findings and coverage"):
        done, unreachable = in_all(look_up(session, wanted_of(options)), read)
    if unreachable and not done:
        raise unreachable[0].error
    side.problems += [
        Problem(f"{target.account}/{target.region}", f"not compared: {target}")
        for target in unreachable
    ]
    for _, answers in done:
        side.add(answers)
    return side, {(account_region.account, account_region.region) for account_region, _ in done}


def _answers(calls: InspectorCalls, where: str) -> InspectorSide:
    """Read one account-region. Findings are needed; without coverage fewer causes are known."""
    side = InspectorSide()
    side.add_findings(calls.findings(), where)
    try:
        side.add_coverage(calls.coverage(), where)
    except (AccessDeniedError, CloudError) as error:
        side.unread.add((calls.account, calls.region))
        side.problems.append(Problem(where, f"no coverage was read: {error}"))
    return side


def _places_of(side: InspectorSide, options: CompareValues) -> set[tuple[str, str]]:
    """Return the account-regions of saved answers, of those that the options name.

    Raises UsageError where neither names one.
    """
    found = {(item.place.account, item.place.region) for item in side.findings.values()}
    found |= {
        (account_region.account, account_region.region)
        for account_region, _ in side.coverage
        if account_region.region
    }
    accounts, regions = options["accounts"], options["regions"]
    if not found:
        found = {(account, region) for account in accounts for region in regions}
    places = {
        (account, region)
        for account, region in found
        if (not accounts or account in accounts) and (not regions or region in regions)
    }
    if not places:
        raise UsageError(
            "the files name no finding or coverage of an EC2 instance in this scope: give --account"
            " and --region of the answers"
        )
    # An answer without a Region is of one Region: of any that the files name.
    has_any = any(not account_region.region for account_region, _ in side.coverage)
    covered = {
        (account_region.account, account_region.region) for account_region, _ in side.coverage
    }
    side.unread = set() if has_any else places - covered
    return places


def _restrict(
    side: InspectorSide, places: Collection[tuple[str, str]], instances: Collection[str]
) -> None:
    """Leave out what is of other account-regions and instances."""
    accounts = {account for account, _ in places}

    def is_wanted(place: InstanceRef) -> bool:
        known = (place.account, place.region) in places
        # An older answer's coverage has no Region.
        is_known = known or (not place.region and place.account in accounts)
        return is_known and (not instances or place.instance in instances)

    side.findings = {key: item for key, item in side.findings.items() if is_wanted(item.place)}
    side.coverage = {key: item for key, item in side.coverage.items() if is_wanted(key[0])}


def _findings(
    store: Store, places: Collection[tuple[str, str]], instances: Collection[str]
) -> list[FindingRow]:
    return [
        row
        for account in sorted({account for account, _ in places})
        for row in store.findings.rows(account=account, status=None)
        if (account, row.region) in places and (not instances or row.instance in instances)
    ]


def _coverage(
    store: Store, places: Collection[tuple[str, str]], instances: Collection[str]
) -> list[Coverage]:
    return [
        row
        for account in sorted({account for account, _ in places})
        for row in store.instances.coverage(None, account=account)
        if (not row.region or (row.account, row.region) in places)
        and (not instances or row.instance in instances or "*" in row.instance)
    ]


def _inventory(store: Store, place: InstanceRef) -> Inventory | None:
    try:
        return store.findings.inventory(place.account, place.instance)
    except StoreError:
        return None


def _newest_advisory(store: Store) -> datetime | None:
    """Return the latest change of an advisory that findings are based on; None if unknown."""
    latest: Sequence[str] = [item.newest for item in store.registered_advisories.latest(1)]
    if not latest or not latest[0]:
        return None
    try:
        at = datetime.fromisoformat(latest[0])
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
