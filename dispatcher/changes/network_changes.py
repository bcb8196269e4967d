"""Changes of networks, from CloudTrail's events on EventBridge: evaluate again soon.

CloudTrail names the call and what it was about. Of that only the ids of objects are used, to find
the VPCs to evaluate; an event that names none asks for the whole network. A burst is one request.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from sidelight.fleet.networks.scopes import ids_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dispatcher.changes.bus_events import BusEvent
    from dispatcher.discovery.accounts import AccountRegion

API_CALL: Final = "AWS API Call via CloudTrail"
KINDS: Final = tuple(
    (source, API_CALL)
    for source in (
        "aws.ec2", "aws.elasticloadbalancing", "aws.directconnect", "aws.network-firewall",
    )
)  # fmt: skip
# What the calls that change a network are about; a name has one of these words.
_SUBJECTS: Final = (
    "SecurityGroup", "NetworkAcl", "Route", "NetworkInterface", "Address", "InternetGateway",
    "NatGateway", "Subnet", "VpcPeering", "VpcEndpoint", "VpcCidr", "VpcBlockPublicAccess",
    "TransitGateway", "VpnGateway", "VpnConnection", "VpnTunnel", "PrefixList", "LoadBalancer",
    "Listener", "TargetGroup", "Targets", "Rule", "VirtualInterface", "DirectConnectGateway",
    "Firewall", "Vpc", "InstanceAttribute",
)  # fmt: skip
_READING: Final = ("Describe", "Get", "List", "Search", "DryRun")
MOST_IDS: Final = 50  # of one event
LONGEST_ID: Final = 300  # characters; an ARN of a load balancer has up to 150


class NetworkChangeHandler:
    """Requests an evaluation of each account-region whose network changed."""

    def __init__(self, changed: Callable[[AccountRegion, Collection[str]], object]) -> None:
        """`changed(account_region, ids)` schedules the evaluation; it bears repeated calls."""
        self._changed = changed

    def handle(self, account_region: AccountRegion, events: Sequence[BusEvent]) -> Collection[str]:
        """Request one evaluation for all of these events; nothing is to be received again."""
        changes = [event for event in events if is_change(event.detail)]
        if changes:
            named = [set(ids_of(event.detail)) for event in changes]
            self._changed(account_region, set().union(*named) if all(named) else ())
        return ()


def is_change(detail: object) -> bool:
    """Whether an event's detail is a call that succeeded and may change a network."""
    if not isinstance(detail, dict) or detail.get("errorCode"):
        return False
    name = detail.get("eventName")
    if not isinstance(name, str) or len(name) > 100 or name.startswith(_READING):
        return False
    return any(subject in name for subject in _SUBJECTS)


def ids_of(detail: object) -> Iterator[str]:
    """Yield the ids of VPCs and objects of VPCs that a call named, or that were in its answer."""
    if not isinstance(detail, dict):
        return
    for part in ("requestParameters", "responseElements"):
        for value in islice(ids_in(detail.get(part)), MOST_IDS):
            if len(value) <= LONGEST_ID:
                yield value
