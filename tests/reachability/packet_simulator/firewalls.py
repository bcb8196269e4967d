"""A Network Firewall asked about one packet.

Sources: Network Firewall developer guide, "Stateless and stateful rules engines" (stateless rules
by priority, the first match acts; what is forwarded goes to the stateful engine), "Managing
evaluation order" (by action: pass, then drop; or strict, then the policy's default).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.packet_simulator.described import holds
from tests.reachability.packet_simulator.filters import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reachability.packet_simulator.described import Described, Item
    from tests.reachability.packet_simulator.packets import Address, Packet


def policy_of(network: Described, endpoint: str) -> Item | None:
    """Return the policy of the firewall whose endpoint this is, if it is a firewall's."""
    for item in network.all("NetworkFirewalls"):
        states = item["FirewallStatus"]["SyncStates"].values()
        if any(state["Attachment"]["EndpointId"] == endpoint for state in states):
            arn = item["Firewall"]["FirewallPolicyArn"]
            for policy in network.all("FirewallPolicies"):
                if policy["FirewallPolicyResponse"]["FirewallPolicyArn"] == arn:
                    found: Item = policy["FirewallPolicy"]
                    return found
    return None


def lets_through(network: Described, policy: Item, packet: Packet, *, is_reply: bool) -> bool:
    """Return whether a firewall passes a packet on; a reply belongs to a session that it knows."""
    action = _stateless(network, policy, packet)
    if action != "aws:forward_to_sfe":
        return action == "aws:pass"
    return is_reply or _stateful(network, policy, packet)


def _groups(network: Described, policy: Item, key: str) -> Iterator[Item]:
    for reference in sorted(policy.get(key, []), key=lambda it: it.get("Priority", 0)):
        for group in network.all("RuleGroups"):
            if group["RuleGroupResponse"]["RuleGroupArn"] == reference["ResourceArn"]:
                yield group["RuleGroup"]["RulesSource"]


def _stateless(network: Described, policy: Item, packet: Packet) -> str:
    for source in _groups(network, policy, "StatelessRuleGroupReferences"):
        rules = source["StatelessRulesAndCustomActions"]["StatelessRules"]
        for rule in sorted(rules, key=lambda it: it["Priority"]):
            definition = rule["RuleDefinition"]
            if _attributes_match(definition["MatchAttributes"], packet):
                return str(definition["Actions"][0])
    return str(policy["StatelessDefaultActions"][0])


def _attributes_match(match: Item, packet: Packet) -> bool:
    protocols = match.get("Protocols")
    if protocols and int(number(packet.protocol)) not in protocols:
        return False
    return (
        _address_in(match.get("Sources"), packet.source)
        and _address_in(match.get("Destinations"), packet.target)
        and _port_in(match.get("SourcePorts"), packet.source_port)
        and _port_in(match.get("DestinationPorts"), packet.port)
    )


def _address_in(blocks: list[Item] | None, address: Address) -> bool:
    return not blocks or any(holds(block["AddressDefinition"], address) for block in blocks)


def _port_in(ranges: list[Item] | None, port: int) -> bool:
    return not ranges or any(pair["FromPort"] <= port <= pair["ToPort"] for pair in ranges)


def _stateful(network: Described, policy: Item, packet: Packet) -> bool:
    rules = [
        rule
        for source in _groups(network, policy, "StatefulRuleGroupReferences")
        for rule in source["StatefulRules"]
    ]
    actions = [rule["Action"] for rule in rules if _header_matches(rule["Header"], packet)]
    strict = policy.get("StatefulEngineOptions", {}).get("RuleOrder") == "STRICT_ORDER"
    if not strict:
        return "PASS" in actions or not {"DROP", "REJECT"}.intersection(actions)
    for action in actions:
        if action != "ALERT":
            return bool(action == "PASS")
    return "aws:drop_strict" not in policy.get("StatefulDefaultActions", [])


def _header_matches(header: Item, packet: Packet) -> bool:
    if header["Protocol"] != "IP" and number(header["Protocol"]) != number(packet.protocol):
        return False
    ends = [(packet.source, packet.source_port), (packet.target, packet.port)]
    ways = [ends, ends[::-1]] if header["Direction"] == "ANY" else [ends]
    return any(
        _term(header["Source"], header["SourcePort"], *one)
        and _term(header["Destination"], header["DestinationPort"], *other)
        for one, other in ways
    )


def _term(addresses: str, ports: str, address: Address, port: int) -> bool:
    if addresses != "ANY" and not holds(addresses, address):
        return False
    if ports == "ANY":
        return True
    first, _, last = ports.partition(":")
    return int(first) <= port <= int(last or first)
