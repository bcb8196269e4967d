"""`sidelight fleet enable|disable|configure|accounts`: accounts and how they are scanned."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dispatcher.cli.exit_status import FAILED, PARTIAL
from dispatcher.cli.fleet.documents import account_document, unreached_document
from dispatcher.cli.fleet.options import opened_store
from dispatcher.discovery.accounts import AccountRegion
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.services.configuration import ConfigurationService
from dispatcher.services.unreached_accounts import unreached_accounts, unreached_by_account
from sidelight.errors import UsageError
from sidelight.model import Ec2ScanMode
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import complain, say, write_json
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.services.account_disabling import DisablePlan, DisableResult
    from dispatcher.services.configuration import ConfiguredAccounts
    from sidelight.documents import fleet as fleet_documents
    from sidelight.fleet.settings import Settings
    from sidelight.model import EffectiveConfiguration
    from sidelight.store import Store


def enable(settings: Settings, **options: Any) -> None:
    """`sidelight fleet enable`: its options are in account_commands.py."""
    change = _change(options)
    with opened_store(settings, create=True) as store:
        service = _service(store, settings)
        chosen = _chosen(service, options)
        if options["dry_run"]:
            service.check(chosen, change)
            held = service.effective(chosen)
            creates = _creates(store, held, settings)
            _would_set(held, change, options["form"], "enabled", creates)
            return
        _print(service.enable(chosen, change), options["form"])


def configure(settings: Settings, **options: Any) -> None:
    """`sidelight fleet configure`: its options are in account_commands.py."""
    change = _change(options)
    if change == ConfigurationChange() and not options["reset"]:
        raise UsageError("nothing to set: name at least one option")
    if change != ConfigurationChange() and options["reset"]:
        raise UsageError("give --reset or other options, not both")
    with opened_store(settings, create=True) as store:
        service = _service(store, settings)
        chosen = _chosen(service, options)
        if options["dry_run"]:
            what = "reset to what they inherit" if options["reset"] else "configured"
            service.check(chosen, change)
            _would_set(service.effective(chosen), change, options["form"], what, ())
            return
        done = service.reset(chosen) if options["reset"] else service.configure(chosen, change)
        _print(done, options["form"])


def disable(settings: Settings, **options: Any) -> None:
    """`sidelight fleet disable`: its options are in account_commands.py."""
    from dispatcher.on_demand import disabler_in_process, in_process

    with opened_store(settings):
        pass  # a store that does not exist has no account to disable
    fleet = in_process(settings)
    try:
        chosen = _chosen(fleet.configuration, options)
        disabler = disabler_in_process(fleet)
        if options["dry_run"]:
            _print_plans([disabler.plan(account) for account in chosen], options["form"])
            return
        begun = fleet.configuration.begin_disable(chosen)
        results = [disabler.run(held.account) for held in begun.accounts]
        _print_results(results, options["form"])
    finally:
        fleet.close()
    if not all(result.complete for result in results):
        sys.exit(PARTIAL)


def show(settings: Settings, form: str) -> None:
    """`sidelight fleet accounts list`: its options are in account_commands.py."""
    with opened_store(settings) as store:
        service = _service(store, settings)
        held = service.effective(service.known_accounts())
        if form == "json":
            write_json(dumps(_listed(store, held)))
            return
        _table(store, held)


def _listed(
    store: Store, held: Sequence[EffectiveConfiguration]
) -> list[fleet_documents.ListedAccountDocument]:
    unreached = unreached_by_account(store)
    return [
        {
            **account_document(item),
            "unreached": [unreached_document(one) for one in unreached.get(item.account, ())],
        }
        for item in held
    ]


def delegate(settings: Settings, **options: Any) -> None:
    """`sidelight fleet accounts delegate`: its options are in account_commands.py."""
    with opened_store(settings, create=True) as store:
        written = _service(store, settings).configure_organization(
            options["organization"],
            administrator=options["administrator"],
            auto_enable=options["auto_enable"],
            package_paths=_paths(options["paths"], no_paths=options["no_paths"]),
        )
    joining = "enabled" if written.auto_enable else "not enabled"
    say(
        f"{written.id}: administrator {written.administrator}; accounts that join are {joining}; "
        f"{counted(len(written.package_paths), 'custom path')}"
    )


def release(settings: Settings, organization: str) -> None:
    """`sidelight fleet accounts release`: its options are in account_commands.py."""
    with opened_store(settings) as store:
        service = _service(store, settings)
        service.remove_organization(organization)
    say(f"{organization}: not configured any more")


def _service(store: Store, settings: Settings) -> ConfigurationService:
    return ConfigurationService(
        store,
        agent_based=settings.agents.agent_based,
        organization_paths=settings.agents.organization_paths,
    )


def _creates(store: Store, held: Sequence[EffectiveConfiguration], settings: Settings) -> list[str]:
    """Return the resources that agents would need in the Regions with known instances."""
    if not settings.agents.agent_based:
        return []
    from dispatcher.on_demand import in_process

    fleet = in_process(settings)
    names: list[str] = []
    try:
        for item in held:
            for region in store.instances.regions(item.account):
                place = AccountRegion(item.account, region)
                if fleet.agents is not None:
                    planned = fleet.agents.planned(place, item)
                    names += [f"{item.account}/{region}: {name}" for name in planned]
    finally:
        fleet.close()
    return names


def _change(options: dict[str, Any]) -> ConfigurationChange:
    change = ConfigurationChange(
        mode=Ec2ScanMode(options["mode"]) if options["mode"] else None,
        deep_inspection=options["deep_inspection"],
        exclusion_tag=options["exclusion_tag"],
        package_paths=_paths(options["paths"], no_paths=options["no_paths"]),
    )
    change.check()
    return change


def _paths(paths: tuple[str, ...], *, no_paths: bool) -> tuple[str, ...] | None:
    if paths and no_paths:
        raise UsageError("give --path or --no-paths, not both")
    return () if no_paths else paths or None


def _chosen(service: ConfigurationService, options: dict[str, Any]) -> list[str]:
    if bool(options["accounts"]) == bool(options["organization"]):
        raise UsageError("name accounts, or an organization with --organization")
    if options["organization"]:
        return service.members(options["organization"])
    return list(options["accounts"])


def _would_set(
    held: Sequence[EffectiveConfiguration],
    change: ConfigurationChange,
    form: str,
    what: str,
    creates: Sequence[str],
) -> None:
    from sidelight.fleet.agents.deep_inspection.resources import NAMES as INVOCATIONS
    from sidelight.fleet.agents.deep_inspection.resources import NOT_NEEDED

    present = [account_document(item) for item in held]
    settings = {name: value for name, value in asdict(change).items() if value is not None}
    if form == "json":
        document: fleet_documents.ConfigurationPlanDocument
        document = {"accounts": present, "sets": sorted(settings), "creates": list(creates)}
        write_json(dumps(document))
        return
    for account in present:
        changes = ", ".join(f"{name} {value}" for name, value in settings.items())
        say(f"{account['account']} is {account['status']}, and would be {what}"
            f"{': ' if changes else ''}{changes}")  # fmt: skip
    for name in creates:
        say(f"  would be created: {name}")
    if any(name.endswith(INVOCATIONS) for name in creates):
        say(f"  not needed, and not created: {', '.join(NOT_NEEDED)}")
    count = counted(len(creates), "resource")
    say(f"{count} would be created in these accounts; nothing was changed")


def _print(done: ConfiguredAccounts, form: str) -> None:
    if form == "json":
        document = {
            "accounts": [account_document(held) for held in done.accounts],
            "failed": [asdict(item) for item in done.failed],
        }
        write_json(dumps(document))
    else:
        for held in done.accounts:
            say(f"{held.account}: {held.status}, mode {held.mode}")
        for item in done.failed:
            complain(f"sidelight: {item.account}: {item.message} ({item.code})")
    if done.failed:
        sys.exit(PARTIAL if done.accounts else FAILED)


def _print_plans(plans: Sequence[DisablePlan], form: str) -> None:
    if form == "json":
        write_json(dumps([asdict(plan) for plan in plans]))
        return
    for plan in plans:
        say(f"{plan.account}: {counted(len(plan.scans), 'running scan')} would end, "
            f"{counted(len(plan.snapshots), 'snapshot')} and "
            f"{counted(len(plan.resources), 'resource')} would be removed; "
            f"{counted(plan.instances, 'instance')}")  # fmt: skip
        for name in (*plan.snapshots, *plan.resources):
            say(f"  {name}")
    say("nothing was changed")


def _print_results(results: Sequence[DisableResult], form: str) -> None:
    if form == "json":
        write_json(dumps([asdict(result) for result in results]))
        return
    for result in results:
        state = "disabled" if result.complete else "not disabled yet"
        say(f"{result.account}: {state}; {counted(result.ended, 'scan')} ended, "
            f"{counted(len(result.deleted), 'snapshot')} deleted, "
            f"{len(result.left)} left")  # fmt: skip
        for why in result.failures:
            complain(f"sidelight: {result.account}: {why}")


def _table(store: Store, held: Sequence[EffectiveConfiguration]) -> None:
    counts = store.instances.counts()
    rows = Table(
        "Account", "Status", "Mode", Column("Deep inspection", rank=2),
        Column("Exclusion tag", rank=4), Column("Instances", right=True),
        Column("Inherited", rank=3), Column("Paths", rank=5, prose=True),
    )  # fmt: skip
    for item in held:
        rows.add_row(
            item.account, item.status, item.mode, "on" if item.deep_inspection else "off",
            item.exclusion_tag, str(counts.get(item.account, 0)),
            ", ".join(sorted(name.replace("_", " ") for name in item.inherited)),
            ", ".join(item.package_paths),
        )  # fmt: skip
    shown = Report(sys.stdout)
    shown.table(rows)
    for organization in store.configurations.organizations():
        joining = "are enabled" if organization.auto_enable else "are not enabled"
        shown.line(
            f"{organization.id}: administrator {organization.administrator}; accounts that join "
            f"{joining}"
        )
    for one in unreached_accounts(store):
        why = f"{one.target.reason} since {one.target.since:%Y-%m-%d %H:%M}: {one.target.detail}"
        shown.line(f"{one.what}: could not be listed, {why}")
        shown.line(f"  {one.remedy}")
