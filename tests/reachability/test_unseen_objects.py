"""Objects that routes and interfaces name and no answer has: of another account, or refused."""

from __future__ import annotations

import pytest

from sidelight.reachability import Answers, EdgeKind, Network
from tests.reachability.drawing import ACCOUNT, REGION, Drawing, public_network, route, tcp

PARTICIPANT = "222222222222"
UNSEEN = "not accounted for: igw-1, which is not in the answers"


def _shared() -> tuple[Drawing, Drawing]:
    """A VPC's owner, and the account that runs an instance in the owner's shared subnet."""
    owner = Drawing()
    owner.vpc("vpc-1", "10.0.0.0/16", route("0.0.0.0/0", "igw-1"))
    owner.internet_gateway("igw-1", "vpc-1")
    owner.subnet("subnet-1", "vpc-1", "10.0.1.0/24", OwnerId=ACCOUNT)
    owner.group("sg-owner", "vpc-1", tcp(80, "sg-guest"))
    owner.instance("own", "subnet-1", "10.0.1.10", "sg-owner")
    guest = Drawing()
    for stem in ("Vpcs", "Subnets", "NetworkAcls", "RouteTables"):  # what a participant may see
        guest.lists[stem] = list(owner.lists[stem])
    guest.group("sg-guest", "vpc-1", tcp(22, "0.0.0.0/0"), tcp(5432, "sg-owner"))
    guest.instance(
        "guest", "subnet-1", "10.0.1.20", "sg-guest", public="198.51.100.20", OwnerId=PARTICIPANT
    )
    guest.lists["Reservations"][0]["OwnerId"] = PARTICIPANT
    return owner, guest


def test_a_participant_of_a_shared_subnet_alone_has_its_findings_with_a_note() -> None:
    _, guest = _shared()
    network = Network.from_answers(Answers({(PARTICIPANT, REGION): guest.lists}))
    (found,) = network.findings()
    assert (found.edge_id, found.port_begin, found.account) == ("igw-1", 22, PARTICIPANT)
    assert found.sources == ("0.0.0.0/0",)
    assert UNSEEN in found.notes
    explained = network.explain("internet", "i-guest", "tcp", 22)
    assert explained.reachable
    assert UNSEEN in explained.notes


def test_the_owner_and_the_participant_of_a_shared_subnet_are_one_network() -> None:
    owner, guest = _shared()
    network = Network.from_answers(
        Answers({(ACCOUNT, REGION): owner.lists, (PARTICIPANT, REGION): guest.lists})
    )
    (found,) = network.findings()
    assert (found.edge_id, found.account, found.notes) == ("igw-1", PARTICIPANT, ())
    assert network.explain("i-own", "i-guest", "tcp", 5432).reachable
    assert network.explain("i-guest", "i-own", "tcp", 80).reachable


def test_a_blackhole_infers_no_internet_gateway() -> None:
    drawing = public_network()
    drawing.lists["InternetGateways"].clear()
    for one in drawing.lists["RouteTables"][0]["Routes"][2:]:
        one["State"] = "blackhole"
    assert list(Network.from_answers(drawing.answers()).findings()) == []


@pytest.mark.parametrize("target", ["pcx-9", "tgw-9", "vgw-9", "vpce-9", "eni-9"])
def test_a_routes_target_that_is_in_no_answer_is_a_problem(target: str) -> None:
    drawing = public_network()
    drawing.lists["RouteTables"][0]["Routes"].append(route("10.9.0.0/16", target))
    problems = {
        problem.where: problem.what for problem in Network.from_answers(drawing.answers()).problems
    }
    what = f"not accounted for: {target}, which is not in the answers, as a way of vpc-1"
    assert problems == {"rtb-vpc-1": what}
    drawing.lists["RouteTables"][0]["Routes"][-1]["State"] = "blackhole"
    assert Network.from_answers(drawing.answers()).problems == ()


@pytest.mark.parametrize("target", ["pcx-9", "tgw-9"])
def test_an_explanation_says_that_the_object_that_stops_it_is_in_no_answer(target: str) -> None:
    drawing = public_network()
    drawing.lists["RouteTables"][0]["Routes"].append(route("10.9.0.0/16", target))
    explained = Network.from_answers(drawing.answers()).explain("i-web", "10.9.0.1", "tcp", 443)
    assert not explained.reachable
    assert explained.stopped_by is not None
    assert explained.stopped_by.id == target
    assert any(note.startswith(f"not accounted for: {target}") for note in explained.notes)


@pytest.mark.parametrize(
    ("kind", "description"),
    [
        ("global_accelerator_managed", ""),
        ("api_gateway_managed", ""),
        ("ec2_instance_connect_endpoint", ""),
        ("interface", "ClientVPN Endpoint resource"),
    ],
)
def test_an_interface_by_which_a_service_brings_packets_is_a_problem(
    kind: str, description: str
) -> None:
    drawing = public_network()
    drawing.interface(
        "service", "subnet-1", "10.0.1.77", InterfaceType=kind, Description=description
    )
    (problem,) = Network.from_answers(drawing.answers()).problems
    assert problem.where == "subnet-1"
    assert problem.what.startswith("not accounted for: eni-service (")
    assert problem.what.endswith(") as a way into vpc-1")


def test_routes_to_an_object_that_is_taken_away_lead_nowhere() -> None:
    network = Network.from_answers(public_network().answers())
    without = network.without(["igw-1"])
    assert list(without.findings()) == []
    explained = without.explain("i-web", "8.8.8.8", "tcp", 443)
    assert explained.verdict == "NULL_ROUTED"
    assert explained.stopped_by is not None
    assert explained.stopped_by.rule == "rtb-vpc-1/0.0.0.0/0"


@pytest.mark.parametrize("kind", ["nat_gateway", "natGateway"])
def test_a_nat_gateways_interface_is_known_by_either_of_its_names(kind: str) -> None:
    drawing = public_network()
    drawing.group("sg-2", "vpc-1", tcp(443, "0.0.0.0/0"))
    drawing.interface(
        "nat", "subnet-1", "10.0.1.50", "sg-2", public="198.51.100.50", InterfaceType=kind
    )
    drawing.lists["NatGateways"].append(
        {"NatGatewayId": "nat-1", "SubnetId": "subnet-1", "VpcId": "vpc-1",
         "NatGatewayAddresses": [{"PrivateIp": "10.0.1.50", "PublicIp": "198.51.100.50"}]}
    )  # fmt: skip
    explained = Network.from_answers(drawing.answers()).explain(
        "internet", "198.51.100.50", "tcp", 443
    )
    assert not explained.reachable
    assert explained.hops[-1] == "nat-1"


def test_an_edge_of_an_unseen_gateway_is_the_internet() -> None:
    drawing = public_network()
    drawing.lists["InternetGateways"].clear()
    kinds = {found.edge_kind for found in Network.from_answers(drawing.answers()).findings()}
    assert kinds == {EdgeKind.INTERNET_GATEWAY}
