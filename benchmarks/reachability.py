"""What the findings of large networks cost: CPU seconds, memory and evaluations, as they grow.

    python benchmarks/reachability.py [--vpcs N] [--groups N] [--interfaces N…]

One VPC with 10 subnets, an internet gateway and security groups of ten rules, of which some refer
to others; each interface has two of them. With `--vpcs` that many such VPCs share a transit
gateway. Each size runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sidelight.reachability import Answers, Network

_ENTRIES = [
    {"RuleNumber": 100, "RuleAction": "allow", "Egress": egress, "Protocol": "-1",
     "CidrBlock": "0.0.0.0/0"}
    for egress in (False, True)
]  # fmt: skip
_PORTS = (22, 80, 443, 3306, 5432, 6379, 8080, 8443, 9200, 27017)


def _groups(vpc: str, count: int, seed: random.Random) -> list[dict[str, Any]]:
    groups = []
    for number in range(count):
        permissions = []
        for port in seed.sample(_PORTS, 5):
            first, second = seed.randrange(256), seed.randrange(256)
            permissions.append(
                {"IpProtocol": "tcp", "FromPort": port, "ToPort": port,
                 "IpRanges": [{"CidrIp": f"{seed.choice((10, 203))}.{first}.{second}.0/24"},
                              {"CidrIp": seed.choice(("0.0.0.0/0", "198.51.100.0/24"))}],
                 "UserIdGroupPairs": [{"GroupId": f"sg-{vpc}-{seed.randrange(count)}"}]}
            )  # fmt: skip
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        groups.append(
            {"GroupId": f"sg-{vpc}-{number}", "VpcId": vpc, "IpPermissions": permissions,
             "IpPermissionsEgress": everything}
        )  # fmt: skip
    return groups


def answers(vpcs: int, interfaces: int, groups: int, seed: int = 1) -> Answers:
    """The describe answers of a network with so many VPCs, and as many of the rest in each."""
    chance = random.Random(seed)  # noqa: S311
    lists: dict[str, list[Any]] = {
        stem: []
        for stem in (
            "Vpcs", "Subnets", "RouteTables", "NetworkAcls", "SecurityGroups", "NetworkInterfaces",
            "Reservations", "InternetGateways", "TransitGatewayVpcAttachments",
            "TransitGatewayAttachments", "TransitGatewayPropagations",
        )
    }  # fmt: skip
    propagations: list[object] = []
    for number in range(vpcs):
        vpc, start = f"vpc-{number:04}", (10 << 24) + (number << 15)
        block = f"10.{start >> 16 & 255}.{start >> 8 & 255}.0/17"
        lists["Vpcs"].append({"VpcId": vpc, "CidrBlock": block, "OwnerId": "111111111111"})
        lists["InternetGateways"].append(
            {"InternetGatewayId": f"igw-{number:04}",
             "Attachments": [{"VpcId": vpc, "State": "available"}]}
        )  # fmt: skip
        routes = [
            {"DestinationCidrBlock": block, "GatewayId": "local", "State": "active"},
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": f"igw-{number:04}",
             "State": "active"},
            {"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-1", "State": "active"},
        ]  # fmt: skip
        lists["RouteTables"].append(
            {"RouteTableId": f"rtb-{number:04}", "VpcId": vpc, "Associations": [{"Main": True}],
             "Routes": routes}
        )  # fmt: skip
        lists["NetworkAcls"].append(
            {"NetworkAclId": f"acl-{number:04}", "VpcId": vpc, "IsDefault": True,
             "Entries": _ENTRIES}
        )  # fmt: skip
        subnets = []
        for index in range(10):
            first = start + index * 2048
            subnets.append(f"subnet-{number:04}-{index}")
            lists["Subnets"].append(
                {"SubnetId": subnets[-1], "VpcId": vpc,
                 "AvailabilityZone": "eu-west-1" + "abc"[index % 3],
                 "CidrBlock": f"10.{first >> 16 & 255}.{first >> 8 & 255}.0/21"}
            )  # fmt: skip
        lists["SecurityGroups"] += _groups(vpc, groups, chance)
        lists["NetworkInterfaces"] += [
            _interface(
                vpc,
                subnets[index % 10],
                start + index % 10 * 2048 + 10 + index // 10,
                groups,
                chance,
            )
            for index in range(interfaces)
        ]
        _attach(lists, propagations, number, vpc, subnets)
    lists["TransitGatewayPropagations"].append(
        {"TransitGatewayRouteTableId": "tgw-rtb-1",
         "TransitGatewayRouteTablePropagations": propagations}
    )  # fmt: skip
    return Answers({("111111111111", "eu-west-1"): lists})


def _interface(
    vpc: str, subnet: str, number: int, groups: int, chance: random.Random
) -> dict[str, Any]:
    private = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    name = f"{vpc}-{number}"
    found: dict[str, Any] = {
        "NetworkInterfaceId": f"eni-{name}",
        "VpcId": vpc,
        "SubnetId": subnet,
        "OwnerId": "111111111111",
        "PrivateIpAddress": private,
        "InterfaceType": "interface",
        "Attachment": {"InstanceId": f"i-{name}", "DeviceIndex": 0},
        "Groups": [{"GroupId": f"sg-{vpc}-{chance.randrange(groups)}"} for _ in range(2)],
    }
    if chance.random() < 0.2:
        public = 0x36000000 + number
        found["Association"] = {
            "PublicIp": ".".join(str(public >> shift & 255) for shift in (24, 16, 8, 0))
        }
    return found


def _attach(
    lists: dict[str, list[Any]], propagations: list[Any], number: int, vpc: str, subnets: list[str]
) -> None:
    name = f"tgw-attach-{number:04}"
    lists["TransitGatewayAttachments"].append(
        {"TransitGatewayAttachmentId": name, "TransitGatewayId": "tgw-1", "ResourceType": "vpc",
         "ResourceId": vpc, "State": "available",
         "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"}}
    )  # fmt: skip
    lists["TransitGatewayVpcAttachments"].append(
        {"TransitGatewayAttachmentId": name, "TransitGatewayId": "tgw-1", "VpcId": vpc,
         "State": "available", "SubnetIds": subnets[:3]}
    )  # fmt: skip
    propagations.append(
        {"TransitGatewayAttachmentId": name, "ResourceId": vpc, "ResourceType": "vpc",
         "State": "enabled"}
    )  # fmt: skip


def measure(vpcs: int, interfaces: int, groups: int) -> str:
    """One line of figures for a network of a size."""
    described = answers(vpcs, interfaces, groups)
    start = process_time()
    network = Network.from_answers(described)
    read_seconds = process_time() - start
    findings = sum(1 for _ in network.findings())
    total = process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    counts = " ".join(f"{key}={value}" for key, value in network.evaluations.items())
    return (
        f"{vpcs:4} VPCs {vpcs * interfaces:7} interfaces {vpcs * groups:6} groups: "
        f"{read_seconds:6.2f} s to read, {total:6.2f} CPU s in all, {peak:5} MiB, "
        f"{findings:8} findings, "
        f"{counts}"
    )


def main() -> None:
    """Print the growth curve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vpcs", type=int, default=1)
    parser.add_argument("--groups", type=int, default=500, help="security groups of a VPC")
    parser.add_argument("--interfaces", type=int, nargs="+", default=[1000, 2500, 5000, 10_000])
    chosen = parser.parse_args()
    for interfaces in chosen.interfaces:
        with get_context("spawn").Pool(1) as pool:
            print(pool.apply(measure, (chosen.vpcs, interfaces, chosen.groups)), flush=True)


if __name__ == "__main__":
    main()
