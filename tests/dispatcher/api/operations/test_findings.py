"""ListFindings, BatchGetFindingDetails, ListFindingAggregations, SearchVulnerabilities."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.api.errors import ValidationError
from dispatcher.api.operations.aggregations import MEMBERS
from dispatcher.api.operations.findings import search_vulnerabilities
from sidelight.advisories import build
from sidelight.fleet.settings import Settings
from sidelight.store import SORT_FIELDS, Store
from tests.fixtures.api_calls import ApiCaller, service_model
from tests.fixtures.matches import osv
from tests.fixtures.searched_findings import ACCOUNTS, VECTOR, all_rows, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def caller(store: Store) -> ApiCaller:
    fill(store, 7, covers=True)
    return ApiCaller(store, ACCOUNTS[0], None)


def equals(value: str) -> list[dict[str, str]]:
    return [{"comparison": "EQUALS", "value": value}]


def test_all_findings_are_listed_and_valid(caller: ApiCaller) -> None:
    found = caller.all("ListFindings", "findings", maxResults=13)
    arns = [finding["findingArn"].replace("inspector2", "sidelight") for finding in found]
    assert sorted(arns) == sorted(row.arn for row in all_rows(caller.store))
    assert len(arns) == len(set(arns))


@pytest.mark.slow
@pytest.mark.parametrize("sort", sorted(SORT_FIELDS))
def test_every_sort_field_of_the_model_is_served(caller: ApiCaller, sort: str) -> None:
    assert sort in service_model().shape_for("SortField").enum
    for order in ("ASC", "DESC"):
        criteria = {"field": sort, "sortOrder": order}
        found = caller.all("ListFindings", "findings", sortCriteria=criteria, maxResults=50)
        assert len(found) == len(all_rows(caller.store))


def test_the_sort_fields_are_the_models() -> None:
    assert set(service_model().shape_for("SortField").enum) == SORT_FIELDS


def test_an_arn_of_an_answer_finds_its_finding(caller: ApiCaller) -> None:
    found = caller.call("ListFindings", maxResults=2)["findings"]
    arn = found[1]["findingArn"]
    again = caller.call("ListFindings", filterCriteria={"findingArn": equals(arn)})
    assert [finding["findingArn"] for finding in again["findings"]] == [arn]
    details = caller.call("BatchGetFindingDetails", findingArns=[arn, arn.replace("/0", "/f")])
    assert [item["findingArn"] for item in details["findingDetails"]] == [arn]
    assert details["errors"][0]["errorCode"] == "FINDING_DETAILS_NOT_FOUND"


def test_invalid_criteria_name_the_member(caller: ApiCaller) -> None:
    ranged = {"inspectorScore": [{"lowerInclusive": 9.0, "upperInclusive": 1.0}]}
    with pytest.raises(ValidationError) as raised:
        caller.call("ListFindings", filterCriteria=ranged)
    assert raised.value.fields[0].name == "filterCriteria.inspectorScore"


def test_a_token_of_another_query_is_refused(caller: ApiCaller) -> None:
    token = caller.call("ListFindings", maxResults=1)["nextToken"]
    with pytest.raises(ValidationError, match="nextToken"):
        caller.call("ListFindings", nextToken=token, filterCriteria={"severity": equals("HIGH")})
    with pytest.raises(ValidationError, match="nextToken"):
        replace(caller, account=ACCOUNTS[1]).call("ListFindings", nextToken=token)


def test_a_caller_sees_findings_of_its_accounts_alone(caller: ApiCaller) -> None:
    for account in ACCOUNTS:
        alone = replace(caller, account=account, accounts=frozenset())
        found = alone.all("ListFindings", "findings", maxResults=50)
        assert {finding["awsAccountId"] for finding in found} == {account}
        other = next(row for row in all_rows(caller.store) if row.account != account)
        arn = other.arn.replace("sidelight", "inspector2")
        assert alone.call("BatchGetFindingDetails", findingArns=[arn])["findingDetails"] == []
        criteria = {"awsAccountId": equals(other.account)}
        assert alone.call("ListFindings", filterCriteria=criteria)["findings"] == []


@pytest.mark.parametrize("kind", service_model().shape_for("AggregationType").enum)
def test_every_aggregation_type_answers(caller: ApiCaller, kind: str) -> None:
    groups = caller.all("ListFindingAggregations", "responses", aggregationType=kind, maxResults=3)
    assert bool(groups) is (kind in MEMBERS)
    alone = replace(caller, account=ACCOUNTS[1], accounts=frozenset())
    for group in alone.all("ListFindingAggregations", "responses", aggregationType=kind):
        assert group[MEMBERS[kind]]["accountId"] == ACCOUNTS[1]


def test_an_aggregation_is_sorted_and_filtered(caller: ApiCaller) -> None:
    request = {"packageAggregation": {
        "packageNames": [{"comparison": "PREFIX", "value": "open"}], "sortBy": "ALL",
        "sortOrder": "ASC",
    }}  # fmt: skip
    groups = caller.all(
        "ListFindingAggregations", "responses", aggregationType="PACKAGE",
        aggregationRequest=request, accountIds=equals(ACCOUNTS[0]),
    )  # fmt: skip
    packages = [group["packageAggregation"] for group in groups]
    assert packages
    assert all(package["packageName"].startswith("open") for package in packages)
    assert {package["accountId"] for package in packages} == {ACCOUNTS[0]}
    counts = [package["severityCounts"]["all"] for package in packages]
    assert counts == sorted(counts)


def test_an_aggregation_of_other_resources_is_empty(caller: ApiCaller) -> None:
    for member, wanted in (
        ("accountAggregation", {"resourceType": "AWS_LAMBDA_FUNCTION"}),
        ("amiAggregation", {"scanSources": ["MACHINE_IMAGE_SCAN"]}),
        ("vmInstanceAggregation", {"cloudProviders": equals("AZURE")}),
    ):
        kind = next(kind for kind, name in MEMBERS.items() if name == member)
        request = {member: wanted}
        answer = caller.call(
            "ListFindingAggregations", aggregationType=kind, aggregationRequest=request
        )
        assert answer["responses"] == []


def test_a_request_of_another_aggregation_is_refused(caller: ApiCaller) -> None:
    with pytest.raises(ValidationError, match="titleAggregation"):
        caller.call(
            "ListFindingAggregations", aggregationType="ACCOUNT",
            aggregationRequest={"titleAggregation": {}},
        )  # fmt: skip


def test_without_an_advisory_database_a_search_says_so(caller: ApiCaller) -> None:
    assert search_vulnerabilities is not None
    with pytest.raises(ValidationError, match="no advisory database"):
        caller.call("SearchVulnerabilities", filterCriteria={"vulnerabilityIds": ["CVE-2024-1"]})


def test_vulnerabilities_are_of_the_advisory_database(store: Store, tmp_path: Path) -> None:
    record = osv(
        "CVE-2024-1", "Debian:12", "openssl", "9", vector=VECTOR, summary="A buffer overflow"
    )
    (tmp_path / "feed.json").write_text(json.dumps(record))
    build([tmp_path / "feed.json"], tmp_path / "advisories.db")
    caller = ApiCaller(store, settings=Settings.of(advisories=str(tmp_path / "advisories.db")))

    def search(name: str) -> list[dict[str, Any]]:
        criteria = {"vulnerabilityIds": [name]}
        found: list[dict[str, Any]] = caller.call("SearchVulnerabilities", filterCriteria=criteria)[
            "vulnerabilities"
        ]
        return found

    (found,) = search("CVE-2024-1")
    assert (found["id"], found["source"]) == ("CVE-2024-1", "NVD")
    assert found["cvss3"] == {"baseScore": 9.8, "scoringVector": VECTOR}
    assert search("CVE-2024-2") == []


def test_a_findings_resource_has_addresses_key_profile_and_the_same_as_vm(
    caller: ApiCaller,
) -> None:
    resources = [
        resource
        for finding in caller.all("ListFindings", "findings")
        for resource in finding["resources"]
        if "details" in resource
    ]
    details = resources[0]["details"]
    machine, vm = details["awsEc2Instance"], details["vm"]
    assert machine["ipV4Addresses"][0] == "203.0.113.7"
    assert machine["ipV6Addresses"] == ["2001:db8::1"]
    assert machine["keyName"] == vm["keyName"] == "my-key"
    assert machine["iamInstanceProfileArn"] == vm["executionRole"]
    assert machine["launchedAt"] == vm["launchedAt"]
    assert vm["networkId"] == machine["vpcId"]
    assert len(vm["securityGroupIds"]) == 5


@pytest.mark.conformance
def test_findings_have_the_keys_of_recorded_ones(caller: ApiCaller, shared_data: Path) -> None:
    root = shared_data / "control-plane/inspector-shapes/custodian"
    recorded = json.loads(
        (root / "test_inspector2_finding/inspector2.ListFindings_1.json").read_text()
    )["data"]["findings"][0]
    of_packages = {"findingType": equals("PACKAGE_VULNERABILITY")}
    found = caller.all("ListFindings", "findings", filterCriteria=of_packages)
    keys: set[str] = set()
    for finding in found:
        keys |= set(_keys(finding))
    missing = set(_keys(recorded)) - keys
    # Inspector's own text, and what no feed has.
    assert {key for key in missing if not key.startswith(".resources[].tags")} <= {
        ".packageVulnerabilityDetails.vendorCreatedAt",
        ".packageVulnerabilityDetails.vendorUpdatedAt",
        ".packageVulnerabilityDetails.sourceUrl",
        ".packageVulnerabilityDetails.referenceUrls[]",
        ".remediation.recommendation.Url",
        ".resources[].details.awsEc2Instance.platform",
    } | {key for key in missing if "cvss" in key.lower() or "Adjust" in key}


def _keys(value: Any, where: str = "") -> list[str]:
    if isinstance(value, dict) and "__class__" not in value:
        return [key for name, item in value.items()
                for key in (f"{where}.{name}", *_keys(item, f"{where}.{name}"))]  # fmt: skip
    if isinstance(value, list):
        return [key for item in value for key in (f"{where}[]", *_keys(item, f"{where}[]"))]
    return []
