"""Filters, their tags, keys, reports and on-demand scans."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dispatcher.api.errors import (
    BadRequestError,
    ResourceNotFoundError,
    ServiceQuotaExceededError,
    ValidationError,
)
from dispatcher.services import finding_filters
from dispatcher.services.finding_filters import FilterService
from sidelight.model import FindingStatus, SuppressionRule
from tests.fixtures.api_calls import ApiCaller
from tests.fixtures.stored_findings import ACCOUNT, inventory, package, says, scanned

if TYPE_CHECKING:
    from sidelight.store import Store

OTHER = "222222222222"
OPENSSL = {"vulnerablePackages": [{"name": {"comparison": "EQUALS", "value": "openssl"}}]}
KEY = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
DESTINATION = {"bucketName": "reports", "keyPrefix": "daily", "kmsKeyArn": KEY}


@pytest.fixture
def caller(store: Store) -> ApiCaller:
    database = says("openssl", "zlib")
    scanned(store, database, inventory(package("openssl"), package("zlib")))
    return ApiCaller(store, ACCOUNT)


def statuses(caller: ApiCaller) -> dict[str, str]:
    return {
        row.finding.package.name: row.status.value  # type: ignore[union-attr]
        for row in caller.store.findings.rows(status=None)
    }


def create(caller: ApiCaller, name: str = "rule", **request: object) -> str:
    wanted = {"action": "SUPPRESS", "filterCriteria": OPENSSL, "name": name, **request}
    return str(caller.call("CreateFilter", **wanted)["arn"])


def test_a_suppressing_filter_acts_before_its_answer(caller: ApiCaller) -> None:
    arn = create(caller)
    assert statuses(caller) == {"openssl": "SUPPRESSED", "zlib": "ACTIVE"}
    caller.call("UpdateFilter", filterArn=arn, action="NONE")
    assert statuses(caller) == {"openssl": "ACTIVE", "zlib": "ACTIVE"}
    caller.call("UpdateFilter", filterArn=arn, action="SUPPRESS", reason="accepted")
    caller.call("DeleteFilter", arn=arn)
    assert statuses(caller) == {"openssl": "ACTIVE", "zlib": "ACTIVE"}
    with pytest.raises(ResourceNotFoundError):
        caller.call("DeleteFilter", arn=arn)


def test_another_accounts_filter_suppresses_nothing_here(caller: ApiCaller) -> None:
    arn = create(replace(caller, account=OTHER))
    assert statuses(caller)["openssl"] == "ACTIVE"
    assert caller.call("ListFilters")["filters"] == []
    for operation, member in (
        ("DeleteFilter", "arn"), ("UpdateFilter", "filterArn"),
        ("ListTagsForResource", "resourceArn"),
    ):  # fmt: skip
        with pytest.raises(ResourceNotFoundError):
            caller.call(operation, **{member: arn})


def test_an_administrators_filter_suppresses_its_members_findings(caller: ApiCaller) -> None:
    operator = ApiCaller(caller.store, "999999999999", None)
    operator.call("EnableDelegatedAdminAccount", delegatedAdminAccountId=OTHER)
    create(replace(caller, account=OTHER))
    assert statuses(caller)["openssl"] == "ACTIVE"
    operator.call("AssociateMember", accountId=ACCOUNT)
    assert statuses(caller)["openssl"] == "SUPPRESSED"
    operator.call("DisassociateMember", accountId=ACCOUNT)
    assert statuses(caller)["openssl"] == "ACTIVE"


def test_a_filter_reads_back_as_it_was_created(caller: ApiCaller) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    criteria = OPENSSL | {"firstObservedAt": [{"startInclusive": since}]}
    arn = create(
        caller, filterCriteria=criteria, action="NONE", description="ours", tags={"team": "a"}
    )
    shown = caller.call("ListFilters", arns=[arn])["filters"][0]
    assert shown["criteria"] == criteria
    assert (shown["name"], shown["action"], shown["ownerId"]) == ("rule", "NONE", ACCOUNT)
    assert (shown["description"], shown["tags"]) == ("ours", {"team": "a"})
    caller.call("UpdateFilter", filterArn=arn, name="renamed")
    assert caller.call("ListFilters")["filters"][0]["name"] == "renamed"
    assert caller.call("ListFilters", action="SUPPRESS")["filters"] == []
    assert caller.call("ListFilters", arns=[])["filters"] == []


def test_filters_have_pages_names_of_their_own_and_a_quota(
    caller: ApiCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_filters, "MOST_FILTERS", 3)
    arns = [create(caller, f"rule-{number}") for number in range(3)]
    pages = list(caller.pages("ListFilters", "filters", maxResults=2))
    assert [len(page) for page in pages] == [2, 1]
    assert [one["arn"] for page in pages for one in page] == arns
    with pytest.raises(BadRequestError, match="exists"):
        create(caller, "rule-1")
    with pytest.raises(ServiceQuotaExceededError):
        create(caller, "rule-3")
    with pytest.raises(ValidationError):
        caller.call("UpdateFilter", filterArn=arns[0], name="rule-1")
    with pytest.raises(ValidationError, match="filterCriteria"):
        create(caller, filterCriteria={})


def test_the_operators_rules_are_filters_of_the_whole_fleet(caller: ApiCaller) -> None:
    FilterService(caller.store).save(SuppressionRule("fleet", '{"findingStatus":[{"comparison":'
                                                     '"EQUALS","value":"ACTIVE"}]}'))  # fmt: skip
    assert set(statuses(caller).values()) == {FindingStatus.SUPPRESSED.value}
    operator = replace(caller, accounts=None)
    shown = operator.call("ListFilters")["filters"]
    assert [one["name"] for one in shown] == ["fleet"]
    assert caller.call("ListFilters")["filters"] == []
    operator.call("DeleteFilter", arn=shown[0]["arn"])
    assert set(statuses(caller).values()) == {FindingStatus.ACTIVE.value}


def test_tags_of_a_filter(caller: ApiCaller) -> None:
    arn = create(caller)
    caller.call("TagResource", resourceArn=arn, tags={"a": "1", "b": "2"})
    caller.call("TagResource", resourceArn=arn, tags={"a": "3"})
    assert caller.call("ListTagsForResource", resourceArn=arn)["tags"] == {"a": "3", "b": "2"}
    caller.call("UntagResource", resourceArn=arn, tagKeys=["b", "c"])
    assert caller.call("ListTagsForResource", resourceArn=arn)["tags"] == {"a": "3"}
    with pytest.raises(BadRequestError):
        caller.call("TagResource", resourceArn=arn, tags={str(n): "" for n in range(50)})
    with pytest.raises(BadRequestError):
        caller.call("TagResource", resourceArn=arn, tags={"aws:x": ""})
    with pytest.raises(ResourceNotFoundError):
        caller.call("TagResource", resourceArn="arn:aws:ec2:x", tags={"a": "1"})


def test_an_encryption_key_reads_back_until_it_is_reset(caller: ApiCaller) -> None:
    where = {"scanType": "CODE", "resourceType": "AWS_LAMBDA_FUNCTION"}
    for operation in ("GetEncryptionKey", "ResetEncryptionKey"):
        with pytest.raises(ResourceNotFoundError):
            caller.call(operation, **where)
    caller.call("UpdateEncryptionKey", kmsKeyId=KEY, **where)
    assert caller.call("GetEncryptionKey", **where) == {"kmsKeyId": KEY}
    with pytest.raises(ResourceNotFoundError):
        replace(caller, account=OTHER).call("GetEncryptionKey", **where)
    caller.call("ResetEncryptionKey", **where)
    with pytest.raises(ResourceNotFoundError):
        caller.call("GetEncryptionKey", **where)


def test_one_report_at_a_time_an_account(caller: ApiCaller) -> None:
    request = {"reportFormat": "CSV", "s3Destination": DESTINATION}
    number = caller.call("CreateFindingsReport", **request)["reportId"]
    with pytest.raises(ValidationError, match="Cannot have multiple reports in-progress"):
        caller.call("CreateFindingsReport", **request)
    other = replace(caller, account=OTHER)
    other.call("CreateFindingsReport", **request)
    shown = caller.call("GetFindingsReportStatus", reportId=number)
    assert shown["status"] == "IN_PROGRESS"
    assert shown["destination"] == DESTINATION
    assert caller.call("GetFindingsReportStatus")["reportId"] == number
    with pytest.raises(ResourceNotFoundError):
        other.call("GetFindingsReportStatus", reportId=number)
    with pytest.raises(ResourceNotFoundError):
        other.call("CancelFindingsReport", reportId=number)
    caller.call("CancelFindingsReport", reportId=number)
    assert caller.call("GetFindingsReportStatus")["status"] == "CANCELLED"
    with pytest.raises(ValidationError):
        caller.call("CancelFindingsReport", reportId=number)
    assert caller.call("CreateFindingsReport", **request)["reportId"] != number


def test_one_sbom_export_at_a_time_an_account_beside_its_report(caller: ApiCaller) -> None:
    criteria = {"accountId": [{"comparison": "EQUALS", "value": ACCOUNT}]}
    request = {"reportFormat": "SPDX_2_3", "s3Destination": DESTINATION}
    caller.call("CreateFindingsReport", reportFormat="CSV", s3Destination=DESTINATION)
    number = caller.call("CreateSbomExport", resourceFilterCriteria=criteria, **request)["reportId"]
    with pytest.raises(ValidationError, match="Cannot have multiple reports in-progress"):
        caller.call("CreateSbomExport", **request)
    assert caller.call("GetSbomExport", reportId=number) == {
        "reportId": number,
        "format": "SPDX_2_3",
        "status": "IN_PROGRESS",
        "s3Destination": DESTINATION,
        "filterCriteria": criteria,
    }
    other = replace(caller, account=OTHER)
    for operation in ("GetSbomExport", "CancelSbomExport"):
        with pytest.raises(ResourceNotFoundError):
            other.call(operation, reportId=number)
    with pytest.raises(ResourceNotFoundError):
        caller.call("GetFindingsReportStatus", reportId=number)
    caller.call("CancelSbomExport", reportId=number)
    assert caller.call("GetSbomExport", reportId=number)["status"] == "CANCELLED"
    with pytest.raises(ValidationError):
        caller.call("CancelSbomExport", reportId=number)


def test_what_sidelight_cannot_do_is_refused_in_words(caller: ApiCaller) -> None:
    image = {"resourceId": "i-12345678", "resourceType": "AMI"}
    with pytest.raises(ValidationError, match="AMIs"):
        caller.call("StartOnDemandScan", **image)
    with pytest.raises(ResourceNotFoundError):
        caller.call("GetOnDemandScanStatus", scanId="abc", **image)
    assert caller.call("ListOnDemandScans", **image) == {"items": []}
