"""Networks drawn by hand: a few words an object, and the describe answers that AWS would give."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from typing import Any

from sidelight.reachability import Answers

ACCOUNT, REGION = "111111111111", "eu-west-1"

Fields = dict[str, Any]


def tcp(port: int, *peers: str, last: int | None = None, protocol: str = "tcp") -> Fields:
    """A security group's permission; a peer is a CIDR block, a group or a prefix list."""
    return {
        "IpProtocol": protocol,
        "FromPort": port,
        "ToPort": port if last is None else last,
        "IpRanges": [{"CidrIp": peer} for peer in peers if "/" in peer and ":" not in peer],
        "Ipv6Ranges": [{"CidrIpv6": peer} for peer in peers if ":" in peer],
        "UserIdGroupPairs": [{"GroupId": peer} for peer in peers if peer.startswith("sg-")],
        "PrefixListIds": [{"PrefixListId": peer} for peer in peers if peer.startswith("pl-")],
    }


def everything(*peers: str) -> Fields:
    """A permission for all protocols and ports."""
    return {**tcp(0, *(peers or ("0.0.0.0/0", "::/0"))), "IpProtocol": "-1"}


def entry(
    number: int,
    action: str,
    cidr: str,
    ports: tuple[int, int] | None = None,
    *,
    egress: bool = False,
) -> Fields:
    """A network ACL's entry, for TCP if it has ports, else for all protocols."""
    found: Fields = {
        "RuleNumber": number,
        "RuleAction": action,
        "Egress": egress,
        "Protocol": "6" if ports else "-1",
        "Ipv6CidrBlock" if ":" in cidr else "CidrBlock": cidr,
    }
    if ports:
        found["PortRange"] = {"From": ports[0], "To": ports[1]}
    return found


OPEN = [
    entry(number, "allow", cidr, egress=egress)
    for egress in (False, True)
    for number, cidr in ((100, "0.0.0.0/0"), (101, "::/0"))
]


def route(destination: str, target: str, state: str = "active") -> Fields:
    """A route; the target's member is chosen by its id's prefix."""
    member = {
        "nat": "NatGatewayId", "tgw": "TransitGatewayId", "pcx": "VpcPeeringConnectionId",
        "eigw": "EgressOnlyInternetGatewayId", "eni": "NetworkInterfaceId",
    }.get(target.partition("-")[0], "GatewayId")  # fmt: skip
    key = (
        "DestinationPrefixListId"
        if destination.startswith("pl-")
        else "DestinationIpv6CidrBlock"
        if ":" in destination
        else "DestinationCidrBlock"
    )
    return {key: destination, member: target, "State": state}


