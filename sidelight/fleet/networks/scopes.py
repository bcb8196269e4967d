"""Which VPCs a change may have an influence on. PURE.

Two objects are joined if one describes the other: an interface and its subnet, a route table and
the peering that it routes to, a gateway and its attachments. A path lies among joined objects, so
that a change has no influence on the VPCs of others. Objects that all VPCs have in common without
a path between them (prefix lists, zones, Direct Connect gateways) join nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Place = tuple[str, str]
    PlaceAnswers = Mapping[Place, Mapping[str, Sequence[object]]]

# Objects that belong to VPCs, or carry packets between them.
_JOINING: Final = re.compile(
    r"(?:vpc|subnet|sg|acl|rtb|eni|igw|eigw|nat|vpce|pcx|tgw|tgw-attach|tgw-rtb|vgw|vpn|i)"
    r"-[0-9a-z]{1,40}\Z"
)
_BALANCING: Final = (":loadbalancer/", ":targetgroup/", ":listener/", ":firewall/")
_SERVICE: Final = ".vpce-svc-"  # in the name of an endpoint service
_DEEPEST: Final = 12  # levels of one described object


class NetworkScope(NamedTuple):
    """The VPCs to evaluate, by the account and Region whose answers have them."""

    vpcs: Mapping[Place, frozenset[str]]

    def of(self, account: str, region: str) -> frozenset[str]:
        """Return the VPCs of an account and Region."""
        return self.vpcs.get((account, region), frozenset())


def scope_of(answers: PlaceAnswers, ids: Iterable[str]) -> NetworkScope | None:
    """Return the VPCs that are joined with these objects.

    None for all: an object that is in no answer, as a deleted one, may have been anywhere.
    """
    joined = _Joined()
    owners: dict[str, set[Place]] = {}
    for place, lists in answers.items():
        for stem, items in lists.items():
            for item in items:
                names = list(ids_in(item))
                joined.join(names)
                if stem == "Vpcs" and isinstance(item, dict):
                    owners.setdefault(str(item.get("VpcId", "")), set()).add(place)
    wanted = set()
    for identity in ids:
        if identity not in joined:
            return None
        wanted.add(joined.root(identity))
    found: dict[Place, set[str]] = {}
    for vpc, places in owners.items():
        if vpc in joined and joined.root(vpc) in wanted:
            for place in places:
                found.setdefault(place, set()).add(vpc)
    return NetworkScope({key: frozenset(vpcs) for key, vpcs in found.items()}) if found else None


def ids_in(value: object, depth: int = _DEEPEST) -> Iterator[str]:
    """Yield the ids and ARNs of joining objects in a JSON value."""
    if isinstance(value, str):
        if _JOINING.match(value) or any(word in value for word in _BALANCING):
            yield value
        elif _SERVICE in value:
            yield value.rpartition(".")[2]
        elif value.startswith("vpce-svc-"):
            yield value
    elif depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from ids_in(item, depth - 1)


class _Joined:
    """Disjoint sets of ids."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._above

    def root(self, name: str) -> str:
        """Return the id that stands for a set; paths are halved on the way."""
        above = self._above
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    def join(self, names: Sequence[str]) -> None:
        """Make one set of these."""
        for name in names:
            self._above.setdefault(name, name)
        for name in names[1:]:
            self._above[self.root(name)] = self.root(names[0])
