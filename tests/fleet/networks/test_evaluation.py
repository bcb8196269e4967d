"""An evaluation of a network: what it stores, covers and never closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from sidelight.errors import AccessDeniedError, CloudError
from sidelight.fleet.networks.evaluation import NetworkEvaluation, NetworkResult, evaluate
from sidelight.fleet.networks.gaps import REQUIRED
from sidelight.model import (
    Coverage,
    FindingChanges,
    FindingStatus,
    Instance,
    NetworkFinding,
    ScanType,
)
from sidelight.reachability.answers.stems import STEMS
from sidelight.store import Store
from tests.fixtures.network_answers import ACCOUNT, REGION, Answering, answers, cover
from tests.fixtures.store_templates import lay
from tests.fixtures.store_urls import quick_directory, sqlite_url

if TYPE_CHECKING:
    from tests.fakes.clocks import Clock

HOURS = 12.0


def run(store: Store, collector: Any, *, account: str = ACCOUNT) -> NetworkResult:
    """One evaluation, asked for."""
    store.network_evaluations.keep([(account, REGION)])
    store.network_evaluations.request([(account, REGION)])
    parts = NetworkEvaluation(store, lambda _account, _region: collector, HOURS * 3600, 60.0)
    result = evaluate(parts, account, REGION)
    assert result is not None
    return result


def open_ports(store: Store) -> set[tuple[str, int]]:
    return {
        (row.instance, row.finding.port_begin)
        for row in store.findings.rows()
        if isinstance(row.finding, NetworkFinding)
    }


def covered(store: Store) -> dict[str, Coverage]:
    return {row.instance: row for row in store.instances.coverage(ScanType.NETWORK)}


def test_findings_are_opened_closed_and_reopened_with_the_network(
    store: Store, clock: Clock
) -> None:
    cover(store, "i-1")
    assert run(store, Answering(answers(ports=(22, 80)))).findings == FindingChanges(2, 0, 0)
    assert open_ports(store) == {("i-1", 22), ("i-1", 80)}
    arns = {row.arn for row in store.findings.rows()}
    assert run(store, Answering(answers(ports=(80,)))).findings == FindingChanges(0, 1, 1)
    clock.advance(6 * 86400.0)
    assert run(store, Answering(answers(ports=(22, 80)))).findings == FindingChanges(1, 1, 0)
    assert {row.arn for row in store.findings.rows()} == arns


def test_coverage_says_when_the_network_was_evaluated_and_when_it_is_due(
    store: Store, clock: Clock
) -> None:
    cover(store, "i-1")
    run(store, Answering(answers()))
    row = covered(store)["i-1"]
    assert (row.status_code, row.reason, row.scanned_at) == ("ACTIVE", "SUCCESSFUL", clock())
    assert row.name == "web-1"
    (time,) = store.network_evaluations.times().values()
    assert (time.due_at - clock()).total_seconds() == HOURS * 3600


def test_an_unchanged_network_writes_no_finding_rows(store: Store) -> None:
    cover(store, "i-1", "i-2")
    run(store, Answering(answers(vpcs=2)))
    written: list[str] = []

    def note(*args: object) -> None:
        words = str(args[2]).split(maxsplit=3)
        if words[0] in ("INSERT", "UPDATE", "DELETE"):
            written.append(words[2] if words[0] == "INSERT" else words[1])

    event.listen(store._database.engine, "before_cursor_execute", note)
    run(store, Answering(answers(vpcs=2)))
    assert not {"findings", "finding_details", "finding_events"} & set(written)


def test_instances_that_the_planner_excludes_are_not_evaluated(store: Store) -> None:
    cover(store, "i-1")
    cover(store, "i-2", reason="EXCLUDED_BY_TAG")
    run(store, Answering(answers(vpcs=3)))
    assert open_ports(store) == {("i-1", 22)}
    assert covered(store)["i-2"].reason == "EXCLUDED_BY_TAG"


def test_a_stopped_instance_keeps_its_findings(store: Store) -> None:
    cover(store, "i-1")
    run(store, Answering(answers()))
    assert run(store, Answering(answers(state="stopped"))).findings == FindingChanges()
    assert open_ports(store) == {("i-1", 22)}
    assert covered(store)["i-1"].reason == "EC2_INSTANCE_STOPPED"


def test_a_terminated_instances_findings_are_closed(store: Store, clock: Clock) -> None:
    cover(store, "i-1", "i-2")
    run(store, Answering(answers(vpcs=2)))
    run(store, Answering(answers(vpcs=1)))
    assert open_ports(store) == {("i-1", 22)}
    assert covered(store)["i-2"].reason == "RESOURCE_TERMINATED"
    clock.advance(3 * 86400.0 + 1)
    assert store.retention.run().findings == 1


@pytest.mark.parametrize("denied", REQUIRED)
def test_without_a_required_answer_findings_stay_and_coverage_names_the_permission(
    store: Store, denied: str
) -> None:
    cover(store, "i-1")
    run(store, Answering(answers()))
    result = run(store, Answering(answers(ports=()), frozenset({denied})))
    assert result.problems
    assert open_ports(store) == {("i-1", 22)}
    row = covered(store)["i-1"]
    assert (row.status_code, row.reason) == ("INACTIVE", "ACCESS_DENIED")
    assert f"ec2:{denied}" in row.detail


def test_a_refused_call_of_load_balancers_leaves_direct_paths_evaluated(store: Store) -> None:
    cover(store, "i-1")
    run(store, Answering(answers()))
    denied = frozenset({"LoadBalancers", "TargetGroups"})
    assert run(store, Answering(answers(ports=()), denied)).findings == FindingChanges(0, 0, 1)
    assert covered(store)["i-1"].reason == "PARTIAL"


def test_a_refused_call_about_one_vpcs_object_leaves_the_other_vpcs(store: Store) -> None:
    cover(store, "i-1", "i-2")
    lists = answers(vpcs=2)
    arn = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/front/1"
    lists["LoadBalancers"] = [{"LoadBalancerArn": arn, "VpcId": "vpc-1"}]
    run(store, Answering(lists, refused=[("LoadBalancerAttributes", arn)]))
    rows = covered(store)
    assert (rows["i-1"].reason, rows["i-2"].reason) == ("PARTIAL", "SUCCESSFUL")


def test_what_the_model_knows_nothing_about_makes_coverage_partial_and_keeps_nothing_open(
    store: Store,
) -> None:
    cover(store, "i-1", "i-2")
    lists = answers(vpcs=2)
    lists["RouteTables"][0]["Routes"].append(
        {"DestinationCidrBlock": "172.16.0.0/12", "State": "active", "Origin": "CreateRoute",
         "CoreNetworkArn": "arn:aws:networkmanager::1:core-network/core-network-1"}
    )  # fmt: skip
    run(store, Answering(lists))
    rows = covered(store)
    assert (rows["i-1"].reason, rows["i-2"].reason) == ("PARTIAL", "SUCCESSFUL")
    assert "not accounted for" in rows["i-1"].detail
    lists["SecurityGroups"][0]["IpPermissions"] = []
    assert run(store, Answering(lists)).findings == FindingChanges(0, 1, 1)


class Failing:
    """A collector of an account-region that answers nothing."""

    def __init__(self, error: Exception) -> None:
        self.problems: list[Any] = []
        self.refused: list[tuple[str, str]] = []
        self.error = error

    def collect(self) -> dict[str, list[object]]:
        raise self.error


def test_a_denied_account_is_covered_as_such_and_closes_nothing(store: Store) -> None:
    cover(store, "i-1")
    run(store, Answering(answers()))
    denied = AccessDeniedError("the role needs ec2:DescribeVpcs", where=ACCOUNT)
    assert run(store, Failing(denied)).failure
    assert open_ports(store) == {("i-1", 22)}
    assert covered(store)["i-1"].reason == "ACCESS_DENIED"


def test_a_passing_failure_is_tried_again_and_changes_no_coverage(
    store: Store, clock: Clock
) -> None:
    cover(store, "i-1")
    run(store, Answering(answers()))
    assert run(store, Failing(CloudError("timed out", where=ACCOUNT))).failure
    assert covered(store)["i-1"].reason == "SUCCESSFUL"
    (time,) = store.network_evaluations.times().values()
    assert time.due_at > clock()
    clock.advance(61.0)
    assert store.network_evaluations.due() == [(ACCOUNT, REGION)]


_DENIED = st.frozensets(st.sampled_from(sorted(STEMS)), min_size=1, max_size=6)


@pytest.mark.slow
@settings(max_examples=60)
@given(denied=_DENIED)
def test_a_partial_collection_never_closes_what_is_open(denied: frozenset[str]) -> None:
    with quick_directory() as directory:
        lay(sqlite_url(directory))
        store = Store(sqlite_url(directory))
        cover(store, "i-1", "i-2")
        run(store, Answering(answers(vpcs=2, ports=(22, 443))))
        before = {row.arn for row in store.findings.rows(status=FindingStatus.ACTIVE)}
        lists = answers(vpcs=2, ports=(22, 443))
        # A parent that is refused takes the answers about its objects with it.
        lost = denied | {name for name, stem in STEMS.items() if stem.parent in denied}
        run(store, Answering(lists, lost))
        after = {row.arn for row in store.findings.rows(status=FindingStatus.ACTIVE)}
        store.close()
        assert before <= after


def test_a_peers_groups_open_ports_where_both_accounts_are_evaluated(store: Store) -> None:
    own_answers, other_answers = answers(vpcs=1, ports=()), answers(vpcs=2, ports=())
    other = "2" * 12
    other_answers = _owned({stem: items[1:] for stem, items in other_answers.items()}, other)
    peering = {
        "VpcPeeringConnectionId": "pcx-1",
        "Status": {"Code": "active"},
        "RequesterVpcInfo": _side("vpc-1", "10.1.0.0/16", ACCOUNT),
        "AccepterVpcInfo": _side("vpc-2", "10.2.0.0/16", other),
    }
    for lists in (own_answers, other_answers):
        lists["VpcPeeringConnections"] = [peering]
    own_answers["RouteTables"][0]["Routes"].append(
        {"DestinationCidrBlock": "10.2.0.0/16", "VpcPeeringConnectionId": "pcx-1",
         "State": "active", "Origin": "CreateRoute"}
    )  # fmt: skip
    own_answers["SecurityGroups"][0]["IpPermissions"] = [
        {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
         "UserIdGroupPairs": [{"GroupId": "sg-2", "UserId": other}]}
    ]  # fmt: skip
    cover(store, "i-1")
    run(store, Answering(own_answers))
    assert open_ports(store) == set()
    run(store, Answering(other_answers), account=other)
    # The first evaluation of the other account asks for this one's again.
    assert (ACCOUNT, REGION) in store.network_evaluations.due()
    run(store, Answering(own_answers))
    assert open_ports(store) == {("i-1", 5432)}


def _owned(lists: dict[str, list[Any]], account: str) -> dict[str, list[Any]]:
    return {
        stem: [{**item, "OwnerId": account} if "OwnerId" in item else item for item in items]
        for stem, items in lists.items()
    }


def _side(vpc: str, block: str, owner: str) -> dict[str, object]:
    return {"VpcId": vpc, "OwnerId": owner, "Region": REGION, "CidrBlock": block,
            "CidrBlockSet": [{"CidrBlock": block}]}  # fmt: skip


def test_addresses_of_both_families_are_one_finding(store: Store) -> None:
    lists = answers()
    lists["Vpcs"][0]["Ipv6CidrBlockAssociationSet"] = [
        {"Ipv6CidrBlock": "2600:1f18::/56", "Ipv6CidrBlockState": {"State": "associated"}}
    ]
    lists["Subnets"][0]["Ipv6CidrBlockAssociationSet"] = [
        {"Ipv6CidrBlock": "2600:1f18::/64", "Ipv6CidrBlockState": {"State": "associated"}}
    ]
    lists["NetworkInterfaces"][0]["Ipv6Addresses"] = [{"Ipv6Address": "2600:1f18::10"}]
    lists["RouteTables"][0]["Routes"].append(
        {"DestinationIpv6CidrBlock": "::/0", "GatewayId": "igw-1", "State": "active",
         "Origin": "CreateRoute"}
    )  # fmt: skip
    lists["SecurityGroups"][0]["IpPermissions"][0]["Ipv6Ranges"] = [{"CidrIpv6": "::/0"}]
    lists["NetworkAcls"][0]["Entries"] += [
        {"Ipv6CidrBlock": "::/0", "Egress": egress, "Protocol": "-1", "RuleAction": "allow",
         "RuleNumber": 101} for egress in (True, False)
    ]  # fmt: skip
    cover(store, "i-1")
    run(store, Answering(lists))
    (row,) = store.findings.rows()
    assert isinstance(row.finding, NetworkFinding)
    assert row.finding.families == (4, 6)
    assert row.finding.sources == ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    ("decided", "expected", "left"),
    [
        ("excluded", ("INACTIVE", "EXCLUDED_BY_TAG"), set()),
        ("terminated", ("INACTIVE", "RESOURCE_TERMINATED"), set()),
        ("disabled", ("INACTIVE", "PENDING_DISABLE"), {("i-1", 22)}),
        ("nothing", ("ACTIVE", "SUCCESSFUL"), {("i-1", 22)}),
    ],
)
def test_what_a_discovery_decides_during_an_evaluation_stays(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    decided: str,
    expected: tuple[str, str],
    left: set[tuple[str, int]],
) -> None:
    store.instances.looked_at(ACCOUNT, [Instance("i-1", ACCOUNT, REGION, "running", ())], [])
    cover(store, "i-1")
    evaluation = store.network_findings.evaluate

    def overtaken(*arguments: Any) -> FindingChanges:
        if decided == "terminated":
            store.instances.looked_at(ACCOUNT, [], ["i-1"])
        elif decided != "nothing":
            cover(store, "i-1", reason=expected[1])
        if decided in ("terminated", "excluded"):
            store.findings.close_instances(ACCOUNT, ["i-1"])
        return evaluation(*arguments)

    monkeypatch.setattr(store.network_findings, "evaluate", overtaken)
    run(store, Answering(answers()))
    row = covered(store)["i-1"]
    assert (row.status_code, row.reason) == expected
    assert open_ports(store) == left
