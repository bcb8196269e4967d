"""The operations of the API: one module a family, one handler an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.operations import (
    accounts,
    aggregations,
    configuration,
    coverage,
    deep_inspection,
    encryption,
    filters,
    findings,
    members,
    on_demand,
    organization,
    reports,
    resource_tags,
    usage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.api.call import Handler

_FAMILIES = (
    accounts,
    aggregations,
    configuration,
    coverage,
    deep_inspection,
    encryption,
    filters,
    findings,
    members,
    on_demand,
    organization,
    reports,
    resource_tags,
    usage,
)

HANDLERS: Final[Mapping[str, Handler]] = {
    name: handler for family in _FAMILIES for name, handler in family.HANDLERS.items()
}
"""By the operation's name in the model, as "ListFindings"."""
