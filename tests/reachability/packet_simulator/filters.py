"""Network ACLs and security groups, asked about one packet.

Sources: VPC user guide, "Network ACL rules" (numbered, first match, stateless) and "Security group
rules" (union of allow rules; a referenced group means the private addresses of its interfaces).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.reachability.packet_simulator.described import holds
from tests.reachability.packet_simulator.packets import Stopper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Address, Packet

NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}


def number(protocol: str) -> str:
    """Return a protocol's number as text; "-1" is any."""
    return NUMBERS.get(protocol.lower(), protocol)


def refusing_acl(
    network: Described, subnet: str, packet: Packet, *, egress: bool
) -> Stopper | None:
    """Return the ACL and the rule that drop a packet at a subnet's border."""
    acl = network.acl_of(subnet)
    if acl is None:
        return None  # a dump without ACLs: the default ACL allows all
    other = packet.target if egress else packet.source
    for entry in sorted(acl["Entries"], key=lambda entry: int(entry["RuleNumber"])):
        if bool(entry["Egress"]) is egress and _entry_matches(entry, packet, other):
            if entry["RuleAction"] == "allow":
                return None
            return Stopper(acl["NetworkAclId"], "AWS::EC2::NetworkAcl", str(entry["RuleNumber"]))
    return Stopper(acl["NetworkAclId"], "AWS::EC2::NetworkAcl")


def _entry_matches(entry: Item, packet: Packet, other: Address) -> bool:
    block = entry.get("CidrBlock") or entry.get("Ipv6CidrBlock")
    if not block or not holds(block, other):
        return False
    if entry["Protocol"] == "-1":
        return True
    if number(entry["Protocol"]) != number(packet.protocol):
        return False
    ports = entry.get("PortRange")
    return ports is None or int(ports["From"]) <= packet.port <= int(ports["To"])


class Sender(NamedTuple):
    """Who sent a packet, as a referenced group sees it: an interface in reach of references."""

    interface: str = ""


def groups_allow(
    network: Described, interface: str, packet: Packet, *, egress: bool, sender: str, receiver: str
) -> bool:
    """Return whether a group of an interface allows a new connection.

    `sender` and `receiver` are the interfaces at the far end, empty where references do not count.
    """
    other = packet.target if egress else packet.source
    far = receiver if egress else sender
    for it in network.interfaces[interface].get("Groups", []):
        group = network.groups.get(it["GroupId"])
        if group is None:
            continue
        for rule in group.get("IpPermissionsEgress" if egress else "IpPermissions", []):
            if _ports_match(rule, packet) and any(_peers(network, rule, other, far)):
                return True
    return False


def _ports_match(rule: Item, packet: Packet) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    if number(rule["IpProtocol"]) != number(packet.protocol):
        return False
    low, high = rule.get("FromPort"), rule.get("ToPort")
    if number(packet.protocol) not in {"6", "17"} or low is None or high is None:
        return True
    return int(low) <= packet.port <= int(high)


def _peers(network: Described, rule: Item, other: Address, far: str) -> Iterator[bool]:
    for four in rule.get("IpRanges", []):
        yield holds(four["CidrIp"], other)
    for six in rule.get("Ipv6Ranges", []):
        yield holds(six["CidrIpv6"], other)
    for listed in rule.get("PrefixListIds", []):
        for block in network.prefix_lists.get(listed["PrefixListId"], []):
            yield holds(block, other)
    if far:
        group_ids = {it["GroupId"] for it in network.interfaces[far].get("Groups", [])}
        for pair in rule.get("UserIdGroupPairs", []):
            yield pair["GroupId"] in group_ids
