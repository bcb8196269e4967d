"""The operations by boto3 over a socket, in the order in which Terraform and people use them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dispatcher.api.operations import HANDLERS
from sidelight.fleet.settings import Settings
from sidelight.model import Role
from tests.fixtures import searched_findings
from tests.fixtures.api_requests import REGION, SEAL_TEXT, issued
from tests.fixtures.http_servers import served
from tests.fixtures.searched_findings import ACCOUNTS, all_rows, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.store import Store

pytestmark = [pytest.mark.services, pytest.mark.enable_socket]
MANAGER = "999999999999"
ADMIN, MEMBER, OTHER = ACCOUNTS
HIGH = {"severity": [{"comparison": "EQUALS", "value": "HIGH"}]}


@pytest.fixture
def connect(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Clients of a server of this store, whose times are not of whole milliseconds."""
    odd = searched_findings.START + timedelta(microseconds=270_588)
    monkeypatch.setattr(searched_findings, "START", odd)
    fill(store, 9, covers=True)
    settings = Settings.of(
        broker_url="redis://127.0.0.1:1/0", access_seal=SEAL_TEXT, api_calls_per_second=1e6,
        api_burst=10**6,
    )  # fmt: skip
    with served(store, settings, "127.0.0.1", HANDLERS) as server:

        def connected(account: str, **scope: Any) -> Any:
            key = issued(store, account=account, **scope)
            return boto3.client(
                "inspector2", region_name=REGION, endpoint_url=server.url,
                config=Config(proxies={}, retries={"total_max_attempts": 1}),
                aws_access_key_id=key.key.id, aws_secret_access_key=key.secret,
            )  # fmt: skip

        yield connected


