"""ListFindingAggregations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.operations.request_values import (
    Document,
    invalid,
    number,
    position,
    structure,
    structures,
    text,
    texts,
    token,
)
from sidelight.model import Severity
from sidelight.store import AGGREGATION_KEYS, FindingAggregation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from sidelight.store import FindingGroup

PAGE = 100
# Aggregation type -> the member of request and answer.
MEMBERS: Final = {
    "ACCOUNT": "accountAggregation",
    "AMI": "amiAggregation",
    "AWS_EC2_INSTANCE": "ec2InstanceAggregation",
    "FINDING_TYPE": "findingTypeAggregation",
    "PACKAGE": "packageAggregation",
    "TITLE": "titleAggregation",
    "VM_INSTANCE": "vmInstanceAggregation",
}
# Members of the requests that are string filters -> columns of the groups.
_TEXTS: Final = {
    "amis": "image",
    "vmImageReferences": "image",
    "operatingSystems": "platform",
    "instanceIds": "instance",
    "resourceIds": "instance",
    "packageNames": "package",
    "titles": "title",
    "vulnerabilityIds": "vulnerability",
    "cloudRegions": "region",
    "cloudAccountIds": "account",
}
# What all findings have, by the member that filters it.
_SAME: Final = {"cloudProviders": "AWS", "cloudPartitions": "aws", "cloudOrgIds": ""}
_RESOURCES: Final = ("", "AWS_EC2_INSTANCE")


def list_finding_aggregations(call: Call, request: ApiRequest) -> ApiResponse:
    """ListFindingAggregations: of active findings; other types than EC2's have no groups."""
    kind = text(request, "aggregationType")
    answer: dict[str, object] = {"aggregationType": kind, "responses": []}
    criteria = structure(request, "aggregationRequest")
    member = MEMBERS.get(kind, "")
    others = [name for name in criteria if name != member]
    if others and kind in AGGREGATION_KEYS:
        raise invalid(f"aggregationRequest.{others[0]}", f"is not of aggregationType {kind}")
    wanted = structure(criteria, member)
    if kind not in AGGREGATION_KEYS or not _fits(wanted):
        return answer
    aggregation = FindingAggregation(
        kind,
        call.visible_accounts(),
        _filters(request, wanted),
        [(text(item, "key"), _value(item)) for item in structures(wanted, "instanceTags")],
        text(wanted, "findingType"),
        text(wanted, "sortBy", "CRITICAL"),
        text(wanted, "sortOrder", "DESC") == "DESC",
    )
    size = number(request, "maxResults", PAGE)
    try:
        page = call.services.store.aggregations.page(aggregation, size, position(call, request))
    except ValueError as error:
        raise invalid("nextToken", "is of another request") from error
    answer["responses"] = [{member: _group(kind, group)} for group in page.groups]
    return answer | token(call, page.position)


def _fits(wanted: Document) -> bool:
    """Whether EC2's findings can match: the other resources and providers have none."""
    if text(wanted, "resourceType") not in _RESOURCES:
        return False
    sources = texts(wanted, "scanSources")
    if sources and "INSTANCE_SCAN" not in sources:
        return False
    return all(
        _matches(value, [(text(t, "comparison"), text(t, "value")) for t in tests])
        for name, value in _SAME.items()
        if (tests := structures(wanted, name))
    )


def _matches(value: str, tests: Sequence[tuple[str, str]]) -> bool:
    if any(comparison == "NOT_EQUALS" and operand == value for comparison, operand in tests):
        return False
    positive = [test for test in tests if test[0] != "NOT_EQUALS"]
    return not positive or any(
        value == operand if comparison == "EQUALS" else value.startswith(operand)
        for comparison, operand in positive
    )


def _value(item: Document) -> str | None:
    return text(item, "value") if "value" in item else None


def _filters(request: Document, wanted: Document) -> dict[str, list[tuple[str, str]]]:
    filters: dict[str, list[tuple[str, str]]] = {}
    tests_of = [(column, structures(wanted, name)) for name, column in _TEXTS.items()]
    for column, tests in [("account", structures(request, "accountIds")), *tests_of]:
        if tests:
            pairs = [(text(test, "comparison"), text(test, "value")) for test in tests]
            filters.setdefault(column, []).extend(pairs)
    return filters


def _group(kind: str, group: FindingGroup) -> dict[str, object]:
    keys = group.keys
    answer: dict[str, object] = {
        "accountId": keys["account"],
        "severityCounts": {
            "all": group.all,
            **{grade.value.lower(): group.severities[grade] for grade in Severity},
        },
    }
    if kind in ("ACCOUNT", "FINDING_TYPE"):
        answer["exploitAvailableCount"] = group.exploitable
        answer["fixAvailableCount"] = group.fixable
    elif kind == "AMI":
        answer |= {"ami": keys["image"], "affectedInstances": group.instances}
        answer |= {"cloudProvider": "AWS", "cloudAccountId": keys["account"]}
        answer |= {"cloudPartition": "aws", "scanSource": "INSTANCE_SCAN"}
        answer |= {"cloudRegion": group.region} if group.region else {}
    elif kind == "PACKAGE":
        answer["packageName"] = keys["package"]
    elif kind == "TITLE":
        answer["title"] = keys["title"] or "unknown"
        if keys["vulnerability"]:
            answer["vulnerabilityId"] = keys["vulnerability"]
    else:
        answer |= _instance(kind, group)
    return answer


def _instance(kind: str, group: FindingGroup) -> dict[str, object]:
    image = group.instance.image_id if group.instance else ""
    tags = dict(group.instance.tags) if group.instance else {}
    answer: dict[str, object] = {"networkFindings": group.network}
    if group.platform:
        answer["operatingSystem"] = group.platform
    if kind == "AWS_EC2_INSTANCE":
        answer |= {"instanceId": group.keys["instance"], "instanceTags": tags}
        return answer | ({"ami": image} if image else {})
    answer |= {
        "resourceId": group.keys["instance"],
        "tags": tags,
        "cloudProvider": "AWS",
        "cloudAccountId": group.keys["account"],
        "cloudPartition": "aws",
        "cloudRegion": group.region,
        "exploitAvailableActiveFindingsCount": group.exploitable,
        "fixAvailableActiveFindingsCount": group.fixable,
    }
    return answer | ({"vmImageReference": image} if image else {})


HANDLERS = {"ListFindingAggregations": list_finding_aggregations}
