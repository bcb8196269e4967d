"""What can be reached from outside: ports by edge and severity, and the path to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.charts import Bar, PathHop, horizontal_bars, network_path
from dispatcher.console.finding_rows import finding_reader, instance_link
from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.pages.finding import finding_of
from dispatcher.console.web_messages import MOST_PORT, WebError, whole_number
from sidelight.model import FindingStatus, NetworkFinding, Severity
from sidelight.store import FindingSearch, measures
from sidelight.suppression import parse

if TYPE_CHECKING:
    from dispatcher.console.page import PageAnswer, PageRequest
    from sidelight.model import FindingRow, Instance
    from sidelight.store import MeasureSums, NetworkTime

MOST_BARS: Final = 10
EDGES: Final = {
    "AWS::EC2::InternetGateway": "Internet gateway",
    "AWS::EC2::EgressOnlyInternetGateway": "Egress-only internet gateway",
    "AWS::EC2::VPNGateway": "VPN",
    "AWS::EC2::TransitGateway": "Transit gateway",
    "AWS::EC2::VPCPeeringConnection": "Peering connection",
    "AWS::EC2::NatGateway": "NAT gateway",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Load balancer",
}
COLUMNS: Final = (
    ListColumn("severity", "Severity", kind="severity", sort="severity"),
    ListColumn("port", "Port"),
    ListColumn("instance", "Instance", kind="id"),
    ListColumn("edge", "Edge"),
    ListColumn("sources", "From"),
    ListColumn("since", "Open since", kind="time", sort="since"),
    ListColumn("account", "Account", kind="id", narrow=True),
    ListColumn("region", "Region", narrow=True),
)
_GRADES: Final = tuple(grade.value for grade in Severity)
_SORTS: Final = {"severity": "SEVERITY", "since": "FIRST_OBSERVED_AT"}
_CRITERIA: Final = {
    "findingType": [{"comparison": "EQUALS", "value": "NETWORK_REACHABILITY"}],
    "findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}],
}


def network(request: PageRequest) -> PageAnswer:
    """List the open ports of the scope, and count them by port and edge."""
    accounts = request.scope.accounts
    listing = Listing(request, "Reachable ports", COLUMNS, sort="-severity")
    criteria: dict[str, object] = _CRITERIA | request.scope.criteria()
    port = whole_number(request.value("port"), MOST_PORT)
    if port is not None:
        criteria["portRange"] = [{"beginInclusive": port, "endInclusive": port}]
    elif request.value("port"):
        raise WebError(400, f"{request.value('port')[:60]!r} is not a port.")
    severity = request.one_of("severity", _GRADES)
    if severity:
        criteria["severity"] = [{"comparison": "EQUALS", "value": severity}]
    search = FindingSearch(
        parse(criteria), accounts, _SORTS.get(listing.sort, "SEVERITY"), listing.descending
    )
    read = finding_reader(request, search, _row)
    if listing.format:
        return listing.download(read, "reachable-ports")
    rows, position = read(listing.after, listing.size)
    sums = request.store.fleet_overview.sums(
        [measures.PORTS, measures.EXPOSED], accounts, region=request.scope.region
    )
    ports, evaluated = sums[measures.PORTS], evaluated_networks(request)
    data = {
        "list": listing.page(rows, position),
        "bars": horizontal_bars(_bars(request, ports), "Instances by reachable port"),
        "edges": horizontal_bars(_edges(ports), "Reachable ports by edge"),
        "counted_at": ports.counted_at,
        "has_ports": bool(ports.values),
        "chips": _chips(request, port, severity),
        "clear": request.here(port=None, severity=None),
        "evaluated": evaluated,
    }  # fmt: skip
    exposed = int(sums[measures.EXPOSED].total)
    fact = f"{exposed:,} instances are open to the internet and have critical or high findings."
    return TemplateAnswer("network.html", data, fact=fact if ports.counted_at and evaluated else "")


def evaluated_networks(request: PageRequest) -> list[NetworkTime]:
    """Return the account-regions of the scope whose network was evaluated."""
    accounts, region = request.scope.accounts, request.scope.region
    return [
        item for item in request.store.network_evaluations.times(accounts or ()).values()
        if item.evaluated_at is not None and (accounts is None or item.account in accounts)
        and (not region or item.region == region)
    ]  # fmt: skip


def path(request: PageRequest) -> PageAnswer:
    """Draw the path of one open port, hop by hop."""
    row = finding_of(request, request.segments["finding"])
    finding = row.finding
    if not isinstance(finding, NetworkFinding):
        raise WebError(404, "This finding is not an open port.")
    hops = path_hops(finding, row.instance)
    data = {
        "row": row,
        "finding": finding,
        "picture": network_path(hops, f"The path from {finding.edge_id} to {row.instance}"),
        "hops": hops,
        "is_closed": row.status is FindingStatus.CLOSED,
        "instance_link": instance_link(request, row.account, row.instance, "network"),
        "back": request.link("/network"),
        "what_if": request.link(
            "/network/what-if",
            instance=row.instance,
            owner=row.account,
            source="internet",
            port=finding.ports.partition("-")[0],
            protocol=finding.protocol.lower(),
            without=[hop.rule for hop in hops if hop.kind == "Security group" and hop.rule],
        ),
        "families": " and ".join(f"IPv{family}" for family in finding.families),
    }
    return TemplateAnswer(
        "network_path.html", data, title=f"{finding.protocol} {finding.ports} of {row.instance}",
        fact=finding.description,
    )  # fmt: skip


def path_hops(finding: NetworkFinding, instance: str) -> list[PathHop]:
    """Return the hops of a finding from the edge to its instance."""
    steps = finding.full_path or finding.steps
    hops = [
        PathHop(step.id, _kind(step.type), step.rule, edge=index == 0)
        for index, step in enumerate(steps)
    ]
    ports = f"{finding.protocol} {finding.ports}"
    return [*hops, PathHop(f"{instance}, {ports}", "Instance", target=True)]


def _kind(kind: str) -> str:
    """Return `Network acl` for `AWS::EC2::NetworkAcl`."""
    if kind in EDGES:
        return EDGES[kind]
    name = kind.rpartition("::")[2]
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip().capitalize()


def _row(request: PageRequest, row: FindingRow, instance: Instance | None) -> ListRow:
    finding = row.finding
    if not isinstance(finding, NetworkFinding):
        return ListRow({})
    sources = "Anywhere" if finding.anywhere else ", ".join(finding.sources[:3])
    cells = {
        "severity": finding.severity.value,
        "port": f"{finding.protocol} {finding.ports}",
        "instance": row.instance,
        "edge": finding.edge_id,
        "sources": sources,
        "since": row.first_observed,
        "account": row.account,
        "region": row.region,
    }
    return ListRow(
        cells,
        request.link(f"/network/{row.id}"),
        links={"instance": instance_link(request, row.account, row.instance)},
        notes={"instance": instance.name if instance is not None else "",
               "edge": finding.edge_kind.replace("-", " ").capitalize()},
    )  # fmt: skip


def _bars(request: PageRequest, ports: MeasureSums) -> list[Bar]:
    """Return instances by port, the most severe and then the most frequent first."""
    sums: dict[str, float] = {}
    worst: dict[str, Severity] = {}
    for item, value in ports.values.items():
        protocol, port, _, grade = _item(item)
        key = f"{protocol} {port}"
        sums[key] = sums.get(key, 0.0) + value
        if key not in worst or worst[key].rank < grade.rank:
            worst[key] = grade
    order = sorted(sums, key=lambda key: (-worst[key].rank, -sums[key], key))
    return [
        Bar(key, sums[key], request.here(port=key.split()[-1].partition("-")[0]),
            worst[key].value.capitalize(), worst[key].value.lower())
        for key in order[:MOST_BARS]
    ]  # fmt: skip


def _edges(ports: MeasureSums) -> list[Bar]:
    sums: dict[str, float] = {}
    for item, value in ports.values.items():
        edge = _kind(_item(item)[2])
        sums[edge] = sums.get(edge, 0.0) + value
    return [Bar(edge, sums[edge]) for edge in sorted(sums, key=lambda edge: -sums[edge])]


def _item(item: str) -> tuple[str, str, str, Severity]:
    """Split a measure's item: protocol, port, edge's type, severity."""
    parts = [*item.split(" "), "", "", "", ""]
    grade = parts[3]
    known = Severity(grade) if grade in _GRADES else Severity.UNTRIAGED
    return parts[0], parts[1], parts[2], known


def _chips(
    request: PageRequest, port: int | None, severity: str
) -> list[tuple[str, str, str, str]]:
    chips = []
    if port is not None:
        chips.append(("Port", "is", str(port), request.here(port=None)))
    if severity:
        chips.append(("Severity", "is", severity.capitalize(), request.here(severity=None)))
    return chips


PAGES = (
    ConsolePage("/network", "Network", network),
    ConsolePage("/network/{finding}", "Open port", path, section="/network"),
)
