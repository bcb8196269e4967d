"""Random network ACLs, security groups and prefix lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.reachability.random_networks.blocks import (
    ANY,
    ANY_SIX,
    OUTSIDE,
    OUTSIDE_SIX,
    PORT_RANGES,
    chance,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

Rule = dict[str, Any]
# EC2 writes ACL protocols as numbers, and a group's TCP, UDP and ICMP as names.
ACL_PROTOCOLS = ["-1", "6", "17", "1"]
GROUP_PROTOCOLS = ["-1", "tcp", "udp", "icmp"]


def acl_entries(random: Random, known: Sequence[str], known_six: Sequence[str]) -> list[Rule]:
    """Return an ACL's entries for both directions, with the last one that denies the rest."""
    entries: list[Rule] = []
    for egress in (True, False):
        if not chance(random, 0.4):
            entries += [_entry(100, "allow", "-1", ANY, egress=egress)]
            entries += [_entry(101, "allow", "-1", ANY_SIX, egress=egress)]
        else:
            numbers = random.sample(range(1, 400), random.randrange(5))
            entries += [_drawn(random, number, known, known_six, egress) for number in numbers]
        entries += [_entry(32767, "deny", "-1", ANY, egress=egress)]
        entries += [_entry(32768, "deny", "-1", ANY_SIX, egress=egress)]
    random.shuffle(entries)
    return entries


def _drawn(
    random: Random, number: int, known: Sequence[str], known_six: Sequence[str], egress: bool
) -> Rule:
    six = chance(random, 0.25)
    anywhere = ANY_SIX if six else ANY
    blocks = [*OUTSIDE_SIX, *known_six] if six else [*OUTSIDE, *known]
    block = random.choice(blocks) if chance(random, 0.45) else anywhere
    protocol = random.choices(ACL_PROTOCOLS, [4, 5, 2, 1])[0]
    action = "deny" if chance(random, 0.3) else "allow"
    entry = _entry(number, action, protocol, block, egress=egress)
    if protocol in {"6", "17"}:
        low, high = random.choice(PORT_RANGES)
        entry["PortRange"] = {"From": low, "To": high}
    if protocol == "1":
        entry["IcmpTypeCode"] = {"Code": -1, "Type": -1}
    return entry


def _entry(number: int, action: str, protocol: str, block: str, *, egress: bool) -> Rule:
    key = "Ipv6CidrBlock" if ":" in block else "CidrBlock"
    return {
        key: block,
        "Egress": egress,
        "Protocol": protocol,
        "RuleAction": action,
        "RuleNumber": number,
    }


def permissions(
    random: Random,
    known: Sequence[str],
    known_six: Sequence[str],
    groups: Sequence[str],
    lists: Sequence[str],
) -> list[Rule]:
    """Return some rules of a security group."""
    return [
        _permission(random, known, known_six, groups, lists) for _ in range(random.randrange(5))
    ]


def _permission(
    random: Random,
    known: Sequence[str],
    known_six: Sequence[str],
    groups: Sequence[str],
    lists: Sequence[str],
) -> Rule:
    protocol = random.choices(GROUP_PROTOCOLS, [2, 6, 2, 1])[0]
    rule: Rule = {
        "IpProtocol": protocol,
        "IpRanges": [],
        "Ipv6Ranges": [],
        "PrefixListIds": [],
        "UserIdGroupPairs": [],
    }
    if protocol in {"tcp", "udp"}:
        rule["FromPort"], rule["ToPort"] = random.choice(PORT_RANGES)
    if protocol == "icmp":
        rule["FromPort"], rule["ToPort"] = 8, 0
    kind = random.randrange(6)
    if kind <= 1:
        rule["IpRanges"] = [{"CidrIp": ANY}]
    elif kind == 2:
        rule["IpRanges"] = [{"CidrIp": random.choice([*OUTSIDE, *known])}]
    elif kind == 3:
        rule["Ipv6Ranges"] = [{"CidrIpv6": random.choice([ANY_SIX, *OUTSIDE_SIX, *known_six])}]
    elif kind == 4 and lists:
        rule["PrefixListIds"] = [{"PrefixListId": random.choice(lists)}]
    else:
        rule["UserIdGroupPairs"] = [{"GroupId": random.choice(groups), "UserId": "111111111111"}]
    return rule


def prefix_list(random: Random, number: int, known: Sequence[str]) -> tuple[Rule, Rule]:
    """Return a managed prefix list and the answer with its entries."""
    identity = f"pl-{number:017x}"
    blocks = random.sample([*OUTSIDE, *known], 1 + random.randrange(2))
    description = {
        "PrefixListId": identity,
        "PrefixListName": f"list{number}",
        "AddressFamily": "IPv4",
        "State": "create-complete",
        "MaxEntries": 10,
        "Version": 1,
        "OwnerId": "111111111111",
    }
    return description, {
        "PrefixListId": identity,
        "Entries": [{"Cidr": block} for block in blocks],
    }
