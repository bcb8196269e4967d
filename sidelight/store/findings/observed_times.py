"""When findings were last observed: by themselves, or with the inventory that they follow."""

from __future__ import annotations

from typing import Final

from sqlalchemy import case, func, select, text

from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import findings, inventories

OF_INVENTORY: Final = same_instance(inventories, findings)
_WITH_INVENTORY: Final = (
    select(inventories.c.observed_at).where(OF_INVENTORY).correlate(findings).scalar_subquery()
)
LAST_OBSERVED: Final = case(
    (findings.c.follows, func.coalesce(_WITH_INVENTORY, findings.c.last_observed)),
    else_=findings.c.last_observed,
)
# As in the index of those that do not follow an inventory.
OWN: Final = text("NOT findings.follows")
