"""Random load balancers: classic, application and network ones, and PrivateLink services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.blocks import chance
from tests.reachability.random_networks.drawing import ACCOUNT

if TYPE_CHECKING:
    from tests.reachability.random_networks.drawing import Drawing, Item, Vpc

STATES = ["healthy", "healthy", "unhealthy", "draining", "initial"]


def draw_load_balancers(drawing: Drawing, vpc: Vpc) -> None:
    """Draw up to two load balancers in a VPC that has instances."""
    for number in range(drawing.random.choices(range(3), [4, 3, 1])[0]):
        instances = _instances(drawing, vpc)
        if instances:
            kind = drawing.random.choice(["application", "network", "network", "classic"])
            _draw(drawing, vpc, kind, number, instances)


def _instances(drawing: Drawing, vpc: Vpc) -> list[Item]:
    return [
        instance
        for reservation in drawing.answers["Reservations"]
        for instance in reservation["Instances"]
        if instance["VpcId"] == vpc.id
    ]


def _draw(drawing: Drawing, vpc: Vpc, kind: str, number: int, instances: list[Item]) -> None:
    random = drawing.random
    name = f"lb{drawing.number()}"
    groups = random.sample(vpc.groups, 1)
    if kind == "network" and chance(random, 0.4):
        groups = []
    subnets = random.sample(vpc.subnets, 1 + random.randrange(len(vpc.subnets)))
    path = name if kind == "classic" else f"{kind[:3]}/{name}/1"
    for subnet in subnets:
        _node(drawing, vpc, subnet, f"ELB {path}", groups, last=220 + number)
    zones = [{"SubnetId": subnet["SubnetId"]} for subnet in subnets]
    if kind == "classic":
        _classic(drawing, vpc, name, groups, zones=zones, instances=instances)
        return
    arn = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:loadbalancer/{path}"
    balancer: Item = {
        "LoadBalancerArn": arn,
        "LoadBalancerName": name,
        "Type": kind,
        "VpcId": vpc.id,
        "State": {"Code": "active"},
        "SecurityGroups": groups,
        "AvailabilityZones": zones,
    }
    if kind == "network" and chance(random, 0.4):
        balancer["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] = random.choice(
            ["on", "off"]
        )
    drawing.add("LoadBalancers", balancer)
    _attributes(drawing, "LoadBalancer", arn, ["load_balancing.cross_zone.enabled"])
    _listener(drawing, vpc, arn, kind, instances)
    if kind == "network" and chance(random, 0.4):
        drawing.add(
            "VpcEndpointServiceConfigurations",
            {
                "ServiceId": drawing.identity("vpce-svc"),
                "ServiceState": "Available",
                "NetworkLoadBalancerArns": [arn],
            },
        )


def _attributes(drawing: Drawing, kind: str, arn: str, keys: list[str]) -> None:
    random = drawing.random
    found = [
        {"Key": key, "Value": random.choice(["true", "false"])}
        for key in keys
        if chance(random, 0.5)
    ]
    drawing.add(f"{kind}Attributes", {f"{kind}Arn": arn, "Attributes": found})


def _node(
    drawing: Drawing, vpc: Vpc, subnet: Item, described: str, groups: list[str], *, last: int
) -> None:
    part = vpc.subnets.index(subnet)
    address = blocks.host(vpc.number, part, last)
    private: Item = {"Primary": True, "PrivateIpAddress": address}
    interface: Item = {
        "NetworkInterfaceId": drawing.identity("eni"),
        "VpcId": vpc.id,
        "SubnetId": subnet["SubnetId"],
        "AvailabilityZone": subnet["AvailabilityZone"],
        "Description": described,
        "InterfaceType": "interface",
        "OwnerId": ACCOUNT,
        "RequesterManaged": True,
        "SourceDestCheck": True,
        "Status": "in-use",
        "Attachment": {"InstanceOwnerId": "amazon-elb", "Status": "attached"},
        "Groups": [{"GroupId": group, "GroupName": group} for group in groups],
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [private],
        "Ipv6Addresses": [],
    }
    if vpc.internet_gateway and not chance(drawing.random, 0.3):
        private["Association"] = {
            "IpOwnerId": "amazon",
            "PublicIp": f"18.218.{vpc.number * 8 + part}.{last}",
        }
        interface["Association"] = dict(private["Association"])
    if subnet["Ipv6CidrBlockAssociationSet"] and chance(drawing.random, 0.5):
        six = blocks.host_six(vpc.number, part, last)
        interface["Ipv6Addresses"] = [{"Ipv6Address": six}]
    drawing.add("NetworkInterfaces", interface)


def _target_group(drawing: Drawing, vpc: Vpc, kind: str, instances: list[Item]) -> str:
    random = drawing.random
    arn = drawing.identity("targetgroup")
    port = random.choice(blocks.PORTS)
    protocol = "HTTP" if kind == "application" else random.choice(["TCP", "TCP", "TCP_UDP"])
    by_address = chance(random, 0.4)
    chosen = random.sample(instances, min(len(instances), 1 + random.randrange(3)))
    drawing.add(
        "TargetGroups",
        {
            "TargetGroupArn": arn,
            "TargetType": "ip" if by_address else "instance",
            "Protocol": protocol,
            "Port": port,
            "VpcId": vpc.id,
            "IpAddressType": "ipv4",
        },
    )
    drawing.add(
        "LoadBalancerTargetHealth",
        {
            "TargetGroupArn": arn,
            "TargetHealthDescriptions": [
                {
                    "Target": {
                        "Id": it["PrivateIpAddress" if by_address else "InstanceId"],
                        "Port": random.choice([port, port, 8080]),
                    },
                    "TargetHealth": {"State": random.choice(STATES)},
                }
                for it in chosen
            ],
        },
    )
    keys = ["load_balancing.cross_zone.enabled", "preserve_client_ip.enabled"]
    _attributes(drawing, "TargetGroup", arn, keys if kind == "network" else keys[:1])
    return arn


def _forward(drawing: Drawing, groups: list[str]) -> Item:
    random = drawing.random
    if chance(random, 0.3):
        weighed = [
            {"TargetGroupArn": group, "Weight": random.choice([0, 1, 5])} for group in groups
        ]
        return {"Type": "forward", "ForwardConfig": {"TargetGroups": weighed}}
    return {"Type": "forward", "TargetGroupArn": random.choice(groups)}


def _listener(drawing: Drawing, vpc: Vpc, arn: str, kind: str, instances: list[Item]) -> None:
    random = drawing.random
    groups = [_target_group(drawing, vpc, kind, instances) for _ in range(1 + random.randrange(2))]
    listeners = []
    for port in random.sample(blocks.PORTS, 1 + random.randrange(2)):
        listener = drawing.identity("listener")
        # Listener and target group of a Network Load Balancer speak the same protocol.
        usable = groups
        protocol = "HTTP"
        if kind == "network":
            protocol = next(
                it["Protocol"]
                for it in drawing.answers["TargetGroups"]
                if it["TargetGroupArn"] == groups[0]
            )
            usable = groups[:1]
        listeners.append(
            {
                "ListenerArn": listener,
                "LoadBalancerArn": arn,
                "Port": port,
                "Protocol": protocol,
                "DefaultActions": [_forward(drawing, usable)],
            }
        )
        if kind == "application":
            _rules(drawing, listener, groups)
    drawing.add("LoadBalancerListeners", {"LoadBalancerArn": arn, "Listeners": listeners})


def _rules(drawing: Drawing, listener: str, groups: list[str]) -> None:
    random = drawing.random
    rules = [
        {
            "RuleArn": drawing.identity("rule"),
            "Priority": str(priority),
            "IsDefault": False,
            "Conditions": _conditions(drawing),
            "Actions": [
                {"Type": "fixed-response"} if chance(random, 0.4) else _forward(drawing, groups)
            ],
        }
        for priority in random.sample(range(1, 50), random.randrange(3))
    ]
    drawing.add("ListenerRules", {"ListenerArn": listener, "Rules": rules})


def _conditions(drawing: Drawing) -> list[Item]:
    random = drawing.random
    source: Item = {
        "Field": "source-ip",
        "SourceIpConfig": {"Values": random.sample(blocks.OUTSIDE, 1 + random.randrange(2))},
    }
    path: Item = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}
    return random.choice([[source], [path], [source, path]])


def _classic(
    drawing: Drawing,
    vpc: Vpc,
    name: str,
    groups: list[str],
    *,
    zones: list[Item],
    instances: list[Item],
) -> None:
    random = drawing.random
    chosen = random.sample(instances, min(len(instances), 1 + random.randrange(2)))
    ids = [it["InstanceId"] for it in chosen]
    drawing.add(
        "LoadBalancersClassic",
        {
            "LoadBalancerName": name,
            "VPCId": vpc.id,
            "SecurityGroups": groups,
            "Subnets": [zone["SubnetId"] for zone in zones],
            "Instances": [{"InstanceId": it} for it in ids],
            "ListenerDescriptions": [
                {
                    "Listener": {
                        "Protocol": random.choice(["HTTP", "TCP"]),
                        "LoadBalancerPort": random.choice(blocks.PORTS),
                        "InstancePort": random.choice(blocks.PORTS),
                    }
                }
            ],
        },
    )
    states = [
        {"InstanceId": it, "State": random.choice(["InService", "OutOfService"])} for it in ids
    ]
    drawing.add("ClassicInstanceHealth", {"LoadBalancerName": name, "InstanceStates": states})
    cross = {"CrossZoneLoadBalancing": {"Enabled": chance(random, 0.5)}}
    drawing.add(
        "ClassicLoadBalancerAttributes",
        {"LoadBalancerName": name, "LoadBalancerAttributes": cross},
    )
