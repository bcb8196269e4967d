"""Random Gateway Load Balancer endpoints, some of them a Network Firewall's with its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.blocks import chance

if TYPE_CHECKING:
    from random import Random

    from tests.reachability.random_networks.drawing import Drawing, Item, Vpc

PROTOCOLS = {"TCP": 6, "UDP": 17}


def draw_endpoints(drawing: Drawing, vpc: Vpc) -> None:
    """Draw an endpoint in some VPCs; the routes may lead to it."""
    if not chance(drawing.random, 0.25):
        return
    subnet = drawing.random.choice(vpc.subnets)
    vpc.endpoint = drawing.identity("vpce")
    drawing.add(
        "VpcEndpoints",
        {
            "VpcEndpointId": vpc.endpoint,
            "VpcEndpointType": "GatewayLoadBalancer",
            "VpcId": vpc.id,
            "State": "available",
            "SubnetIds": [subnet["SubnetId"]],
            "NetworkInterfaceIds": [],
        },
    )
    if not chance(drawing.random, 0.3):
        _firewall(drawing, vpc, subnet)


def _firewall(drawing: Drawing, vpc: Vpc, subnet: Item) -> None:
    random = drawing.random
    name = drawing.identity("firewall")
    attachment = {"SubnetId": subnet["SubnetId"], "EndpointId": vpc.endpoint, "Status": "READY"}
    states = {subnet["AvailabilityZone"]: {"Attachment": attachment}}
    drawing.add(
        "NetworkFirewalls",
        {
            "Firewall": {
                "FirewallName": name,
                "FirewallId": f"{name:0>36}",
                "VpcId": vpc.id,
                "FirewallPolicyArn": f"policy-{name}",
                "SubnetMappings": [{"SubnetId": subnet["SubnetId"]}],
            },
            "FirewallStatus": {
                "Status": "READY",
                "ConfigurationSyncStateSummary": "IN_SYNC",
                "SyncStates": states,
            },
        },
    )
    policy: Item = {
        "StatelessFragmentDefaultActions": ["aws:pass"],
        "StatelessDefaultActions": [
            random.choice(["aws:pass", "aws:forward_to_sfe", "aws:forward_to_sfe", "aws:drop"])
        ],
        "StatelessRuleGroupReferences": _references(drawing, "STATELESS"),
        "StatefulRuleGroupReferences": _references(drawing, "STATEFUL"),
    }
    if chance(random, 0.4):
        policy["StatefulEngineOptions"] = {"RuleOrder": "STRICT_ORDER"}
        if chance(random, 0.5):
            policy["StatefulDefaultActions"] = ["aws:drop_strict"]
    drawing.add(
        "FirewallPolicies",
        {
            "UpdateToken": name,
            "FirewallPolicyResponse": {
                "FirewallPolicyArn": f"policy-{name}",
                "FirewallPolicyName": name,
                "FirewallPolicyId": f"{name:0>36}",
            },
            "FirewallPolicy": policy,
        },
    )


def _references(drawing: Drawing, kind: str) -> list[Item]:
    random = drawing.random
    found = []
    for priority in random.sample(range(1, 9), random.randrange(3)):
        arn = drawing.identity("rulegroup")
        if kind == "STATELESS":
            rules = [_stateless(drawing, it) for it in random.sample(range(1, 20), 2)]
            source: Item = {"StatelessRulesAndCustomActions": {"StatelessRules": rules}}
        else:
            source = {"StatefulRules": [_stateful(drawing) for _ in range(random.randrange(4))]}
        drawing.add(
            "RuleGroups",
            {
                "UpdateToken": arn,
                "RuleGroupResponse": {
                    "RuleGroupArn": arn,
                    "RuleGroupName": arn,
                    "RuleGroupId": f"{arn:0>36}",
                    "Type": kind,
                },
                "RuleGroup": {"RulesSource": source},
            },
        )
        found.append({"ResourceArn": arn, "Priority": priority})
    return found


def _block(drawing: Drawing) -> str:
    six = [*blocks.OUTSIDE_SIX, *drawing.known_six()]
    four = [*blocks.OUTSIDE, *drawing.known()]
    return drawing.random.choice(six if chance(drawing.random, 0.2) else four)


def _ports(random: Random) -> list[Item]:
    first, last = random.choice(blocks.PORT_RANGES)
    return [{"FromPort": first, "ToPort": last}]


def _stateless(drawing: Drawing, priority: int) -> Item:
    random = drawing.random
    match: Item = {}
    if chance(random, 0.5):
        match["Protocols"] = [random.choice([6, 6, 17])]
        if chance(random, 0.5):
            match["DestinationPorts"] = _ports(random)
        if chance(random, 0.3):
            match["SourcePorts"] = _ports(random)
    if chance(random, 0.4):
        match["Sources"] = [{"AddressDefinition": _block(drawing)}]
    if chance(random, 0.4):
        match["Destinations"] = [{"AddressDefinition": _block(drawing)}]
    action = random.choice(["aws:pass", "aws:drop", "aws:forward_to_sfe"])
    return {
        "Priority": priority,
        "RuleDefinition": {"Actions": [action], "MatchAttributes": match},
    }


def _stateful(drawing: Drawing) -> Item:
    random = drawing.random
    low, high = random.choice(blocks.PORT_RANGES)
    protocol = random.choice(["TCP", "TCP", "UDP", "IP"])
    header = {
        "Protocol": protocol,
        "Source": _block(drawing) if chance(random, 0.3) else "ANY",
        "SourcePort": "ANY",
        "Direction": random.choice(["FORWARD", "FORWARD", "ANY"]),
        "Destination": _block(drawing) if chance(random, 0.3) else "ANY",
        "DestinationPort": "ANY",
    }
    if protocol != "IP" and chance(random, 0.6):
        header["DestinationPort"] = str(low) if low == high else f"{low}:{high}"
    return {
        "Action": random.choice(["PASS", "DROP", "DROP", "REJECT", "ALERT"]),
        "Header": header,
        "RuleOptions": [{"Keyword": "sid", "Settings": [str(drawing.number())]}],
    }
