"""Network, what if: whether a port of an instance is reachable, and would be after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.charts import PathHop, network_path
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.web_messages import MOST_PORT, WebError, whole_number
from dispatcher.services.network_questions import (
    INTERNET,
    MOST_REMOVED,
    PROTOCOLS,
    AddedRule,
    NetworkQuestion,
    StoredNetwork,
)
from sidelight.errors import UsageError
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from dispatcher.console.page import PageRequest
    from sidelight.reachability import Explanation

_LONGEST: Final = 200  # characters of a field
_SHOWN: Final = 300  # rules to choose from
_KINDS: Final = {
    "acl": "Network ACL",
    "aws-backbone": "AWS's network",
    "eigw": "Egress-only internet gateway",
    "eni": "Network interface",
    "i": "Instance",
    "igw": "Internet gateway",
    "internet": "Edge",
    "nat": "NAT gateway",
    "on-prem": "Network on premises",
    "pcx": "Peering connection",
    "rtb": "Route table",
    "sg": "Security group",
    "subnet": "Subnet",
    "tgw": "Transit gateway",
    "vgw": "VPN gateway",
    "vpc": "VPC",
    "vpce": "VPC endpoint",
}
_FIELDS: Final = ("owner", "port", "protocol", "source", "group", "opened", "from_block")
_VERDICTS: Final = {
    "ACCEPTED": "It arrives, and the answer gets back.",
    "DENIED_IN": "Refused on its way in.",
    "DENIED_OUT": "Refused on its way out of the sender.",
    "NO_ROUTE": "A route table on the way has no route.",
    "NULL_ROUTED": "The route leads nowhere.",
    "NEIGHBOR_UNREACHABLE": "No interface of the subnet has the address.",
    "EXITS_NETWORK": "It leaves what is known of the network.",
}


def what_if(request: PageRequest) -> TemplateAnswer:
    """Show the form, and the answer where an instance is asked about."""
    number = request.value("instance")[:_LONGEST].strip()
    for name in _FIELDS:
        request.value(name)  # the form's, also where no question is answered
    data: dict[str, object] = {
        "protocols": PROTOCOLS,
        "instance": number,
        "found": False,
        "rules": (),
        "groups": (),
        "chosen": _chosen(request),
        "problem": "",
        "before": None,
        "after": None,
        "evaluated_at": None,
        "problems": (),
    }
    if not number:
        return TemplateAnswer("what_if.html", data)
    account, region = _place(request, number)
    data |= {"found": True, "href": request.link(f"/instances/{account}/{number}", tab="network")}
    try:
        network = StoredNetwork.load(request.store, account, region)
        data |= {"rules": network.rules(number)[:_SHOWN], "groups": network.groups(number),
                 "evaluated_at": network.evaluated_at}  # fmt: skip
        if request.value("port"):
            answer = network.answer(_question(request, number))
            data |= {
                "before": _view(answer.now, number, "The path as it is"),
                "after": _view(answer.changed, number, "The path after the change"),
                "problems": answer.problems[:20],
            }
    except UsageError as error:
        data["problem"] = str(error)
    return TemplateAnswer("what_if.html", data)


def _place(request: PageRequest, number: str) -> tuple[str, str]:
    """Return account and Region of a visible instance. Raises WebError."""
    owner = request.value("owner")
    if owner:
        request.check_account(owner)
    search = CoverageSearch(
        {"resourceId": [{"comparison": "EQUALS", "value": number}]},
        frozenset({owner}) if owner else request.scope.visible,
    )
    rows = request.store.found_coverage.page(search, 10).rows
    places = {(row.account, row.region) for row in rows}
    if len(places) != 1:
        what = "There is no such instance, or you may not see it."
        raise WebError(404, what, "Choose an instance's tab Network, or type its whole id.")
    return places.pop()


def _question(request: PageRequest, number: str) -> NetworkQuestion:
    added = None
    if request.value("group"):
        added = AddedRule(
            request.value("group")[:_LONGEST],
            request.value("protocol"),
            _port(request.value("opened") or request.value("port")),
            request.value("from_block")[:_LONGEST].strip() or "0.0.0.0/0",
        )
    return NetworkQuestion(
        number,
        request.value("protocol") or PROTOCOLS[0],
        _port(request.value("port")),
        request.value("source")[:_LONGEST].strip() or INTERNET,
        _chosen(request),
        added,
    )


def _chosen(request: PageRequest) -> tuple[str, ...]:
    """Return the rules that the question leaves out."""
    rules = [rule[:_LONGEST] for rule in request.fields.get("without", []) if rule]
    return tuple(dict.fromkeys(rules))[: MOST_REMOVED + 1]


def _port(text: str) -> int:
    port = whole_number(text, MOST_PORT)
    if port is None:
        raise UsageError(f"a port is 0 to {MOST_PORT}", where=text[:20])
    return port


def _view(found: Explanation | None, instance: str, label: str) -> dict[str, object] | None:
    if found is None:
        return None
    hops = [
        PathHop(hop, _kind(hop), edge=index == 0, target=hop == instance)
        for index, hop in enumerate(found.hops)
    ]
    stop = found.stopped_by
    if stop is not None:
        hops.append(PathHop(stop.id, f"Stopped by {_kind(stop.id).lower()}", stop.rule or ""))
    return {
        "reachable": found.reachable,
        "verdict": _VERDICTS.get(found.verdict.value, found.verdict.value),
        "picture": network_path(hops, label),
        "stop": stop,
        "notes": found.notes[:20],
        "sources": found.sources,
    }


def _kind(identity: str) -> str:
    return _KINDS.get(identity) or _KINDS.get(identity.rpartition("-")[0], "Object")


PAGES = (ConsolePage("/network/what-if", "What if", what_if, section="/network"),)
