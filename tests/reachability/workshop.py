"""AWS's reachability workshop: its CloudFormation template as the describe answers of its network.

A converter for what this one template has, with ids that are the resources' logical names behind
EC2's prefixes, so that expectations read as the workshop's text does.
"""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from sidelight.reachability import Answers

if TYPE_CHECKING:
    from pathlib import Path

_PREFIXES = {
    "VPC": "vpc", "Subnet": "subnet", "InternetGateway": "igw", "VPNGateway": "vgw",
    "RouteTable": "rtb", "SecurityGroup": "sg", "Instance": "i", "VPCPeeringConnection": "pcx",
    "NatGateway": "nat", "LoadBalancer": "lb", "TargetGroup": "tg", "EIP": "eip",
}  # fmt: skip
_ALLOW_ALL = [
    {"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": action,
     "RuleNumber": number}
    for egress in (False, True)
    for number, action in ((100, "allow"), (32767, "deny"))
]  # fmt: skip


class _Template:
    def __init__(self, document: dict[str, Any]) -> None:
        self.mappings = document["Mappings"]
        self.resources = document["Resources"]

    def of(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """The resources of a type, with their properties resolved."""
        return [
            (self.id(name), self.resolved(resource.get("Properties", {})))
            for name, resource in self.resources.items()
            if resource["Type"].rpartition("::")[2] == kind
        ]

    def id(self, name: str) -> str:
        resource = self.resources.get(name)
        if resource is None:
            return {"AvailabilityZone1": "us-east-1a", "AvailabilityZone2": "us-east-1b"}.get(
                name, name
            )
        return f"{_PREFIXES.get(resource['Type'].rpartition('::')[2], 'r')}-{name}"

    def resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return self.id(value["Ref"])
        if "Fn::GetAtt" in value:
            return self.id(value["Fn::GetAtt"][0])
        if "Fn::FindInMap" in value:
            first, second, third = value["Fn::FindInMap"]
            return self.mappings[first][second][third]
        return {key: self.resolved(item) for key, item in value.items()}


def _permission(rule: dict[str, Any], group_key: str) -> dict[str, Any]:
    return {
        "IpProtocol": str(rule["IpProtocol"]),
        "FromPort": rule.get("FromPort"),
        "ToPort": rule.get("ToPort"),
        "IpRanges": [{"CidrIp": rule["CidrIp"]}] if "CidrIp" in rule else [],
        "UserIdGroupPairs": [{"GroupId": rule[group_key]}] if group_key in rule else [],
    }


def _groups(template: _Template) -> list[dict[str, Any]]:
    single = template.of("SecurityGroupEgress")
    groups = []
    for name, fields in template.of("SecurityGroup"):
        egress = [
            _permission(rule, "DestinationSecurityGroupId")
            for rule in (
                *fields.get("SecurityGroupEgress", []),
                *(rule for _, rule in single if rule["GroupId"] == name),
            )
        ]
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        groups.append(
            {
                "GroupId": name,
                "VpcId": fields["VpcId"],
                "IpPermissions": [
                    _permission(rule, "SourceSecurityGroupId")
                    for rule in fields.get("SecurityGroupIngress", [])
                ],
                "IpPermissionsEgress": egress or everything,
            }
        )
    return groups


def _route_tables(template: _Template, blocks: dict[str, str]) -> list[dict[str, Any]]:
    routes = [fields for _, fields in template.of("Route")]
    associations = [fields for _, fields in template.of("SubnetRouteTableAssociation")]
    tables = []
    for name, fields in template.of("RouteTable"):
        local = {
            "DestinationCidrBlock": blocks[fields["VpcId"]],
            "GatewayId": "local",
            "State": "active",
        }
        tables.append(
            {
                "RouteTableId": name,
                "VpcId": fields["VpcId"],
                "Routes": [
                    local,
                    *(
                        {**route, "State": "active"}
                        for route in routes
                        if route["RouteTableId"] == name
                    ),
                ],
                "Associations": [
                    {"SubnetId": one["SubnetId"], "Main": False}
                    for one in associations
                    if one["RouteTableId"] == name
                ],
            }
        )
    return tables


def workshop_answers(path: Path) -> Answers:
    """The describe answers of the network that the template makes."""
    template = _Template(json.loads(path.read_text()))
    vpcs = {name: fields["CidrBlock"] for name, fields in template.of("VPC")}
    subnets = dict(template.of("Subnet"))
    used = dict.fromkeys(subnets, 10)
    public = iter(range(1, 250))

    def interface(name: str, subnet: str, groups: list[str], **fields: Any) -> dict[str, Any]:
        used[subnet] += 1
        found: dict[str, Any] = {
            "NetworkInterfaceId": f"eni-{name}",
            "VpcId": subnets[subnet]["VpcId"],
            "SubnetId": subnet,
            "OwnerId": "111111111111",
            "PrivateIpAddress": str(ip_network(subnets[subnet]["CidrBlock"])[used[subnet]]),
            "Groups": [{"GroupId": group} for group in groups],
            "InterfaceType": "interface",
            **fields,
        }
        if subnets[subnet]["MapPublicIpOnLaunch"] == "true":
            found["Association"] = {"PublicIp": f"198.51.100.{next(public)}"}
        return found

    interfaces, instances = [], []
    for name, fields in template.of("Instance"):
        primary = fields["NetworkInterfaces"][0]
        attachment = {"InstanceId": name, "DeviceIndex": 0}
        interfaces.append(
            interface(name, primary["SubnetId"], primary["GroupSet"], Attachment=attachment)
        )
        instances.append(
            {"InstanceId": name, "State": {"Name": "running"}, "NetworkInterfaces": []}
        )
    balancers, zones = [], {name: fields["AvailabilityZone"] for name, fields in subnets.items()}
    for name, fields in template.of("LoadBalancer"):
        for subnet in fields["Subnets"]:
            node = f"{name}-{zones[subnet]}"
            described = f"ELB app/{name}/1"
            interfaces.append(
                interface(node, subnet, fields["SecurityGroups"], Description=described)
            )
        balancers.append(
            {
                "LoadBalancerArn": f"arn:loadbalancer/app/{name}/1",
                "LoadBalancerName": name,
                "Type": "application",
                "VpcId": subnets[fields["Subnets"][0]]["VpcId"],
                "SecurityGroups": fields["SecurityGroups"],
                "AvailabilityZones": [{"SubnetId": one} for one in fields["Subnets"]],
                "State": {"Code": "active"},
            }
        )
    attachments = [fields for _, fields in template.of("VPCGatewayAttachment")]
    return Answers(
        {
            ("111111111111", "us-east-1"): {
                "Vpcs": [{"VpcId": name, "CidrBlock": block} for name, block in vpcs.items()],
                "Subnets": [
                    {
                        "SubnetId": name,
                        **fields,
                        "MapPublicIpOnLaunch": fields["MapPublicIpOnLaunch"] == "true",
                    }
                    for name, fields in subnets.items()
                ],
                "InternetGateways": [
                    {
                        "InternetGatewayId": one["InternetGatewayId"],
                        "Attachments": [{"VpcId": one["VpcId"], "State": "available"}],
                    }
                    for one in attachments
                    if "InternetGatewayId" in one
                ],
                "VpnGateways": [
                    {
                        "VpnGatewayId": one["VpnGatewayId"],
                        "State": "available",
                        "VpcAttachments": [{"VpcId": one["VpcId"], "State": "attached"}],
                    }
                    for one in attachments
                    if "VpnGatewayId" in one
                ],
                "VpcPeeringConnections": [
                    {
                        "VpcPeeringConnectionId": name,
                        "Status": {"Code": "active"},
                        "RequesterVpcInfo": {
                            "VpcId": fields["VpcId"],
                            "CidrBlock": vpcs[fields["VpcId"]],
                        },
                        "AccepterVpcInfo": {
                            "VpcId": fields["PeerVpcId"],
                            "CidrBlock": vpcs[fields["PeerVpcId"]],
                        },
                    }
                    for name, fields in template.of("VPCPeeringConnection")
                ],
                "NatGateways": [
                    {"NatGatewayId": name, "SubnetId": fields["SubnetId"], "State": "available"}
                    for name, fields in template.of("NatGateway")
                ],
                "NetworkAcls": [
                    {
                        "NetworkAclId": f"acl-{name}",
                        "VpcId": name,
                        "IsDefault": True,
                        "Entries": _ALLOW_ALL,
                    }
                    for name in vpcs
                ],
                "RouteTables": _route_tables(template, vpcs),
                "SecurityGroups": _groups(template),
                "NetworkInterfaces": interfaces,
                "Reservations": [{"Instances": instances}],
                "LoadBalancers": balancers,
                "LoadBalancerListeners": [
                    {
                        "LoadBalancerArn": f"arn:loadbalancer/app/{fields['LoadBalancerArn']}/1",
                        "Listeners": [{"ListenerArn": name, **fields, "LoadBalancerArn": ""}],
                    }
                    for name, fields in template.of("Listener")
                ],
                "TargetGroups": [
                    {"TargetGroupArn": name, "TargetType": "instance", **fields}
                    for name, fields in template.of("TargetGroup")
                ],
                "LoadBalancerTargetHealth": [
                    {
                        "TargetGroupArn": name,
                        "TargetHealthDescriptions": [
                            {"Target": target, "TargetHealth": {"State": "healthy"}}
                            for target in fields["Targets"]
                        ],
                    }
                    for name, fields in template.of("TargetGroup")
                ],
            }
        }
    )