class Drawing:
    """A network being drawn. `lists` are its answers, and may be changed by hand."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = defaultdict(list)
        for needed in ("NetworkAcls", "RouteTables", "SecurityGroups", "Reservations", "Subnets"):
            self.lists[needed] = []

    def answers(self) -> Answers:
        return Answers({(ACCOUNT, REGION): self.lists})

    def vpc(self, name: str, cidr: str, *routes: Fields, ipv6: str = "") -> str:
        """A VPC with an open default network ACL and a main route table."""
        fields: Fields = {"VpcId": name, "CidrBlock": cidr, "OwnerId": ACCOUNT}
        if ipv6:
            fields["Ipv6CidrBlockAssociationSet"] = [{"Ipv6CidrBlock": ipv6}]
        self.lists["Vpcs"].append(fields)
        self.acl(f"acl-{name}", name, *OPEN, default=True)
        self.table(f"rtb-{name}", name, *routes, main=True)
        return name

    def table(
        self, name: str, vpc: str, *routes: Fields, subnets: tuple[str, ...] = (),
        gateways: tuple[str, ...] = (), main: bool = False,
    ) -> None:  # fmt: skip
        record = next(one for one in self.lists["Vpcs"] if one["VpcId"] == vpc)
        blocks = [record["CidrBlock"]] + [
            one["Ipv6CidrBlock"] for one in record.get("Ipv6CidrBlockAssociationSet", [])
        ]
        associations: list[Fields] = [{"SubnetId": one, "Main": False} for one in subnets]
        associations += [{"GatewayId": one, "Main": False} for one in gateways]
        self.lists["RouteTables"].append(
            {
                "RouteTableId": name,
                "VpcId": vpc,
                "Associations": [*associations, {"Main": True}] if main else associations,
                "Routes": [*(route(block, "local") for block in blocks), *routes],
            }
        )

    def acl(
        self,
        name: str,
        vpc: str,
        *entries: Fields,
        subnets: tuple[str, ...] = (),
        default: bool = False,
    ) -> None:
        self.lists["NetworkAcls"].append(
            {
                "NetworkAclId": name,
                "VpcId": vpc,
                "IsDefault": default,
                "Associations": [{"SubnetId": one} for one in subnets],
                "Entries": deepcopy(list(entries)),
            }
        )

    def subnet(
        self, name: str, vpc: str, cidr: str, *, zone: str = "a", ipv6: str = "", **more: Any
    ) -> str:
        fields: Fields = {
            "SubnetId": name,
            "VpcId": vpc,
            "CidrBlock": cidr,
            "AvailabilityZone": REGION + zone,
            **more,
        }
        if ipv6:
            fields["Ipv6CidrBlockAssociationSet"] = [{"Ipv6CidrBlock": ipv6}]
        self.lists["Subnets"].append(fields)
        return name

    def group(
        self, name: str, vpc: str, *ingress: Fields, egress: list[Fields] | None = None
    ) -> str:
        self.lists["SecurityGroups"].append(
            {
                "GroupId": name,
                "VpcId": vpc,
                "IpPermissions": list(ingress),
                "IpPermissionsEgress": [everything()] if egress is None else egress,
            }
        )
        return name

    def instance(
        self, name: str, subnet: str, address: str, *groups: str, public: str = "", ipv6: str = "",
        state: str = "running", **more: Any,
    ) -> str:  # fmt: skip
        """An instance with one interface, `eni-` and the instance's name."""
        self.lists["Reservations"].append(
            {
                "OwnerId": ACCOUNT,
                "Instances": [{"InstanceId": f"i-{name}", "State": {"Name": state}}],
            }
        )
        attachment = {"InstanceId": f"i-{name}", "DeviceIndex": 0}
        self.interface(
            name, subnet, address, *groups, public=public, ipv6=ipv6, Attachment=attachment, **more
        )
        return f"i-{name}"

    def interface(
        self,
        name: str,
        subnet: str,
        address: str,
        *groups: str,
        public: str = "",
        ipv6: str = "",
        **more: Any,
    ) -> str:
        vpc = next(one["VpcId"] for one in self.lists["Subnets"] if one["SubnetId"] == subnet)
        fields: Fields = {
            "NetworkInterfaceId": f"eni-{name}",
            "VpcId": vpc,
            "SubnetId": subnet,
            "OwnerId": ACCOUNT,
            "PrivateIpAddress": address,
            "Groups": [{"GroupId": group} for group in groups],
            "InterfaceType": "interface",
            **more,
        }
        if public:
            fields["Association"] = {"PublicIp": public}
        if ipv6:
            fields["Ipv6Addresses"] = [{"Ipv6Address": ipv6}]
        self.lists["NetworkInterfaces"].append(fields)
        return f"eni-{name}"

    def internet_gateway(self, name: str, vpc: str) -> None:
        self.lists["InternetGateways"].append(
            {"InternetGatewayId": name, "Attachments": [{"VpcId": vpc, "State": "available"}]}
        )

    def peering(self, name: str, one: str, other: str) -> None:
        blocks = {vpc["VpcId"]: vpc["CidrBlock"] for vpc in self.lists["Vpcs"]}
        sides = [{"VpcId": vpc, "CidrBlock": blocks[vpc], "Region": REGION} for vpc in (one, other)]
        self.lists["VpcPeeringConnections"].append(
            {
                "VpcPeeringConnectionId": name,
                "Status": {"Code": "active"},
                "RequesterVpcInfo": sides[0],
                "AccepterVpcInfo": sides[1],
            }
        )

    def virtual_gateway(self, name: str, vpc: str, *vpns: str) -> None:
        self.lists["VpnGateways"].append(
            {
                "VpnGatewayId": name,
                "State": "available",
                "VpcAttachments": [{"VpcId": vpc, "State": "attached"}],
            }
        )
        for vpn in vpns:
            self.lists["VpnConnections"].append(
                {"VpnConnectionId": vpn, "VpnGatewayId": name, "State": "available"}
            )

    def load_balancer(
        self,
        name: str,
        kind: str,
        listeners: dict[int, str],
        nodes: dict[str, str],
        *groups: str,
        **more: Any,
    ) -> str:
        """A load balancer: listeners' target groups by port, nodes' public addresses by subnet.

        The private address of the first load balancer's node ends in 200, of the next in 201.
        """
        arn = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/{kind[:3]}/{name}/1"
        blocks = {one["SubnetId"]: one for one in self.lists["Subnets"]}
        last = 200 + len(self.lists["LoadBalancers"])
        for number, (subnet, public) in enumerate(nodes.items()):
            start = blocks[subnet]["CidrBlock"].rpartition(".")[0]
            self.interface(
                f"{name}-{number}", subnet, f"{start}.{last}", *groups, public=public,
                Description=f"ELB {kind[:3]}/{name}/1",
            )  # fmt: skip
        self.lists["LoadBalancers"].append(
            {
                "LoadBalancerArn": arn,
                "LoadBalancerName": name,
                "Type": kind,
                "State": {"Code": "active"},
                "SecurityGroups": list(groups),
                "AvailabilityZones": [{"SubnetId": subnet} for subnet in nodes],
                "VpcId": blocks[next(iter(nodes))]["VpcId"],
                **more,
            }
        )
        protocol = "HTTP" if kind == "application" else "TCP"
        self.lists["LoadBalancerListeners"].append(
            {
                "LoadBalancerArn": arn,
                "Listeners": [
                    {
                        "ListenerArn": f"listener-{name}-{port}",
                        "LoadBalancerArn": arn,
                        "Port": port,
                        "Protocol": protocol,
                        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
                    }
                    for port, group in listeners.items()
                ],
            }
        )
        return arn

    def target_group(
        self,
        name: str,
        vpc: str,
        port: int,
        targets: dict[str, str],
        kind: str = "instance",
        **attributes: str,
    ) -> None:
        """A target group: its targets' health by their ids."""
        self.lists["TargetGroups"].append(
            {
                "TargetGroupArn": name,
                "TargetType": kind,
                "Port": port,
                "VpcId": vpc,
                "Protocol": "TCP",
            }
        )
        self.lists["LoadBalancerTargetHealth"].append(
            {
                "TargetGroupArn": name,
                "TargetHealthDescriptions": [
                    {"Target": {"Id": target, "Port": port}, "TargetHealth": {"State": state}}
                    for target, state in targets.items()
                ],
            }
        )
        if attributes:
            self.lists["TargetGroupAttributes"].append(
                {
                    "TargetGroupArn": name,
                    "Attributes": [
                        {"Key": key.replace("__", "."), "Value": value}
                        for key, value in attributes.items()
                    ],
                }
            )


def public_network() -> Drawing:
    """A VPC with a public subnet and a web server on ports 22 and 443."""
    drawing = Drawing()
    drawing.vpc(
        "vpc-1",
        "10.0.0.0/16",
        route("0.0.0.0/0", "igw-1"),
        route("::/0", "igw-1"),
        ipv6="2a05:d018:1::/56",
    )
    drawing.internet_gateway("igw-1", "vpc-1")
    drawing.subnet("subnet-1", "vpc-1", "10.0.1.0/24", ipv6="2a05:d018:1:1::/64")
    drawing.group("sg-1", "vpc-1", tcp(22, "203.0.113.7/32"), tcp(443, "0.0.0.0/0"))
    drawing.instance("web", "subnet-1", "10.0.1.10", "sg-1", public="198.51.100.10")
    return drawing
