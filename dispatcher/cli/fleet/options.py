"""The options that the fleet's commands share, and their store."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sidelight.report.output import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dispatcher.cli.option_values import FleetValues, PlaceValues
    from dispatcher.discovery.accounts import ScanScope
    from dispatcher.planning.eligibility import Configuration
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

EXCLUSION_TAG = "InspectorEc2Exclusion"  # as dispatcher.planning.eligibility


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --format."""
    return click.option(
        "--format", "form", type=click.Choice(["table", "json"]), default="table",
        show_default=True, help="Output format.",
    )(command)  # fmt: skip


def account_region_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select accounts and regions."""
    for option in (
        click.option("--all-regions", is_flag=True, help="Every region enabled in each account."),
        click.option("--ou", "units", multiple=True, metavar="OU",
                     help="Every active account in and below an organizational unit. Repeatable."),
        click.option("--organization", is_flag=True,
                     help="Every active account of the organization."),
        click.option("--region", "regions", multiple=True,
                     help="AWS region. Repeatable.  [default: AWS_REGION]"),
        click.option("--account", "accounts", multiple=True,
                     help="Account id. Repeatable.  [default: the caller's]"),
    ):  # fmt: skip
        command = option(command)
    return command


def eligibility_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of eligibility."""
    for option in (
        click.option("--running-only", is_flag=True, help="Do not scan stopped instances."),
        click.option("--max-gib", type=click.IntRange(0), default=0, show_default=True,
                     help="Do not scan instances with more GiB of volumes; 0: no limit."),
        click.option("--max-volumes", type=click.IntRange(0), default=0, show_default=True,
                     help="Do not scan instances with more volumes; 0: no limit."),
        click.option("--exclusion-tag", default=EXCLUSION_TAG, show_default=True,
                     metavar="KEY", help="Do not scan instances with this tag, or with volumes"
                     " under a KMS key that has it."),
    ):  # fmt: skip
        command = option(command)
    return command


def configuration_of(given: FleetValues) -> Configuration:
    """Return the eligibility rules of these options."""
    from dispatcher.planning.eligibility import Configuration

    configuration = Configuration(
        exclusion_tag=given["exclusion_tag"],
        most_volumes=given["max_volumes"],
        most_gib=given["max_gib"],
    )
    if given["running_only"]:
        configuration = replace(configuration, states=frozenset({"running"}))
    return configuration


def wanted_of(given: PlaceValues) -> ScanScope:
    """Return the accounts and regions of these options."""
    from dispatcher.discovery.accounts import ScanScope

    return ScanScope(
        accounts=given["accounts"],
        regions=given["regions"],
        organization=given["organization"],
        units=given["units"],
        all_regions=given["all_regions"],
    )


@contextmanager
def opened_store(
    settings: Settings, *, create: bool = False, hint: str = "; the first scan creates it"
) -> Iterator[Store]:
    """Yield the store of the settings, with migrated tables.

    A missing store knows nothing of a fleet, which must not look like "no findings". Raises
    StoreError for it unless `create`, ending with `hint`, and UsageError for an invalid store URL.
    """
    from sidelight.store import Store

    with Store(settings.store.url) as store:
        if not create:
            store.require(hint)
        store.migrate()
        yield store


def report_no_instance(store: Store) -> None:
    """Report a store without instances on standard error: it must not look like "all clean"."""
    if not (store.scans.counts() or store.instances.coverage() or store.instances.known()):
        complain(
            f"sidelight: {store.where} has no instance yet: `sidelight fleet scan` discovers them"
        )
