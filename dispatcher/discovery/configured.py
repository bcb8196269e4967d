"""The effective configurations of a fleet's accounts, from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.planning.configuration_rules import resolve_all
from dispatcher.planning.eligibility import EXCLUSION_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import EffectiveConfiguration
    from sidelight.store import Store


def effective(
    store: Store, accounts: Iterable[str], *, default_tag: str = EXCLUSION_TAG
) -> dict[str, EffectiveConfiguration]:
    """Return the present effective configuration of each of these accounts. Raises StoreError."""
    return resolve_all(
        accounts,
        store.configurations.accounts(),
        store.configurations.organizations(),
        default_tag=default_tag,
    )
