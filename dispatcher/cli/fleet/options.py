"""The options that the fleet's commands share, and their store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sidelight.errors import UsageError
from sidelight.report.output import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dispatcher.cli.option_values import FleetValues, PlaceValues
    from dispatcher.discovery.accounts import ScanScope
    from dispatcher.planning.eligibility import Configuration
    from dispatcher.planning.selection import InstanceSelection
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
EXCLUSION_TAG = "InspectorEc2Exclusion"  # as dispatcher.planning.eligibility


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --format."""
    return click.option(
        "--format", "form", type=click.Choice(["table", "json"]), default="table",
        show_default=True, help="Output format.",
    )(command)  # fmt: skip


def account_region_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select accounts, regions and the AWS profile."""
    for option in (
        click.option("--profile", metavar="NAME", expose_value=False, callback=_use_profile,
                     help="AWS profile for all calls.  [default: AWS_PROFILE]"),
        click.option("--all-regions", is_flag=True, help="Every region enabled in each account."),
        click.option("--ou", "units", multiple=True, metavar="OU",
                     help="Every active account in and below an organizational unit. Repeatable."),
        click.option("--organization", is_flag=True,
                     help="Every active account of the organization."),
        click.option("--region", "regions", multiple=True, metavar="REGION",
                     help="AWS region. Repeatable.  [default: AWS_REGION]"),
        click.option("--account", "accounts", multiple=True, metavar="ID",
                     help="Account id. Repeatable.  [default: the caller's]"),
    ):  # fmt: skip
        command = option(command)
    return command


def _use_profile(context: click.Context, _: click.Parameter, profile: str | None) -> None:
    """Name the profile to AWS's clients in this process and in its workers, for this command.

    Keys in the environment would win over a profile that the environment names.
    """
    if profile is None:
        return
    before = {name: os.environ.pop(name, None) for name in (*_KEYS, "AWS_PROFILE")}
    os.environ["AWS_PROFILE"] = profile

    def restore() -> None:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    context.call_on_close(restore)


def eligibility_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of eligibility."""
    for option in (
        click.option("--running-only", is_flag=True, help="Do not scan stopped instances."),
        click.option("--max-gib", type=click.IntRange(0), default=0, show_default=True,
                     help="Do not scan instances with more GiB of volumes; 0: no limit."),
        click.option("--max-volumes", type=click.IntRange(0), default=0, show_default=True,
                     help="Do not scan instances with more volumes; 0: no limit."),
        click.option("--exclusion-tag", default=EXCLUSION_TAG, show_default=True,
                     metavar="KEY", help="Do not scan instances with a tag of this key: their own,"
                     " a volume's, or that of a volume's KMS key."),
    ):  # fmt: skip
        command = option(command)
    return command


def configuration_of(options: FleetValues) -> Configuration:
    """Return the eligibility rules of these options."""
    from dispatcher.planning.eligibility import Configuration

    configuration = Configuration(
        exclusion_tag=options["exclusion_tag"],
        most_volumes=options["max_volumes"],
        most_gib=options["max_gib"],
    )
    if options["running_only"]:
        configuration = replace(configuration, states=frozenset({"running"}))
    return configuration


def wanted_of(options: PlaceValues) -> ScanScope:
    """Return the accounts and regions of these options."""
    from dispatcher.discovery.accounts import ScanScope

    return ScanScope(
        accounts=options["accounts"],
        regions=options["regions"],
        organization=options["organization"],
        units=options["units"],
        all_regions=options["all_regions"],
    )


def selection_of(options: FleetValues) -> InstanceSelection:
    """Return the instances that these options select. Raises UsageError for a tag without "="."""
    from dispatcher.planning.selection import InstanceSelection

    pairs = [text.partition("=") for text in options["tags"]]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise UsageError(f"--tag takes KEY=VALUE, not {key!r}")
    return InstanceSelection(
        instances=frozenset(options["instances"]),
        tags=frozenset((key, value) for key, _, value in pairs),
        vpcs=frozenset(options["vpcs"]),
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
