"""The resources that Sidelight created in an account: where they are, and their removal.

Where this deployment collects inventories now, Systems Manager is asked in every Region; else in
those where the store has a record of it, with the bucket of that time. Grants on keys are those
that only we may retire, under our own name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.discovery.discoverer import grant_name, own_principal
from sidelight.aws.kms import RetirableGrants
from sidelight.errors import SidelightError, StoreError
from sidelight.fleet.agents.associations_plan import SyncTarget
from sidelight.fleet.agents.ssm_resources import SsmResources
from sidelight.model import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.discovery.agents import AgentResources
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings
    from sidelight.model import CreatedResource
    from sidelight.store import Store


class CreatedResourceRemover:
    """Finds and removes the resources of accounts.

    `agents` is Systems Manager as this deployment uses it now; None if it does not.
    """

    def __init__(
        self,
        store: Store,
        session: Session,
        settings: Settings,
        deployment: str,
        agents: AgentResources | None,
    ) -> None:
        self._store = store
        self._session = session
        self._settings = settings
        self._grant = grant_name(deployment)
        self._agents = agents

    def regions(self, account: str) -> set[str]:
        """Return the Regions in which something may have been created. Raises StoreError."""
        return {one.region for one in self._store.created_resources.of(account)}

    def present(self, account_region: AccountRegion) -> list[str]:
        """Return the names of the created resources. Raises AccessDeniedError, CloudError."""
        names = [
            name
            for agents in self._managers(account_region)
            for name in agents.present(account_region)
        ]
        names += [f"grant {grant}" for _key, grant in self._grants(account_region)]
        return list(dict.fromkeys(names))

    def remove(self, account_region: AccountRegion) -> list[str]:
        """Remove all of it, and its record; return the names.

        Each part is tried, and the first failure is raised at the end (AccessDeniedError,
        CloudError). Raises StoreError.
        """
        removed: list[str] = []
        failures: list[SidelightError] = []

        def attempt(work: Callable[[], Sequence[str]], kind: ResourceKind) -> None:
            try:
                removed.extend(work())
            except StoreError:
                raise
            except SidelightError as error:
                failures.append(error)
            else:
                self._store.created_resources.forget(self._recorded(account_region, kind))

        def in_systems_manager() -> list[str]:
            managers = self._managers(account_region)
            # Twice where the bucket was another once: a data sync that leads elsewhere looks like
            # Amazon Inspector's own until it is gone.
            rounds = managers * 2 if len(managers) > 1 else managers
            return [name for agents in rounds for name in agents.remove(account_region)]

        attempt(in_systems_manager, ResourceKind.SYSTEMS_MANAGER)
        attempt(lambda: self._retire(account_region), ResourceKind.KMS_GRANT)
        if failures:
            raise failures[0]
        return removed

    def _managers(self, account_region: AccountRegion) -> list[AgentResources]:
        """Return Systems Manager's resources by each bucket that they were created for."""
        current = self._settings.agents.inventory_bucket
        recorded = self._recorded(account_region, ResourceKind.SYSTEMS_MANAGER)
        others = {one.name for one in recorded if self._agents is None or one.name != current}
        return [
            *([self._agents] if self._agents is not None else []),
            *(SsmResources(self._session, self._target(name)) for name in sorted(others)),
        ]

    def _target(self, bucket: str) -> SyncTarget:
        settings = self._settings.agents
        return SyncTarget(bucket, settings.inventory_region, settings.inventory_prefix)

    def _recorded(self, account_region: AccountRegion, kind: ResourceKind) -> list[CreatedResource]:
        return [
            one
            for one in self._store.created_resources.of(account_region.account)
            if (one.region, one.kind) == (account_region.region, kind)
        ]

    def _grants(self, account_region: AccountRegion) -> list[tuple[str, str]]:
        """Return (key, grant) of our grants; without a call where none was created."""
        if not self._recorded(account_region, ResourceKind.KMS_GRANT):
            return []
        principal = own_principal(self._settings, self._session)
        grants = RetirableGrants(self._session, account_region.region)
        return grants.of(principal, account_region.account, self._grant)

    def _retire(self, account_region: AccountRegion) -> list[str]:
        found = self._grants(account_region)
        for key, grant in found:
            RetirableGrants(self._session, account_region.region).retire(key, grant)
        return [f"grant {grant}" for _key, grant in found]
