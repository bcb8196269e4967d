"""CreateFilter, UpdateFilter, DeleteFilter, ListFilters."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import (
    BadRequestError,
    ResourceNotFoundError,
    ServiceQuotaExceededError,
)
from dispatcher.api.operations.request_values import (
    criteria_document,
    filter_criteria,
    invalid,
    page_of_items,
    structure,
    text,
    text_map,
    texts,
)
from dispatcher.api.operations.tags import MOST_TAGS, check_tags
from dispatcher.services.finding_filters import FilterQuotaError, FilterService
from sidelight.errors import UsageError
from sidelight.model import SuppressionRule
from sidelight.suppression import FIELDS, iso_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.api.call import ApiRequest, ApiResponse, Call

PAGE: Final = 100


def create_filter(call: Call, request: ApiRequest) -> ApiResponse:
    """CreateFilter: SUPPRESS acts before the answer."""
    tags = text_map(request, "tags")
    check_tags(tags)
    rule = SuppressionRule(
        name=text(request, "name"),
        criteria=_criteria(request),
        description=text(request, "description"),
        owner=call.account_id,
        region=call.region,
        action=text(request, "action"),
        reason=text(request, "reason"),
    )
    try:
        created = FilterService(call.services.store).create(rule)
    except UsageError as error:
        raise BadRequestError(f"{error.where}: {error.what}") from error
    except FilterQuotaError as error:
        raise ServiceQuotaExceededError(error.what, resource_id=call.account_id) from error
    arn = filter_arn(call, created)
    call.services.store.resource_tags.put(arn, tags, MOST_TAGS)
    return {"arn": arn}


def update_filter(call: Call, request: ApiRequest) -> ApiResponse:
    """UpdateFilter: members that are missing stay as they are."""
    arn = text(request, "filterArn")
    rule = find_filter(call, arn)
    changed = replace(
        rule,
        name=text(request, "name", rule.name),
        description=text(request, "description", rule.description),
        action=text(request, "action", rule.action),
        reason=text(request, "reason", rule.reason),
        criteria=_criteria(request) if "filterCriteria" in request else rule.criteria,
    )
    try:
        FilterService(call.services.store).update(changed)
    except UsageError as error:
        raise invalid("name", error.what) from error
    return {"arn": arn}


def delete_filter(call: Call, request: ApiRequest) -> ApiResponse:
    """DeleteFilter: findings that it suppressed are active before the answer."""
    arn = text(request, "arn")
    rule = find_filter(call, arn)
    FilterService(call.services.store).remove(rule.name, rule.owner)
    call.services.store.resource_tags.remove(arn)
    return {"arn": arn}


def list_filters(call: Call, request: ApiRequest) -> ApiResponse:
    """ListFilters: the caller's; for a principal of the whole fleet all, the operator's too."""
    rules = call.services.store.suppression_rules
    fleet_wide = call.principal.accounts is None
    found = rules.all() if fleet_wide else rules.all(call.account_id)
    action, arns = text(request, "action"), texts(request, "arns")
    chosen: list[tuple[str, object]] = [
        (f"{rule.name}\0{rule.id}", rule)
        for rule in found
        if (not action or rule.action == action)
        and ("arns" not in request or filter_arn(call, rule) in arns)
    ]
    page, more = page_of_items(call, request, chosen, PAGE)
    shown = [rule for rule in page if isinstance(rule, SuppressionRule)]
    tags = call.services.store.resource_tags.of([filter_arn(call, rule) for rule in shown])
    return {"filters": [_filter(call, rule, tags) for rule in shown], **more}


def find_filter(call: Call, arn: str) -> SuppressionRule:
    """Return the caller's filter of this ARN. Raises ResourceNotFoundError."""
    rule = call.services.store.suppression_rules.find(arn.rpartition("/")[2])
    fleet_wide = call.principal.accounts is None
    if rule is None or filter_arn(call, rule) != arn:
        raise ResourceNotFoundError("there is no such filter")
    if not fleet_wide and rule.owner != call.account_id:
        raise ResourceNotFoundError("there is no such filter")
    return rule


def filter_arn(call: Call, rule: SuppressionRule) -> str:
    """Return a filter's ARN; the operator's have the account and Region of the caller."""
    owner, region = rule.owner or call.account_id, rule.region or call.region
    return f"arn:aws:inspector2:{region}:{owner}:owner/{owner}/filter/{rule.id}"


def _criteria(request: ApiRequest) -> str:
    if filter_criteria(request) is None:
        raise invalid("filterCriteria", "needs a criterion: without any it matches all findings")
    return json.dumps(criteria_document(structure(request, "filterCriteria")))


def _filter(
    call: Call, rule: SuppressionRule, tags: Mapping[str, Mapping[str, str]]
) -> dict[str, object]:
    arn = filter_arn(call, rule)
    answer: dict[str, object] = {
        "arn": arn,
        "ownerId": rule.owner or call.account_id,
        "name": rule.name,
        "criteria": criteria_answer(json.loads(rule.criteria)),
        "action": rule.action,
        "createdAt": rule.created_at,
        "updatedAt": rule.updated_at,
        "tags": dict(tags[arn]),
    }
    if rule.description:
        answer["description"] = rule.description
    if rule.reason:
        answer["reason"] = rule.reason
    return answer


def criteria_answer(document: Mapping[str, object]) -> dict[str, object]:
    """Return stored FilterCriteria as the model has them: with times."""
    return {name: _times(tests) if FIELDS[name][0] == "date" else tests
            for name, tests in document.items()}  # fmt: skip


def _times(tests: object) -> object:
    if not isinstance(tests, list):
        return tests
    return [
        {name: iso_time(value) if isinstance(value, str) else value for name, value in test.items()}
        for test in tests
    ]


HANDLERS = {
    "CreateFilter": create_filter,
    "UpdateFilter": update_filter,
    "DeleteFilter": delete_filter,
    "ListFilters": list_filters,
}
