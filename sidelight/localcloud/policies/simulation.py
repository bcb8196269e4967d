"""IAM's SimulatePrincipalPolicy: what the policies of a role of this local cloud allow.

The decision is the one that `enforcement` makes of a request: a role without policies may do
everything here. Source: the IAM API reference. Of an organization's policies nothing is enforced
here, and nothing is answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moto.iam.models import iam_backends

from sidelight.localcloud.messages import AwsError, Reply
from sidelight.localcloud.policies.enforcement import policies_of
from sidelight.localcloud.policies.evaluation import AccessRequest, PolicyDecision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.localcloud.messages import Request
    from sidelight.localcloud.policies.enforcement import RolePolicies

OPERATION = "iam:SimulatePrincipalPolicy"
DECISIONS = {
    PolicyDecision.ALLOWED: "allowed",
    PolicyDecision.DENIED: "implicitDeny",
    PolicyDecision.EXPLICITLY_DENIED: "explicitDeny",
}
STRICTEST = ("explicitDeny", "implicitDeny", "allowed")


def answer(request: Request, account: str) -> Reply:
    """The reply. Raises AwsError."""
    members = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    policies = _policies(members.get("PolicySourceArn", ""), account)
    resources = list(_listed(members, "ResourceArns")) or ["*"]
    context = {
        members[f"{place}.ContextKeyName"]: list(_listed(members, f"{place}.ContextKeyValues"))
        for place in _places(members, "ContextEntries")
    }
    results = "".join(
        _result(policies, action, resources, context) for action in _listed(members, "ActionNames")
    )
    text = (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        "<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
        f"<EvaluationResults>{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
        "<ResponseMetadata><RequestId>simulated</RequestId></ResponseMetadata>"
        "</SimulatePrincipalPolicyResponse>"
    )
    return Reply(200, {"Content-Type": "text/xml"}, text.encode())


def _policies(arn: str, account: str) -> RolePolicies:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(role|user|group)/.+", arn):
        raise AwsError("InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity"
                       " type and name.")  # fmt: skip
    for role in list(iam_backends[account]["aws"].roles.values()):
        if role.arn == arn:
            return policies_of(role, account)
    name = arn.rpartition("/")[2]
    raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", status=404)


def _result(
    policies: RolePolicies, action: str, resources: list[str], context: dict[str, list[str]]
) -> str:
    accesses = [AccessRequest(action, resource, context) for resource in resources]
    decisions = [DECISIONS[policies.decide(access)] for access in accesses]
    bounds = [policies.bounded(access) for access in accesses]
    each = "".join(
        f"<member><EvalResourceName>{escape(resource)}</EvalResourceName>"
        f"<EvalResourceDecision>{decision}</EvalResourceDecision>{_boundary(bound)}</member>"
        for resource, decision, bound in zip(resources, decisions, bounds, strict=True)
    )
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName>"
        f"<EvalResourceName>*</EvalResourceName>"
        f"<EvalDecision>{min(decisions, key=STRICTEST.index)}</EvalDecision>"
        f"<ResourceSpecificResults>{each}</ResourceSpecificResults></member>"
    )


def _boundary(allowed: bool | None) -> str:
    if allowed is None:
        return ""
    return (
        "<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>"
        f"{str(allowed).lower()}"
        "</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>"
    )


def _places(members: dict[str, str], name: str) -> Iterator[str]:
    number = 1
    while any(key.startswith(f"{name}.member.{number}.") for key in members):
        yield f"{name}.member.{number}"
        number += 1


def _listed(members: dict[str, str], name: str) -> Iterator[str]:
    number = 1
    while f"{name}.member.{number}" in members:
        yield members[f"{name}.member.{number}"]
        number += 1
