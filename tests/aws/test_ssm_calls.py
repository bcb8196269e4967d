"""Systems Manager's calls: shared rates, retries, renewed credentials, and bounded listings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from sidelight.aws.session import Session
from sidelight.aws.ssm.associations import AssociationSpec, StateManager
from sidelight.aws.ssm.calls import CHANGE, MOST_PAGES, READ, SsmCalls
from sidelight.errors import CloudError
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT, REGION = "123456789012", "eu-west-1"
GATHER = AssociationSpec("gather", "AWS-GatherSoftwareInventory", "rate(30 minutes)")
services = pytest.mark.services


@dataclass
class Limiter:
    """It records what it is called with."""

    before_calls: list[str] = field(default_factory=list)
    throttles: list[str] = field(default_factory=list)

    def before(self, kind: str) -> None:
        self.before_calls.append(kind)

    def throttled(self, kind: str) -> None:
        self.throttles.append(kind)


@dataclass
class Limiters:
    """A limiter by account and region."""

    by_place: dict[tuple[str, str], Limiter] = field(default_factory=dict)

    def pace(self, account: str, region: str) -> Limiter:
        return self.by_place.setdefault((account, region), Limiter())


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path / "cloud", strict_roles=False) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        yield cloud


def paced(session: Session, limiters: Limiters) -> SsmCalls:
    return SsmCalls(session.paced(limiters.pace), ACCOUNT, REGION, sleep=lambda _seconds: None)


@services
def test_each_attempt_of_a_call_waits_for_a_slot_of_its_account_and_region(
    cloud: LocalCloud,
) -> None:
    limiters = Limiters()
    cloud.plan = FaultPlan([Rule(FaultKind.UNAVAILABLE, "DescribeInstanceInformation", times=1)])
    ssm = paced(Session(), limiters)
    ssm.call("describe_instance_information", lambda client: client.describe_instance_information())
    ssm.call("list_associations", lambda client: client.list_associations())
    limiter = limiters.by_place[ACCOUNT, REGION]
    assert limiter.before_calls == [READ, READ, CHANGE]
    assert limiter.throttles == []


@services
def test_a_throttle_is_reported_and_the_call_repeated_by_us_alone(cloud: LocalCloud) -> None:
    limiters = Limiters()
    cloud.plan = FaultPlan([Rule(FaultKind.THROTTLE, "ListAssociations")])
    ssm = paced(Session(), limiters)
    with pytest.raises(CloudError, match="hrottl") as caught:
        ssm.call("list_associations", lambda client: client.list_associations())
    assert caught.value.where == f"{ACCOUNT}/{REGION} list_associations"
    assert limiters.by_place[ACCOUNT, REGION].throttles == [CHANGE] * 6
    assert cloud.calls("ListAssociations") == 6, "botocore makes one attempt"


@services
def test_expired_credentials_are_renewed(cloud: LocalCloud) -> None:
    session = Session(role_name="sidelight")
    ssm = paced(session, Limiters())
    ssm.call("list_associations", lambda client: client.list_associations())
    roles = cloud.calls("AssumeRole")
    expired = Rule(
        FaultKind.ERROR, "ListAssociations", times=1, code="ExpiredTokenException", status=400
    )
    cloud.plan = FaultPlan([expired])
    ssm.call("list_associations", lambda client: client.list_associations())
    assert cloud.calls("AssumeRole") == roles + 1


@services
def test_a_session_without_rates_waits_for_no_slot(cloud: LocalCloud) -> None:
    limiters = Limiters()
    session = Session()
    twin = session.paced(limiters.pace)
    assert session.limiter(ACCOUNT, REGION) is None
    SsmCalls(session, ACCOUNT, REGION).call(
        "list_associations", lambda client: client.list_associations()
    )
    assert cloud.calls("ListAssociations") == 1
    assert limiters.by_place == {}
    assert twin.client("s3") is session.client("s3"), "clients are shared"


@services
@pytest.mark.parametrize(("fault", "calls"), [(FaultKind.LOST_ANSWER, 1), (FaultKind.THROTTLE, 2)])
def test_the_creation_of_an_association_is_repeated_only_where_it_was_refused(
    cloud: LocalCloud, fault: FaultKind, calls: int
) -> None:
    cloud.plan = FaultPlan([Rule(fault, "CreateAssociation", times=1)])
    manager = StateManager(Session(), ACCOUNT, REGION)
    if fault is FaultKind.LOST_ANSWER:
        with pytest.raises(CloudError):
            manager.create(GATHER)
    else:
        manager.create(GATHER)
    assert cloud.calls("CreateAssociation") == calls
    assert [item.name for item in manager.associations()] == [GATHER.name]


def test_a_listing_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(MOST_PAGES + 10))
    ssm = SsmCalls(Session(region=REGION), ACCOUNT, REGION)
    monkeypatch.setattr(ssm, "call", lambda *_request: {"NextToken": str(next(numbers))})
    with pytest.raises(CloudError, match=f"more than {MOST_PAGES} pages"):
        list(ssm.pages("list_associations", lambda client, _following: client.list_associations()))
