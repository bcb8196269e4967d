"""The instances that a command is asked to scan. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Instance


@dataclass(frozen=True, slots=True)
class InstanceSelection:
    """Instances by id, tag and VPC; an empty one selects all.

    An instance has to meet each kind that is not empty: be one of the ids, be in one of the VPCs,
    and have, of each tag key, one of its values.
    """

    instances: frozenset[str] = frozenset()
    tags: frozenset[tuple[str, str]] = frozenset()
    vpcs: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether it leaves any instance out."""
        return bool(self.instances or self.tags or self.vpcs)

    def includes(self, instance: Instance) -> bool:
        """Whether the instance is selected."""
        wanted_keys = {key for key, _ in self.tags}
        met_keys = {key for key, value in instance.tags if (key, value) in self.tags}
        return (
            (not self.instances or instance.id in self.instances)
            and (not self.vpcs or instance.vpc_id in self.vpcs)
            and wanted_keys == met_keys
        )


EVERYTHING: Final = InstanceSelection()


def of_instances(ids: Iterable[str]) -> InstanceSelection:
    """Return the selection of these instances; without any, of all."""
    return InstanceSelection(instances=frozenset(ids))
