"""All checks in order: each group's are yielded as soon as they are done."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dispatcher.doctor.account_checks import (
    check_accounts,
    check_credentials,
    check_places,
    has_errors,
)
from dispatcher.doctor.broker_checks import check_broker
from dispatcher.doctor.hub_checks import check_hub
from dispatcher.doctor.local_checks import (
    check_advisories,
    check_disk,
    check_kernel,
    check_settings,
    check_store,
)
from dispatcher.doctor.results import fault, unchecked
from sidelight.errors import SidelightError, StoreError, UsageError
from sidelight.fleet.bootstrap import session_of
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dispatcher.discovery.accounts import ScanScope
    from dispatcher.doctor.results import Check
    from sidelight.fleet.settings import Settings

UNNAMED = "sidelight"  # a deployment whose store has no name yet


def examine(settings: Settings, scope: ScanScope, exclusion_tag: str) -> Iterator[Check]:
    """Yield every check. Nothing is changed in an account, and no store is created or migrated."""
    yield from check_settings(settings)
    yield from check_kernel(settings)
    yield from check_disk(settings)
    store: Store | None = None
    with suppress(UsageError):
        store = Store(settings.store.url)
    try:
        yield from check_store(settings, store)
        deployment = settings.snapshots.deployment or _deployment_of(store)
    finally:
        if store is not None:
            store.close()
    yield from check_advisories(settings)
    yield from check_broker(settings)
    yield from _examine_aws(settings, scope, deployment, exclusion_tag)


def _deployment_of(store: Store | None) -> str:
    """Return the name that the store has for its deployment, without making one."""
    with suppress(StoreError):
        if store is not None and not store.missing():
            return store.known_deployment() or UNNAMED
    return UNNAMED


def _examine_aws(
    settings: Settings, scope: ScanScope, deployment: str, exclusion_tag: str
) -> Iterator[Check]:
    try:
        session = session_of(settings)
    except SidelightError as error:
        yield fault("credentials", "configuration", str(error),
                    "correct the profile, the AWS configuration file or the Region")  # fmt: skip
        yield unchecked("permissions", "all", "there are no credentials to try them with")
        return
    region = scope.regions[0] if scope.regions else session.region
    checks = list(check_credentials(session, region))
    yield from checks
    if has_errors(checks):
        yield unchecked("permissions", "all", "AWS does not accept the credentials")
        return
    checks, places = check_accounts(session, scope)
    yield from checks
    yield from check_hub(session, settings, region)
    yield from check_places(session, settings, places, deployment, exclusion_tag)
