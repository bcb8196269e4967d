"""Look-ups over describe answers: which object has this id, this address, this association."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reachability.packet_simulator.packets import Address

Item: TypeAlias = Mapping[str, Any]
Answers: TypeAlias = Mapping[str, list[dict[str, Any]]]
Net: TypeAlias = IPv4Network | IPv6Network


def net(text: str) -> Net:
    """Return the network of a CIDR block."""
    return ip_network(text, strict=False)


def holds(block: str, address: Address) -> bool:
    """Return whether a CIDR block of the address's family has the address."""
    network = net(block)
    return network.version == address.version and address in network


def read_folder(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the answers of a folder of describe answers, of all its accounts and regions."""
    answers: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        lists = [value for value in document.values() if isinstance(value, list)]
        answers.setdefault(path.stem, []).extend(item for found in lists for item in found)
    return answers


class Described:
    """The answers of all accounts and regions of a network, together."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._opened: dict[str, Described] = {}

    def with_open_interfaces(self, description: str) -> Described:
        """Return the network with interfaces of a description that no group filters."""
        if description not in self._opened:
            opened = {"GroupId": f"open-{description}", "VpcId": ""}
            everything = {
                "IpProtocol": "-1",
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            }
            group = {**opened, "IpPermissions": [everything], "IpPermissionsEgress": [everything]}
            interfaces = [
                {**item, "Groups": [opened]} if item["Description"] == description else item
                for item in self.all("NetworkInterfaces")
            ]
            answers = {
                **self._answers,
                "NetworkInterfaces": interfaces,
                "SecurityGroups": [*self.all("SecurityGroups"), group],
            }
            self._opened[description] = Described(answers)
        return self._opened[description]

    def all(self, name: str) -> list[dict[str, Any]]:
        """Return the items of all answers of a name."""
        return self._answers.get(name, [])

    def _by(self, name: str, key: str) -> dict[str, Item]:
        return {item[key]: item for item in self.all(name)}

    @cached_property
    def vpcs(self) -> dict[str, Item]:
        return self._by("Vpcs", "VpcId")

    @cached_property
    def subnets(self) -> dict[str, Item]:
        return self._by("Subnets", "SubnetId")

    @cached_property
    def interfaces(self) -> dict[str, Item]:
        return self._by("NetworkInterfaces", "NetworkInterfaceId")

    @cached_property
    def groups(self) -> dict[str, Item]:
        return self._by("SecurityGroups", "GroupId")

    @cached_property
    def nats(self) -> dict[str, Item]:
        return self._by("NatGateways", "NatGatewayId")

    @cached_property
    def peerings(self) -> dict[str, Item]:
        return self._by("VpcPeeringConnections", "VpcPeeringConnectionId")

    @cached_property
    def endpoints(self) -> dict[str, Item]:
        return self._by("VpcEndpoints", "VpcEndpointId")

    @cached_property
    def instances(self) -> dict[str, Item]:
        return {
            instance["InstanceId"]: instance
            for reservation in self.all("Reservations")
            for instance in reservation["Instances"]
        }

    @cached_property
    def prefix_lists(self) -> dict[str, list[str]]:
        """The CIDR blocks of a prefix list, AWS's own and the customer's."""
        lists: dict[str, list[str]] = {}
        for item in self.all("PrefixLists"):
            lists.setdefault(item["PrefixListId"], []).extend(item.get("Cidrs", []))
        for item in self.all("ManagedPrefixListEntries"):
            blocks = [entry["Cidr"] for entry in item.get("Entries", [])]
            lists.setdefault(item["PrefixListId"], []).extend(blocks)
        return lists

    def block_mode(self, subnet: str) -> str:
        """Return how VPC Block Public Access treats a subnet: a mode, or empty where it is off."""
        if not subnet:
            return ""
        item = self.subnets[subnet]
        for described in (item, self.vpcs.get(item["VpcId"], {})):
            mode = described.get("BlockPublicAccessStates", {}).get("InternetGatewayBlockMode", "")
            if mode:
                return "" if mode == "off" else str(mode)
        return ""

    def subnet_blocks(self, subnet: str) -> Iterator[str]:
        """Yield a subnet's IPv4 and IPv6 blocks."""
        item = self.subnets[subnet]
        if item.get("CidrBlock"):
            yield item["CidrBlock"]
        for six in item.get("Ipv6CidrBlockAssociationSet", []):
            if six["Ipv6CidrBlockState"]["State"] == "associated":
                yield six["Ipv6CidrBlock"]

    def vpc_blocks(self, vpc: str) -> Iterator[str]:
        """Yield the blocks of a VPC that are associated."""
        item = self.vpcs[vpc]
        blocks = {item["CidrBlock"]} if item.get("CidrBlock") else set()
        for four in item.get("CidrBlockAssociationSet", []):
            if four["CidrBlockState"]["State"] == "associated":
                blocks.add(four["CidrBlock"])
        yield from sorted(blocks)
        for six in item.get("Ipv6CidrBlockAssociationSet", []):
            if six["Ipv6CidrBlockState"]["State"] == "associated":
                yield six["Ipv6CidrBlock"]

    def subnet_with(self, vpc: str, address: Address) -> str:
        """Return the subnet of a VPC that has an address, or an empty text."""
        for subnet, item in self.subnets.items():
            if item["VpcId"] == vpc and any(
                holds(block, address) for block in self.subnet_blocks(subnet)
            ):
                return subnet
        return ""

    @cached_property
    def _addresses(self) -> dict[str, dict[str, set[str]]]:
        """Interfaces' single addresses and delegated prefixes, by VPC."""
        found: dict[str, dict[str, set[str]]] = {}
        for interface, item in self.interfaces.items():
            found.setdefault(item["VpcId"], {})[interface] = set(_own_blocks(item))
        return found

    def interface_with(self, vpc: str, address: Address) -> str:
        """Return the interface in a VPC that has a private address or IPv6 address."""
        for interface, blocks in self._addresses.get(vpc, {}).items():
            if any(holds(block, address) for block in blocks):
                return interface
        return ""

    def public_owner(self, address: Address) -> tuple[str, Address] | None:
        """Return the interface and its private address behind a public address."""
        for interface, item in self.interfaces.items():
            for private, public in associations(item):
                if ip_address(public) == address:
                    return interface, ip_address(private)
            if address.version == 6 and any(holds(block, address) for block in _own_blocks(item)):
                return interface, address
        return None

    def public_of(self, vpc: str, private: Address) -> Address | None:
        """Return the public IPv4 address of a private one in a VPC."""
        interface = self.interface_with(vpc, private)
        if not interface:
            return None
        for own, public in associations(self.interfaces[interface]):
            if ip_address(own) == private:
                return ip_address(public)
        return None

    def internet_gateway_of(self, vpc: str) -> str:
        """Return the internet gateway that is attached to a VPC."""
        for item in self.all("InternetGateways"):
            if any(_attached(it, vpc) for it in item.get("Attachments", [])):
                return str(item["InternetGatewayId"])
        return ""

    def virtual_gateway_vpc(self, gateway: str) -> str:
        """Return the VPC that a virtual gateway is attached to."""
        for item in self.all("VpnGateways"):
            if item["VpnGatewayId"] == gateway and item["State"] == "available":
                for attachment in item.get("VpcAttachments", []):
                    if attachment["State"] == "attached":
                        return str(attachment["VpcId"])
        return ""

    def has_premises(self, gateway: str) -> bool:
        """Return whether a VPN or Direct Connect ends at a virtual gateway."""
        vpns = any(
            vpn.get("VpnGatewayId") == gateway and vpn["State"] == "available"
            for vpn in self.all("VpnConnections")
        )
        circuits = any(
            circuit.get("virtualGatewayId") == gateway
            and circuit["virtualInterfaceState"] == "available"
            for circuit in map(_lower, self.all("VirtualInterfaces"))
        )
        associated = any(
            _lower(it["associatedGateway"])["id"] == gateway
            and it["associationState"] == "associated"
            for it in map(_lower, self.all("DirectConnectGatewayAssociations"))
        )
        return vpns or circuits or associated

    def owner(self, interface: str) -> str:
        """Return the id of the thing whose interface this is: instance, NAT gateway, endpoint."""
        item = self.interfaces[interface]
        instance = item.get("Attachment", {}).get("InstanceId")
        if instance:
            return str(instance)
        return self.nat_of(interface) or interface

    def primary_interface(self, instance: str) -> str:
        """Return the first interface of an instance."""
        attached = [
            (item["Attachment"].get("DeviceIndex", 0), interface)
            for interface, item in self.interfaces.items()
            if item.get("Attachment", {}).get("InstanceId") == instance
        ]
        return min(attached)[1]

    def nat_of(self, interface: str) -> str:
        """Return the NAT gateway of an interface."""
        for nat, item in self.nats.items():
            if any(
                it.get("NetworkInterfaceId") == interface
                for it in item.get("NatGatewayAddresses", [])
            ):
                return nat
        return ""

    def acl_of(self, subnet: str) -> Item | None:
        """Return the network ACL of a subnet: its own or the VPC's default."""
        default = None
        for item in self.all("NetworkAcls"):
            if any(it["SubnetId"] == subnet for it in item.get("Associations", [])):
                return item
            if item.get("IsDefault") and item["VpcId"] == self.subnets[subnet]["VpcId"]:
                default = item
        return default

    def table_of_subnet(self, subnet: str) -> Item | None:
        """Return the route table of a subnet: its own or the VPC's main one."""
        main = None
        for item in self.all("RouteTables"):
            for it in _live(item.get("Associations", [])):
                if it.get("SubnetId") == subnet:
                    return item
                if it.get("Main") and item["VpcId"] == self.subnets[subnet]["VpcId"]:
                    main = item
        return main

    def table_of_gateway(self, gateway: str) -> Item | None:
        """Return the route table that is associated with an internet or virtual gateway."""
        for item in self.all("RouteTables"):
            if any(it.get("GatewayId") == gateway for it in _live(item.get("Associations", []))):
                return item
        return None


def associations(interface: Item) -> Iterator[tuple[str, str]]:
    """Yield an interface's private addresses that have a public one, with it."""
    for it in interface.get("PrivateIpAddresses", []):
        public = it.get("Association", {}).get("PublicIp")
        if public:
            yield it["PrivateIpAddress"], public


def _own_blocks(interface: Item) -> Iterator[str]:
    for it in interface.get("PrivateIpAddresses", []):
        yield it["PrivateIpAddress"]
    for it in interface.get("Ipv6Addresses", []):
        yield it["Ipv6Address"]
    for it in interface.get("Ipv4Prefixes", []):
        yield it["Ipv4Prefix"]
    for it in interface.get("Ipv6Prefixes", []):
        yield it["Ipv6Prefix"]


def _lower(item: Item) -> Item:
    """Return Direct Connect's members as its API writes them: some dumps write them otherwise."""
    return {key[0].lower() + key[1:]: value for key, value in item.items()}


def _attached(attachment: Item, vpc: str) -> bool:
    return attachment["VpcId"] == vpc and attachment["State"] in {"available", "attached"}


def _live(associated: Iterable[Item]) -> Iterator[Item]:
    for it in associated:
        if it.get("AssociationState", {}).get("State", "associated") == "associated":
            yield it