def code(call: Callable[..., Any], **request: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def test_an_organization_is_configured_as_terraform_does(connect: Callable[..., Any]) -> None:
    manager = connect(MANAGER, accounts=None, role=Role.ADMINISTRATOR)
    admin, member = (connect(account, role=Role.ADMINISTRATOR) for account in (ADMIN, MEMBER))
    manager.enable_delegated_admin_account(delegatedAdminAccountId=ADMIN)
    assert code(member.enable_delegated_admin_account, delegatedAdminAccountId=MEMBER) == (
        "AccessDeniedException"
    )
    manager.associate_member(accountId=MEMBER)
    membership = admin.get_member(accountId=MEMBER)["member"]
    assert membership["relationshipStatus"] == "ENABLED"
    admin.enable(accountIds=[MEMBER], resourceTypes=["EC2"])
    states = admin.batch_get_account_status(accountIds=[MEMBER])["accounts"]
    assert states[0]["state"]["status"] == "ENABLED"
    admin.update_organization_configuration(autoEnable={"ec2": True, "ecr": False})
    described = admin.describe_organization_configuration()["autoEnable"]
    assert (described["ec2"], described["ecr"]) == (True, False)
    admin.update_configuration(ec2Configuration={"scanMode": "EC2_HYBRID"})
    inherited = member.get_configuration()["ec2Configuration"]["scanModeState"]["scanMode"]
    assert inherited == "EC2_HYBRID"
    assert code(member.disable, accountIds=[MEMBER]) == "AccessDeniedException"
    assert [one["accountId"] for one in admin.list_members()["members"]] == [MEMBER]


def test_errors_have_the_words_by_which_terraform_goes_on(connect: Callable[..., Any]) -> None:
    manager = connect(MANAGER, accounts=None, role=Role.ADMINISTRATOR)
    admin, member = (connect(account, role=Role.ADMINISTRATOR) for account in (ADMIN, MEMBER))
    manager.enable_delegated_admin_account(delegatedAdminAccountId=ADMIN)
    request = {"delegatedAdminAccountId": ADMIN, "clientToken": "another"}
    with pytest.raises(ClientError, match=r"ConflictException.*already enabled"):
        manager.enable_delegated_admin_account(**request)
    with pytest.raises(ClientError, match="ConflictException") as other:
        manager.enable_delegated_admin_account(delegatedAdminAccountId=MEMBER)
    assert "already enabled" not in str(other.value)
    with pytest.raises(ClientError, match=r"ValidationException.*is not yet associated to it"):
        admin.disassociate_member(accountId=MEMBER)
    denied = r"AccessDenied.*Invoking account does not have access to get member account"
    with pytest.raises(ClientError, match=denied):
        member.get_member(accountId=OTHER)
    manager.disable_delegated_admin_account(delegatedAdminAccountId=ADMIN)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        manager.disable_delegated_admin_account(delegatedAdminAccountId=MEMBER)
    with pytest.raises(ClientError, match="has no configuration"):
        admin.update_configuration()


def _values(finding: dict[str, Any]) -> Iterator[tuple[str, dict[str, object]]]:
    """Criteria by the values of a finding as it was answered."""
    for name in ("firstObservedAt", "lastObservedAt", "updatedAt"):
        yield name, {"startInclusive": finding[name], "endInclusive": finding[name]}
        yield name, {"startInclusive": finding[name]}
        yield name, {"endInclusive": finding[name]}
    details = finding.get("packageVulnerabilityDetails", {})
    texts = {
        "severity": finding["severity"],
        "title": finding["title"],
        "vendorSeverity": details.get("vendorSeverity"),
        "vulnerabilitySource": details.get("source"),
        "vulnerabilityId": details.get("vulnerabilityId"),
    }
    for name, value in texts.items():
        if value is not None and "?" not in value:  # "?" is answered for bytes that are not UTF-8
            yield name, {"comparison": "EQUALS", "value": value}
    for key, value in finding["resources"][0].get("tags", {}).items():
        yield "resourceTags", {"comparison": "EQUALS", "key": key, "value": value}


def test_each_value_of_an_answer_finds_its_finding(connect: Callable[..., Any]) -> None:
    aws = connect(ADMIN, role=Role.READER)
    found = aws.list_findings(maxResults=100)["findings"]
    tests = [(item["findingArn"], *criterion) for item in found for criterion in _values(item)]
    tags = [test for _, name, test in tests if name == "resourceTags"]
    assert {"", "test"} <= {tag["value"] for tag in tags}
    arns: dict[str, set[str]] = {}
    for arn, name, test in tests:
        query = f"{name} {test}"
        if query not in arns:
            pages = aws.get_paginator("list_findings").paginate(filterCriteria={name: [test]})
            arns[query] = {one["findingArn"] for page in pages for one in page["findings"]}
        assert arn in arns[query], query
    scanned = [row for row in aws.list_coverage()["coveredResources"] if "lastScannedAt" in row]
    assert scanned
    for row in scanned:
        at = row["lastScannedAt"]
        for test in ({"startInclusive": at, "endInclusive": at}, {"endInclusive": at}):
            again = aws.list_coverage(filterCriteria={"lastScannedAt": [test]})
            assert row in again["coveredResources"], test


def test_a_fleet_is_listed_filtered_and_suppressed(
    store: Store, connect: Callable[..., Any]
) -> None:
    aws = connect(ADMIN, role=Role.OPERATOR)
    rows = [row for row in all_rows(store) if row.account == ADMIN]
    pages = aws.get_paginator("list_findings").paginate(
        sortCriteria={"field": "SEVERITY", "sortOrder": "DESC"}, PaginationConfig={"PageSize": 7}
    )
    found = [finding["findingArn"] for page in pages for finding in page["findings"]]
    assert len(found) == len(set(found)) == len(rows)
    high = aws.list_findings(filterCriteria=HIGH)["findings"]
    assert {finding["severity"] for finding in high} == {"HIGH"}
    groups = aws.list_finding_aggregations(aggregationType="AWS_EC2_INSTANCE")["responses"]
    assert {group["ec2InstanceAggregation"]["accountId"] for group in groups} == {ADMIN}
    covered = aws.list_coverage()["coveredResources"]
    assert {row["accountId"] for row in covered} == {ADMIN}
    assert aws.list_coverage_statistics()["totalCounts"] == len(covered)
    arn = aws.create_filter(name="known", action="SUPPRESS", filterCriteria=HIGH)["arn"]
    aws.tag_resource(resourceArn=arn, tags={"team": "a"})
    assert aws.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "a"}
    active = {"findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}]}
    network = {"findingType": [{"comparison": "EQUALS", "value": "NETWORK_REACHABILITY"}]}
    shown = aws.list_findings(filterCriteria=HIGH | active | network)["findings"]
    assert shown == []
    assert aws.list_filters()["filters"][0]["arn"] == arn
    assert code(aws.enable, resourceTypes=["EC2"]) == "AccessDeniedException"
    reader = connect(MEMBER, role=Role.READER)
    assert reader.list_filters()["filters"] == []
    assert code(reader.delete_filter, arn=arn) == "AccessDeniedException"


def test_reports_have_one_place_an_account(connect: Callable[..., Any]) -> None:
    aws = connect(OTHER, role=Role.OPERATOR)
    key = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    request = {"reportFormat": "JSON", "s3Destination": {"bucketName": "b", "kmsKeyArn": key}}
    number = aws.create_findings_report(**request)["reportId"]
    # An equal call of the same second would be answered as the first.
    another = request | {"reportFormat": "CSV"}
    assert code(aws.create_findings_report, **another) == "ValidationException"
    assert aws.get_findings_report_status(reportId=number)["status"] == "IN_PROGRESS"
    aws.cancel_findings_report(reportId=number)
    assert aws.get_findings_report_status()["status"] == "CANCELLED"
