"""The port to Systems Manager: the resources of agents in an account-region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from sidelight.model import EffectiveConfiguration, ManagedInstance


class AgentResources(Protocol):
    """Systems Manager's instances, and the resources that collect their inventories.

    Each method raises AccessDeniedError or CloudError.
    """

    def managed(self, account_region: AccountRegion) -> Mapping[str, ManagedInstance]:
        """Return the instances that Systems Manager lists, by id."""

    def planned(
        self, account_region: AccountRegion, wanted: EffectiveConfiguration
    ) -> Sequence[str]:
        """Return the names of the resources that `ensure` would create."""

    def ensure(
        self, account_region: AccountRegion, wanted: EffectiveConfiguration
    ) -> Sequence[str]:
        """Create what is missing; return its names."""

    def present(self, account_region: AccountRegion) -> Sequence[str]:
        """Return the names of the resources that `remove` would remove."""

    def remove(self, account_region: AccountRegion) -> Sequence[str]:
        """Remove everything that `ensure` created, where it is proven ours; return its names."""
