"""Route tables as partitions of the address space: which route each destination takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.reachability.addresses import intervals
from sidelight.reachability.addresses.prefixes import ALL, LongestPrefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.reachability.addresses.intervals import Intervals
    from sidelight.reachability.addresses.prefixes import Prefix
    from sidelight.reachability.components.records import RouteRecord
    from sidelight.reachability.graph.topology import Topology

_LOCAL = 0  # ranks, see `reading_filters`
_PROPAGATED = 3


class Routing:
    """The routes of each table by destination.

    The longest prefix wins; of equal ones the local, then the static, then one of a prefix list,
    then the propagated one. A propagated route within a local route's block is never used
    [VPC user guide, "Route priority"].
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._tables: dict[tuple[str, int], LongestPrefix[RouteRecord]] = {}

    def table(self, name: str, family: int) -> LongestPrefix[RouteRecord]:
        """The routes of a table; none of an unknown one."""
        found = self._tables.get((name, family))
        if found is None:
            blocks = sorted(
                self._blocks(name, family),
                key=lambda pair: (pair[1].rank, pair[1].id, pair[1].target, pair[0]),
            )
            found = self._tables[name, family] = LongestPrefix(blocks)
        return found

    def _blocks(self, name: str, family: int) -> Iterator[tuple[Prefix, RouteRecord]]:
        record = self._topology.tables.get(name)
        if record is None:
            return
        local = [
            route.block
            for route in record.routes
            if route.rank == _LOCAL and route.block is not None and route.block.family == family
        ]
        for route in record.routes:
            blocks = (
                (route.block,)
                if route.block is not None
                else self._topology.prefix_lists.get(route.prefix_list, ())
            )
            for block in blocks:
                if block.family != family:
                    continue
                if route.rank == _PROPAGATED and any(
                    own.first <= block.first and block.last <= own.last for own in local
                ):
                    continue
                yield block, route

    def notes(self, name: str) -> tuple[str, ...]:
        """Notes on the parts of a table that the model does not know."""
        record = self._topology.tables.get(name)
        if record is None:
            shown = name or "(none is known)"
            return (f"not accounted for: route table {shown}, which is not in the answers",)
        topology = self._topology
        unknown = [
            f"not accounted for: prefix list {route.prefix_list} of {name}"
            for route in record.routes
            if route.prefix_list and route.prefix_list not in topology.prefix_lists
        ]
        cut = [
            f"not accounted for: the last entries of {route.prefix_list}"
            for route in record.routes
            if route.prefix_list in topology.cut_lists
        ]
        return (*unknown, *cut)


def everything_but(family: int, excluded: Intervals) -> Intervals:
    """All addresses of a family but some."""
    return intervals.difference(ALL[family], excluded)
