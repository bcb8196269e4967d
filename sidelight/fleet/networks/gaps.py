"""The parts of networks that an evaluation could not read, and the findings of them. PURE.

A finding that is not found again is closed only if every answer that its path depends on was read:
what could not be read closes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.reachability.answers.stems import STEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidelight.model import NetworkFinding, Problem

# Without one of these there is no network to evaluate: every finding stays as it is.
REQUIRED: Final = (
    "Vpcs", "Subnets", "RouteTables", "NetworkAcls", "SecurityGroups", "NetworkInterfaces",
    "Reservations", "InternetGateways",
)  # fmt: skip
# What the model knows nothing about, now and when a finding was opened: it keeps none open.
UNMODELLED: Final = "not modelled"
PEERS: Final = "answers of peers"  # of other account-regions of the fleet
_LOAD_BALANCING: Final = frozenset(
    name for name, stem in STEMS.items() if stem.service in ("elb", "elbv2")
)
_PEERING: Final = frozenset({"VpcPeeringConnections", PEERS})
_ON_PREMISES: Final = frozenset(
    {"VpnGateways", "VpnConnections", "CustomerGateways"}
    | {name for name, stem in STEMS.items() if stem.service == "directconnect"}
)
_TRANSIT: Final = frozenset(name for name in STEMS if name.startswith("TransitGateway"))
_PRIVATE_LINK: Final = frozenset({"VpcEndpointServiceConfigurations"})
# What the paths of one kind of edge depend on; all else concerns every path.
_OF_EDGES: Final[Mapping[str, frozenset[str]]] = {
    "VPC_PEERING": _PEERING,
    "VIRTUAL_GATEWAY": _ON_PREMISES,
    "DIRECT_CONNECT": _ON_PREMISES | _TRANSIT,
    "TRANSIT_GATEWAY": _TRANSIT | _ON_PREMISES | _PEERING,
    "PRIVATE_LINK": _PRIVATE_LINK | _LOAD_BALANCING,
}
_OF_SOME: Final = frozenset().union(*_OF_EDGES.values()) | _LOAD_BALANCING
_BALANCERS: Final = "AWS::ElasticLoadBalancing"
_SUBNET: Final = "AWS::EC2::Subnet"


class MissingAnswer(NamedTuple):
    """An answer that is missing. `vpc` is empty where it concerns every VPC."""

    stem: str
    vpc: str = ""


def gaps_of(
    collected: Mapping[str, Sequence[object]],
    partial: Iterable[tuple[str, str]],
    problems: Iterable[Problem],
) -> frozenset[MissingAnswer]:
    """Return the gaps of an account-region's answers.

    `partial` are (stem, object) of calls about one object that were refused; `problems` are the
    model's, whose coordinates are a stem or an object.
    """
    vpcs = _vpcs(collected)
    found = {MissingAnswer(stem) for stem in STEMS if stem not in collected}
    found |= {MissingAnswer(stem, vpcs.get(_balancer(identity), "")) for stem, identity in partial}
    for problem in problems:
        name = problem.where.rpartition("/")[2]
        if problem.what.startswith("not accounted for:"):
            found.add(MissingAnswer(UNMODELLED, vpcs.get(problem.where, "")))
        elif problem.where in vpcs:
            stem = "LoadBalancers" if ":loadbalancer/" in problem.where else "Subnets"
            found.add(MissingAnswer(stem, vpcs[problem.where]))
        elif name in STEMS:
            found.add(MissingAnswer(name))
        elif problem.where.startswith("tgw-rtb-"):
            found.add(MissingAnswer("TransitGatewayRouteTables"))
        elif ":loadbalancer/" in problem.where or ":targetgroup/" in problem.where:
            found.add(MissingAnswer("LoadBalancers"))
        else:
            found.add(MissingAnswer("Vpcs"))  # it may concern every path
    return frozenset(found)


def missing_required(gaps: Iterable[MissingAnswer]) -> list[str]:
    """Return the required answers that are missing everywhere."""
    missing = {gap.stem for gap in gaps if not gap.vpc}
    return [stem for stem in REQUIRED if stem in missing]


def closes_by(
    gaps: frozenset[MissingAnswer], collected: Mapping[str, Sequence[object]]
) -> Callable[[NetworkFinding], bool]:
    """Return the function that says whether all that a finding depends on was read."""
    missing = [gap for gap in gaps if gap.stem != UNMODELLED]
    if not missing:
        return lambda _: True
    vpcs = _vpcs(collected)

    def closes(finding: NetworkFinding) -> bool:
        own = {vpcs.get(step.id, "") for step in finding.full_path if step.type == _SUBNET}
        return not any(
            gap.stem in _needs(finding) or gap.stem not in _OF_SOME
            for gap in missing
            if not gap.vpc or not own or "" in own or gap.vpc in own
        )

    return closes


def concerns(gaps: frozenset[MissingAnswer], vpc: str) -> bool:
    """Whether a gap may hide a finding of an instance in this VPC."""
    return any(gap.vpc in ("", vpc) for gap in gaps)


def _needs(finding: NetworkFinding) -> frozenset[str]:
    needed = _OF_EDGES.get(finding.edge_kind, frozenset())
    if any(step.type.startswith(_BALANCERS) for step in finding.steps):
        needed |= _LOAD_BALANCING
    return needed


def _balancer(identity: str) -> str:
    """Return the load balancer's ARN of a listener's; another id stays."""
    before, listener, rest = identity.partition(":listener/")
    return f"{before}:loadbalancer/{rest.rpartition('/')[0]}" if listener else identity


_OWNERS: Final = (
    ("Subnets", "SubnetId"), ("LoadBalancers", "LoadBalancerArn"),
    ("TargetGroups", "TargetGroupArn"), ("RouteTables", "RouteTableId"),
)  # fmt: skip


def _vpcs(collected: Mapping[str, Sequence[object]]) -> dict[str, str]:
    """Return the VPC of each subnet, route table, load balancer and target group, by id."""
    found = {}
    for stem, key in _OWNERS:
        for item in collected.get(stem, ()):
            if isinstance(item, dict):
                identity, vpc = item.get(key), item.get("VpcId")
                if isinstance(identity, str) and isinstance(vpc, str):
                    found[identity] = vpc
    return found
