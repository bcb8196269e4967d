"""State Manager's calls of one round: each list is requested once, and again after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.aws.ssm.associations import (
        AssociationDetails,
        AssociationInfo,
        AssociationSpec,
        DataSyncInfo,
        StateManager,
    )


class ListedOnce:
    """A StateManager that caches lists until one of its own calls changes them."""

    def __init__(self, calls: StateManager) -> None:
        self._calls = calls
        self._associations: list[AssociationInfo] | None = None
        self._syncs: list[DataSyncInfo] | None = None

    def associations(self) -> list[AssociationInfo]:
        """Return all associations."""
        if self._associations is None:
            self._associations = self._calls.associations()
        return self._associations

    def data_syncs(self) -> list[DataSyncInfo]:
        """Return all data syncs."""
        if self._syncs is None:
            self._syncs = self._calls.data_syncs()
        return self._syncs

    def create(self, spec: AssociationSpec) -> str:
        """Create an association; return its id."""
        self._associations = None
        return self._calls.create(spec)

    def update(self, association_id: str, spec: AssociationSpec) -> None:
        """Change an association."""
        self._associations = None
        self._calls.update(association_id, spec)

    def details(self, association_id: str) -> AssociationDetails:
        """Return an association's details, which the list does not show."""
        return self._calls.details(association_id)

    def parameters(self, association_id: str) -> Mapping[str, Sequence[str]]:
        """Return an association's parameters."""
        return self._calls.parameters(association_id)

    def delete(self, association_id: str) -> None:
        """Delete an association."""
        self._associations = None
        self._calls.delete(association_id)

    def create_data_sync(self, name: str, bucket: str, bucket_region: str, prefix: str) -> bool:
        """Create a data sync; False where the account's quota of them is full."""
        self._syncs = None
        return self._calls.create_data_sync(name, bucket, bucket_region, prefix)

    def delete_data_sync(self, name: str) -> None:
        """Delete a data sync."""
        self._syncs = None
        self._calls.delete_data_sync(name)
