"""The network model: describe answers in, paths and findings out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.errors import UsageError
from sidelight.reachability.addresses.port_maps import LAST_PORT
from sidelight.reachability.components.changes import replaced, without
from sidelight.reachability.components.component_types import INTERFACE
from sidelight.reachability.components.reading_filters import protocol_number
from sidelight.reachability.explain.explainer import Explainer
from sidelight.reachability.explain.questions import interfaces, sources, targets
from sidelight.reachability.findings.balanced_ports import BalancedPorts
from sidelight.reachability.findings.findings_builder import FindingsBuilder
from sidelight.reachability.findings.open_ports import OpenPorts
from sidelight.reachability.graph.load_balancers import LoadBalancers
from sidelight.reachability.graph.routing import Routing
from sidelight.reachability.graph.topology import Topology
from sidelight.reachability.results import Stop
from sidelight.reachability.rules.filters import Filters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sidelight.model.software import Problem
    from sidelight.reachability.answers.answers import Answers
    from sidelight.reachability.components.records import InterfaceRecord
    from sidelight.reachability.results import Explanation, ReachabilityFinding


class Network:
    """A network of one or more accounts and Regions, as AWS describes it. It never changes.

    `problems` has what could not be read, and what was not asked for or refused.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._topology = Topology(answers)
        self._filters = Filters(self._topology)
        self._routing = Routing(self._topology)
        self._open_ports = OpenPorts(self._topology, self._filters, self._routing)
        load_balancers = LoadBalancers(self._topology.collector, self._topology)
        self._balanced_ports = BalancedPorts(
            self._topology, self._filters, self._routing, self._open_ports, load_balancers
        )
        self._problems = frozenset(self._topology.collector.problems)

    @classmethod
    def from_answers(cls, answers: Answers) -> Network:
        """The network that describe answers show.

        Nothing is trusted: what is missing, malformed, circular or too much is a Problem.
        """
        return cls(answers)

    def without(self, ids: Iterable[str]) -> Network:
        """The network without some rules, or without whole objects.

        The ids are those of paths and stops: `sg-1/ingress/tcp/22-22/0.0.0.0/0`,
        `acl-1/egress/100`, `rtb-1/0.0.0.0/0`, `tgw-rtb-1/10.0.0.0/8`, `pcx-1`. Raises UsageError
        for an unknown one.
        """
        return Network(without(self._answers, ids))

    def with_changes(self, answers: Answers) -> Network:
        """The network with the objects of other answers added.

        An object replaces the one of the same id in the same account and Region; lists of objects
        without an id replace the whole list.
        """
        return Network(replaced(self._answers, answers))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The parts of answers that could not be read, with account, Region and object.

        Findings may add problems of networks with too many paths.
        """
        return tuple(sorted({*self._problems, *self._open_ports.admissions.problems}))

    def findings(self, vpcs: Collection[str] | None = None) -> Iterator[ReachabilityFinding]:
        """Each range of ports of each running instance that an edge of its VPC reaches.

        Of these VPCs' instances, or of all.
        """
        yield from FindingsBuilder(self._topology, self._open_ports, self._balanced_ports).findings(
            vpcs
        )

    @property
    def evaluations(self) -> Mapping[str, int]:
        """The evaluations so far: interface classes, walks, and filters."""
        return {
            "interfaces": self._open_ports.evaluations,
            "subnets": self._open_ports.admissions.evaluations,
            "filters": self._filters.evaluations,
        }

    def explain(
        self, source: str, target: str, protocol: str, port: int, *, family: int | None = None
    ) -> Explanation:
        """Whether and how a packet gets from a source to a target, or what stops it.

        `source` is `internet`, an IP address, or the id of an instance, network interface, subnet,
        VPC or virtual private gateway; `target` an instance, network interface or IP address.
        `protocol` is `tcp`, `udp`, `icmp`, `icmpv6` or a number, `port` the destination port (for
        ICMP the type); `family` 4 or 6, None for both. A target that only a load balancer reaches
        is reachable, at the target's own port. Raises UsageError for what does not exist.
        """
        number = protocol_number(protocol)
        if number is None or number < 0:
            raise UsageError("no such protocol", where=protocol)
        if not 0 <= port <= LAST_PORT:
            raise UsageError(f"a port is 0 to {LAST_PORT}", where=str(port))
        found = targets(self._topology, target, family)
        asking = sources(self._topology, source, found)
        explainer = Explainer(self._topology, self._filters, self._routing, self._balanced_ports)
        explanation = explainer.explain(asking, found, number, port)
        if not explanation.reachable:
            behind = interfaces(self._topology, target) or []
            by_balancer = explainer.through_load_balancers(asking, behind, number, port)
            return by_balancer or (
                explanation if explanation.hops else _without_address(explanation, source, behind)
            )
        return explanation


def _without_address(
    explanation: Explanation, source: str, interfaces: list[InterfaceRecord]
) -> Explanation:
    """The stop of packets for a target that has no address: its interface."""
    stop = Stop(interfaces[0].id, INTERFACE, None) if interfaces else None
    return replace(explanation, hops=(source,), stopped_by=stop)
