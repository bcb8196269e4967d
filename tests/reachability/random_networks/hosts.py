"""Random network interfaces, their instances, and NAT gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reachability.random_networks import blocks
from tests.reachability.random_networks.blocks import chance
from tests.reachability.random_networks.drawing import ACCOUNT

if TYPE_CHECKING:
    from tests.reachability.random_networks.drawing import Drawing, Item, Vpc


def draw_interfaces(drawing: Drawing, vpc: Vpc) -> None:
    """Draw up to two interfaces in every subnet, most of them an instance's."""
    for part, subnet in enumerate(vpc.subnets):
        for place in range(drawing.random.choices(range(3), [2, 6, 3])[0]):
            interface = _interface(drawing, vpc, subnet, part, 10 + place)
            if not chance(drawing.random, 0.06):
                _attach(drawing, vpc, interface)


def _interface(drawing: Drawing, vpc: Vpc, subnet: Item, part: int, last: int) -> Item:
    random = drawing.random
    address = blocks.host(vpc.number, part, last)
    interface = {
        "NetworkInterfaceId": drawing.identity("eni"),
        "VpcId": vpc.id,
        "SubnetId": subnet["SubnetId"],
        "AvailabilityZone": subnet["AvailabilityZone"],
        "Description": "",
        "InterfaceType": "interface",
        "OwnerId": ACCOUNT,
        "RequesterManaged": False,
        "SourceDestCheck": True,
        "Status": "available",
        "Groups": [
            {"GroupId": group, "GroupName": group}
            for group in random.sample(vpc.groups, 1 + random.randrange(len(vpc.groups)))
        ],
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": address}],
        "Ipv6Addresses": [],
    }
    if chance(random, 0.2):
        interface["PrivateIpAddresses"] += [
            {"Primary": False, "PrivateIpAddress": blocks.host(vpc.number, part, last + 100)}
        ]
    for private in interface["PrivateIpAddresses"]:
        if vpc.internet_gateway and chance(random, 0.6):
            private["Association"] = {
                "IpOwnerId": "amazon",
                "PublicIp": _public(vpc, part, private["PrivateIpAddress"]),
            }
    first = interface["PrivateIpAddresses"][0].get("Association")
    if first:
        interface["Association"] = dict(first)
    if subnet["Ipv6CidrBlockAssociationSet"] and not chance(random, 0.2):
        interface["Ipv6Addresses"] = [{"Ipv6Address": blocks.host_six(vpc.number, part, last)}]
    if chance(random, 0.05):
        interface["Ipv4Prefixes"] = [
            {"Ipv4Prefix": f"10.{vpc.number}.{part}.{128 if last == 10 else 144}/28"}
        ]
    vpc.interfaces.append(interface["NetworkInterfaceId"])
    return drawing.add("NetworkInterfaces", interface)


def _public(vpc: Vpc, part: int, private: str) -> str:
    return f"18.216.{vpc.number * 8 + part}.{private.rpartition('.')[2]}"


def _attach(drawing: Drawing, vpc: Vpc, interface: Item) -> None:
    """Attach an interface to a new instance, or as the second of an instance of the same zone."""
    zone = interface["AvailabilityZone"]
    instances = [
        instance
        for reservation in drawing.answers["Reservations"]
        for instance in reservation["Instances"]
        if instance["VpcId"] == vpc.id and instance["Placement"]["AvailabilityZone"] == zone
    ]
    if instances and chance(drawing.random, 0.15):
        instance = instances[0]
        index = len(instance["NetworkInterfaces"])
    else:
        instance = {
            "InstanceId": drawing.identity("i"),
            "VpcId": vpc.id,
            "SubnetId": interface["SubnetId"],
            "PrivateIpAddress": interface["PrivateIpAddress"],
            "State": {"Code": 16, "Name": "running"},
            "Placement": {"AvailabilityZone": zone},
            "NetworkInterfaces": [],
        }
        index = 0
        drawing.add(
            "Reservations",
            {
                "ReservationId": drawing.identity("r"),
                "OwnerId": ACCOUNT,
                "Instances": [instance],
            },
        )
    attachment = {
        "AttachmentId": drawing.identity("eni-attach"),
        "DeviceIndex": index,
        "Status": "attached",
    }
    instance["NetworkInterfaces"].append(
        {"NetworkInterfaceId": interface["NetworkInterfaceId"], "Attachment": dict(attachment)}
    )
    interface["Status"] = "in-use"
    interface["Attachment"] = {
        **attachment,
        "InstanceId": instance["InstanceId"],
        "InstanceOwnerId": ACCOUNT,
    }


def draw_nats(drawing: Drawing, vpc: Vpc) -> None:
    """Draw a NAT gateway, public or private, in some VPCs."""
    if not chance(drawing.random, 0.3):
        return
    part = drawing.random.randrange(len(vpc.subnets))
    subnet = vpc.subnets[part]
    public = vpc.internet_gateway and not chance(drawing.random, 0.3)
    address = blocks.host(vpc.number, part, 200)
    nat = drawing.identity("nat")
    private = {"Primary": True, "PrivateIpAddress": address}
    own = {"NetworkInterfaceId": drawing.identity("eni"), "PrivateIp": address}
    interface = {
        "NetworkInterfaceId": own["NetworkInterfaceId"],
        "VpcId": vpc.id,
        "SubnetId": subnet["SubnetId"],
        "AvailabilityZone": subnet["AvailabilityZone"],
        "Description": f"Interface for NAT Gateway {nat}",
        "InterfaceType": "nat_gateway",
        "OwnerId": ACCOUNT,
        "RequesterManaged": True,
        "SourceDestCheck": False,
        "Status": "in-use",
        "Attachment": {
            "AttachmentId": drawing.identity("ela-attach"),
            "DeviceIndex": 1,
            "InstanceOwnerId": "amazon-aws",
            "Status": "attached",
        },
        "Groups": [],
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [private],
        "Ipv6Addresses": [],
    }
    if public:
        outside = f"18.217.{vpc.number}.{part + 1}"
        association = {"IpOwnerId": ACCOUNT, "PublicIp": outside}
        private["Association"] = association
        interface["Association"] = dict(association)
        own["PublicIp"] = outside
        own["AllocationId"] = drawing.identity("eipalloc")
    drawing.add("NetworkInterfaces", interface)
    drawing.add(
        "NatGateways",
        {
            "NatGatewayId": nat,
            "VpcId": vpc.id,
            "SubnetId": subnet["SubnetId"],
            "State": "available",
            "ConnectivityType": "public" if public else "private",
            "NatGatewayAddresses": [own],
            "Tags": [],
        },
    )
    vpc.nats.append(nat)
