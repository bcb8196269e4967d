"""Switch scanning of an account off: end its scans, and remove all that was created in it.

The account's status says how far it is: PENDING_DISABLE until nothing is left, then DISABLED. Each
run does what is still to do, so that it may be interrupted and repeated at any point. Snapshots are
deleted by their scan's last stage and by the sweep only, which prove that they are ours. The sweep
goes on in disabled accounts: a call in flight may still have created a snapshot.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.planning.configuration_rules import disabled
from sidelight.errors import SidelightError
from sidelight.model import AccountStatus
from sidelight.model.coverage_reasons import PENDING_DISABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dispatcher.services.created_resources import CreatedResourceRemover
    from dispatcher.sweeper import Sweeper
    from sidelight.store import Store

log = logging.getLogger(__name__)
REASON = PENDING_DISABLE
WHY = "scanning of the account was disabled"


@dataclass(frozen=True, slots=True)
class DisablePlan:
    """The objects that a disabling removes: live scans, snapshots, and resources by region."""

    account: str
    scans: tuple[str, ...]
    snapshots: tuple[str, ...]
    resources: tuple[str, ...]
    instances: int


@dataclass(frozen=True, slots=True)
class DisableResult:
    """The result of a run. `left` are snapshots that are still there, `failures` say why.

    `complete`: nothing is left, and the account is disabled.
    """

    account: str
    ended: int
    deleted: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]
    failures: tuple[str, ...]
    complete: bool


class AccountDisabler:
    """Disables accounts that are PENDING_DISABLE."""

    def __init__(
        self,
        store: Store,
        sweeper: Sweeper,
        resources: CreatedResourceRemover,
        delete: Callable[[str], object] | None = None,
    ) -> None:
        """`delete` runs the last stage of a scan by id; without it the workers do."""
        self._store = store
        self._sweeper = sweeper
        self._resources = resources
        self._delete = delete

    def pending(self) -> list[str]:
        """Return the accounts whose disabling has not ended.

        Also those that are disabled, and in which work that had begun before created something
        after the removal: it was recorded then.
        """
        recorded = self._store.created_resources.accounts()
        return [
            row.account
            for row in self._store.configurations.accounts()
            if row.status is AccountStatus.PENDING_DISABLE
            or (row.status is AccountStatus.DISABLED and row.account in recorded)
        ]

    def plan(self, account: str) -> DisablePlan:
        """Return what `run` would remove, without a change. Raises CloudError."""
        resources = []
        for account_region in self._places(account):
            resources += [
                f"{account_region.region}: {name}"
                for name in self._resources.present(account_region)
            ]
        return DisablePlan(
            account,
            tuple(self._store.account_scans.live(account)),
            tuple(self._store.account_scans.undeleted(account)),
            tuple(resources),
            self._store.instances.counts([account]).get(account, 0),
        )

    def run(self, account: str) -> DisableResult:
        """End the scans and remove the resources. Raises StoreError; refusals are in the result.

        Nothing is done in an account that was enabled again meanwhile.
        """
        held = self._store.configurations.account(account)
        if held is None or held.status is AccountStatus.ENABLED:
            return DisableResult(account, 0, (), (), (), ("is enabled",), complete=False)
        scans = self._store.account_scans
        before = set(scans.undeleted(account))
        ended = scans.end(account, WHY, REASON)
        self._cover(account)
        if self._delete is not None:
            for scan_id in scans.live(account):
                self._delete(scan_id)
        removed: list[str] = []
        failures: list[str] = []
        swept: set[str] = set()
        for account_region in self._places(account):
            try:
                result = self._sweeper.sweep(account_region)
                swept |= set(result.deleted)
                failures += [f"{name} could not be deleted" for name in result.failed]
            except SidelightError as error:
                log.warning("disabling %s: %s", account, error)
                failures.append(str(error))
            try:
                removed += [
                    f"{account_region.region}: {name}"
                    for name in self._resources.remove(account_region)
                ]
            except SidelightError as error:
                log.warning("disabling %s: %s", account, error)
                failures.append(str(error))
        left = set(scans.undeleted(account))
        live = scans.live(account)
        complete = not live and not left and not failures
        if complete:
            self._store.instances.uncover_account(account)
            self._store.configurations.change(account, disabled)
        else:
            self._cover(account)
        return DisableResult(
            account, ended, tuple(sorted((before - left) | swept)), tuple(removed),
            tuple(sorted(left)), tuple(failures), complete,
        )  # fmt: skip

    def _places(self, account: str) -> Sequence[AccountRegion]:
        """Return the account's regions in which something may have been created."""
        instances, scans = self._store.instances, self._store.account_scans
        regions = {*instances.regions(account), *scans.regions(account)}
        regions |= self._resources.regions(account)
        return [AccountRegion(account, region) for region in sorted(regions)]

    def _cover(self, account: str) -> None:
        """Write PENDING_DISABLE to all coverage of the account."""
        rows = [
            replace(row, status_code="INACTIVE", reason=REASON, detail=WHY, scanned_at=None)
            for row in self._store.instances.coverage(None)
            if row.account == account and row.reason != REASON
        ]
        if rows:
            self._store.instances.cover(rows)
