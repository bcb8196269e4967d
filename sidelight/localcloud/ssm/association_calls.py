"""State Manager's associations: made, changed, listed, started and deleted."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.ssm.agents import Association
from sidelight.localcloud.ssm.schedules import is_valid

if TYPE_CHECKING:
    from sidelight.localcloud.ssm.agents import AgentRegion

MAX_ASSOCIATIONS: Final = 2_000
MAX_VERSIONS: Final = 1_000
_KEPT: Final[tuple[str, ...]] = (
    "Name", "InstanceId", "DocumentVersion", "Parameters", "Targets", "ScheduleExpression",
    "OutputLocation", "AssociationName", "MaxErrors", "MaxConcurrency", "ComplianceSeverity",
    "SyncCompliance", "ApplyOnlyAtCronInterval", "CalendarNames", "ScheduleOffset", "Duration",
)  # fmt: skip
_LISTED: Final[tuple[str, ...]] = (
    "Name", "InstanceId", "AssociationId", "AssociationVersion", "DocumentVersion", "Targets",
    "LastExecutionDate", "Overview", "ScheduleExpression", "AssociationName", "ScheduleOffset",
    "Duration",
)  # fmt: skip
_FILTERS: Final = {
    "InstanceId": "InstanceId", "Name": "Name", "AssociationId": "AssociationId",
    "AssociationName": "AssociationName",
}  # fmt: skip


def create(place: AgentRegion, request: dict[str, Any]) -> dict[str, Any]:
    """CreateAssociation. An association for one instance exists once for a document."""
    _check_schedule(request)
    if len(place.associations) >= MAX_ASSOCIATIONS:
        raise AwsError("AssociationLimitExceeded", "You can have at most 2,000 associations.")
    if request.get("InstanceId"):
        for known in place.associations.values():
            names = ("InstanceId", "Name")
            if all(known.description.get(name) == request.get(name) for name in names):
                raise AwsError("AssociationAlreadyExists", "The association exists already.")
    elif not request.get("Targets"):
        raise AwsError("InvalidTarget", "An association needs an instance or targets.")
    number = str(uuid.uuid4())
    own = {name: request[name] for name in _KEPT if name in request}
    description = {
        "DocumentVersion": "$DEFAULT",
        **own,
        "AssociationId": number,
        "AssociationVersion": "1",
        "Date": place.now,
        "LastUpdateAssociationDate": place.now,
        "Overview": {"Status": "Pending", "DetailedStatus": "Creating"},
    }
    place.associations[number] = Association(description, place.now)
    return describe(place, {"AssociationId": number})


def update(place: AgentRegion, request: dict[str, Any]) -> dict[str, Any]:
    """UpdateAssociation: members that are not named are reset, as at AWS, but for the name."""
    association = _find(place, request)
    _check_schedule(request)
    version = int(association.description["AssociationVersion"]) + 1
    if version > MAX_VERSIONS:
        raise AwsError("AssociationVersionLimitExceeded", "You have reached the maximum number.")
    known = association.description
    fixed = ("AssociationId", "Date", "Name", "InstanceId", "Targets", "AssociationName")
    association.description = {
        "DocumentVersion": "$DEFAULT",
        **{name: known[name] for name in fixed if name in known},
        **{name: request[name] for name in _KEPT if name in request},
        "AssociationVersion": str(version),
        "LastUpdateAssociationDate": place.now,
        "Overview": {"Status": "Pending", "DetailedStatus": "Updating"},
    }
    association.is_due = True
    return describe(place, {"AssociationId": association.id})


def delete(place: AgentRegion, request: dict[str, Any]) -> None:
    """DeleteAssociation."""
    del place.associations[_find(place, request).id]


def describe(place: AgentRegion, request: dict[str, Any]) -> dict[str, Any]:
    """The association's description, with its last run."""
    return _shown(_find(place, request))


def listed(place: AgentRegion, request: dict[str, Any]) -> list[dict[str, Any]]:
    """ListAssociations."""
    found = []
    for association in place.associations.values():
        shown = _shown(association)
        if all(
            shown.get(_FILTERS.get(item["key"], item["key"])) == item["value"]
            for item in request.get("AssociationFilterList", [])
        ):
            found.append({name: shown[name] for name in _LISTED if name in shown})
    return found


def start(place: AgentRegion, request: dict[str, Any]) -> None:
    """StartAssociationsOnce."""
    chosen = [_find(place, {"AssociationId": number}) for number in request["AssociationIds"]]
    for association in chosen:
        association.is_due = True


def executions(place: AgentRegion, request: dict[str, object]) -> list[dict[str, object]]:
    """DescribeAssociationExecutions, newest first."""
    association = _find(place, request)
    version = association.description["AssociationVersion"]
    return [
        {
            "AssociationId": association.id,
            "AssociationVersion": version,
            "ExecutionId": number,
            "Status": "Success",
            "DetailedStatus": "Success",
            "CreatedTime": at,
            "LastExecutionDate": at,
            "ResourceCountByStatus": f"{{Success={len(ids)}}}",
        }
        for number, at, ids in reversed(association.runs)
    ]


def execution_targets(place: AgentRegion, request: dict[str, object]) -> list[dict[str, object]]:
    """DescribeAssociationExecutionTargets."""
    association = _find(place, request)
    for number, at, ids in association.runs:
        if number == request["ExecutionId"]:
            return [
                {
                    "AssociationId": association.id,
                    "AssociationVersion": association.description["AssociationVersion"],
                    "ExecutionId": number,
                    "ResourceId": instance,
                    "ResourceType": "ManagedInstance",
                    "Status": "Success",
                    "DetailedStatus": "Success",
                    "LastExecutionDate": at,
                }
                for instance in ids
            ]
    raise AwsError("AssociationExecutionDoesNotExist", "There is no such execution.")


def _find(place: AgentRegion, request: dict[str, Any]) -> Association:
    number = request.get("AssociationId")
    for association in place.associations.values():
        own = association.description
        if number and association.id == number:
            return association
        if not number and (own.get("Name"), own.get("InstanceId")) == (
            request.get("Name"), request.get("InstanceId")
        ):  # fmt: skip
            return association
    raise AwsError("AssociationDoesNotExist", "The specified association does not exist.")


def _shown(association: Association) -> dict[str, object]:
    shown = dict(association.description)
    if association.ran_at is not None:
        shown["LastExecutionDate"] = association.ran_at
        shown["LastSuccessfulExecutionDate"] = association.ran_at
        if not association.is_due:
            shown["Overview"] = {"Status": "Success", "DetailedStatus": "Success"}
    return shown


def _check_schedule(request: dict[str, Any]) -> None:
    if not is_valid(request.get("ScheduleExpression", "")):
        raise AwsError("InvalidSchedule", "The schedule is not valid: at least 30 minutes.")
