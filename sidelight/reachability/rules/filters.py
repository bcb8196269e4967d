"""The (address, port) sets that security groups and network ACLs permit, evaluated once.

The address is the peer's: the source of an ingress rule, the destination of an egress rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.reachability.addresses import port_maps
from sidelight.reachability.addresses.prefixes import ALL
from sidelight.reachability.components.records import ANY_PROTOCOL, INGRESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.reachability.addresses.port_maps import PortMap
    from sidelight.reachability.components.records import FilterRule
    from sidelight.reachability.graph.topology import Topology

CELL_LIMIT: Final = 200_000
"""Cells (port range times rule) of one filter that are worked out: half a second's work. AWS's
quotas allow 1,000 rules an interface: so many cells are 450 of them, each within the next."""


class Filters:
    """The permitted sets of security groups and network ACLs, by family and protocol number.

    `evaluations` counts the sets that were worked out rather than taken from the cache.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._acls: dict[tuple[str, str, int, int], PortMap] = {}
        self._groups: dict[tuple[tuple[str, ...], str, int, int, tuple[str, ...]], PortMap] = {}
        self._notes: dict[str, tuple[str, ...]] = {}
        self._in_full: set[str] = set()
        self.evaluations = 0

    def forget(self) -> None:
        """Free the cached sets."""
        self._acls.clear()
        self._groups.clear()

    def acl(self, acl: str, direction: str, family: int, protocol: int) -> PortMap:
        """The set that a network ACL permits in a direction; everything if the ACL is unknown."""
        key = (acl, direction, family, protocol)
        found = self._acls.get(key)
        if found is None:
            self.evaluations += 1
            record = self._topology.acls.get(acl)
            if record is None:
                found = port_maps.everything(ALL[family])
            else:
                boxes = _boxes(record.rules[direction], family, protocol)
                found = port_maps.first_match(self._affordable(acl, boxes))
            self._acls[key] = found
        return found

    def groups(
        self,
        groups: tuple[str, ...],
        direction: str,
        family: int,
        protocol: int,
        vpcs: tuple[str, ...] = (),
    ) -> PortMap:
        """The set that any of the security groups permits; nothing without a group.

        A rule that names a group means the private addresses of that group's interfaces in `vpcs`.
        """
        key = (groups, direction, family, protocol, vpcs)
        found = self._groups.get(key)
        if found is None:
            self.evaluations += 1
            if len(groups) == 1:
                found = self._group(groups[0], direction, family, protocol, vpcs)
            else:
                found = port_maps.union_all(
                    self.groups((group,), direction, family, protocol, vpcs) for group in groups
                )
            self._groups[key] = found
        return found

    def _group(
        self, group: str, direction: str, family: int, protocol: int, vpcs: tuple[str, ...]
    ) -> PortMap:
        record = self._topology.groups.get(group)
        if record is None:
            return port_maps.NOTHING
        boxes: list[port_maps.Box] = []
        for rule in record.rules[direction]:
            if rule.protocol not in (protocol, ANY_PROTOCOL):
                continue
            for first, last in self._peers(rule, family, vpcs):
                boxes.append(port_maps.Box(rule.first_port, rule.last_port, first, last))
        return port_maps.union_of(self._affordable(group, boxes))

    def _peers(
        self, rule: FilterRule, family: int, vpcs: tuple[str, ...]
    ) -> Iterable[tuple[int, int]]:
        if rule.block is not None:
            return [(rule.block.first, rule.block.last)] if rule.block.family == family else ()
        if rule.group:
            return self._topology.members(rule.group, vpcs, family)
        blocks = self._topology.prefix_lists.get(rule.prefix_list, ())
        return [(block.first, block.last) for block in blocks if block.family == family]

    def _affordable(self, name: str, boxes: Sequence[port_maps.Box]) -> Sequence[port_maps.Box]:
        """The boxes, or so many of the first that their cells stay under the limit."""
        if len(boxes) < 600 or port_maps.cost(boxes) <= CELL_LIMIT:
            return boxes
        self._in_full.add(name)
        kept = len(boxes)
        while kept > 1 and port_maps.cost(boxes[:kept]) > CELL_LIMIT:
            kept //= 2
        return boxes[:kept]

    def notes(self, name: str, direction: str = INGRESS) -> tuple[str, ...]:
        """Notes on the parts of a security group or network ACL that the model does not know."""
        key = f"{name}/{direction}"
        found = self._notes.get(key)
        if found is None:
            found = self._notes[key] = tuple(sorted(self._unknown(name, direction)))
        if name in self._in_full:
            found = (*found, f"not accounted for: the last of the too many rules of {name}")
        return found

    def _unknown(self, name: str, direction: str) -> Iterable[str]:
        topology = self._topology
        record = topology.groups.get(name) or topology.acls.get(name)
        if record is None:
            if name.startswith("sg-"):
                yield f"not accounted for: security group {name}, which is not in the answers"
            else:
                yield f"not accounted for: network ACL {name or 'of the subnet'}: no answer has it"
            return
        for rule in record.rules[direction]:
            if rule.prefix_list and rule.prefix_list not in topology.prefix_lists:
                yield f"not accounted for: prefix list {rule.prefix_list} of {name}"
            if rule.prefix_list in topology.cut_lists:
                yield f"not accounted for: the last entries of {rule.prefix_list}"
            if rule.group and rule.group not in topology.groups:
                yield f"not accounted for: members of {rule.group}, to which {name} refers"


def _boxes(rules: Iterable[FilterRule], family: int, protocol: int) -> list[port_maps.Box]:
    return [
        port_maps.Box(
            rule.first_port, rule.last_port, rule.block.first, rule.block.last, rule.allow
        )
        for rule in rules
        if rule.block is not None
        and rule.block.family == family
        and rule.protocol in (protocol, ANY_PROTOCOL)
    ]
