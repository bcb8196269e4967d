"""Ask IAM what the policies of a role or user allow: SimulatePrincipalPolicy performs nothing.

It evaluates identity-based policies, permissions boundaries and the organization's service control
policies, for the condition keys that the request names. It does not see policies of resources (a
KMS key's own policy), resource control policies, session policies and policies of endpoints.
Sources: SimulatePrincipalPolicy and EvaluationResult in the IAM API reference; "Testing IAM
policies with the IAM policy simulator" in the IAM User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.faults import translated
from sidelight.aws.permission_checks import ATTEMPTS, PermissionAnswer
from sidelight.errors import AccessDeniedError, SidelightError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.aws.session import Session

ACTION: Final = "iam:SimulatePrincipalPolicy"
# IAM is one for a partition: botocore signs for its Region, whatever Region is named.
ALLOWED: Final = "allowed"
EXPLICIT: Final = "explicitDeny"
BOUNDARY: Final = "the permissions boundary does not allow it"
ORGANIZATION: Final = "a service control policy of the organization does not allow it"
NOT_SEEN: Final = "policies of resources and of sessions are not simulated"


@dataclass(frozen=True, slots=True)
class SimulatedAccess:
    """An action on resources (ARNs, or `*`), as a call of ours would have it.

    `context`: the values of condition keys; a tuple of values is a list for IAM.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


class PolicySimulation:
    """The policies of one role or user. Nothing raises: what cannot be simulated is undecided."""

    def __init__(self, session: Session, account: str | None, region: str, principal: str) -> None:
        """`account`: whose role asks; None for the hub's own credentials.

        `principal`: the ARN of the role or user whose policies are simulated, with its path.
        """
        self._session = session
        self._account = account
        self._region = region
        self.principal = principal
        self.failure: PermissionAnswer | None = None  # why IAM does not simulate, once it did not

    def decide(self, access: SimulatedAccess) -> PermissionAnswer | None:
        """Return IAM's decision; None where IAM does not simulate, with the reason in `failure`."""
        return self.decide_all([access.action], access).get(access.action)

    def decide_all(
        self, actions: Sequence[str], access: SimulatedAccess
    ) -> dict[str, PermissionAnswer]:
        """Return IAM's decisions by action, in one request, with the resources of an access.

        Empty where IAM does not simulate, with the reason in `failure`.
        """
        if self.failure is not None:
            return {}
        try:
            with translated(ACTION):
                client = self._session.client(
                    "iam", account=self._account, region=self._region, attempts=ATTEMPTS
                )
                answer = client.simulate_principal_policy(
                    PolicySourceArn=self.principal,
                    ActionNames=list(actions),
                    ResourceArns=list(access.resources),
                    ContextEntries=_entries(access.context),
                )
        except AccessDeniedError as error:
            self.failure = PermissionAnswer(ACTION, False, error.what, is_denial=True)
            return {}
        except SidelightError as error:
            detail = f"{self.principal}: {error.what}"
            self.failure = PermissionAnswer(ACTION, None, detail)
            return {}
        results = answer.get("EvaluationResults", [])
        decisions = {
            action: decision(action, [one for one in results if _is_of(one, action, actions)])
            for action in actions
        }
        return {action: found for action, found in decisions.items() if found is not None}


def _is_of(result: Mapping[str, Any], action: str, actions: Sequence[str]) -> bool:
    return len(actions) == 1 or str(result.get("EvalActionName", "")).lower() == action.lower()


def decision(action: str, results: Sequence[Mapping[str, Any]]) -> PermissionAnswer | None:
    """Return what IAM's results say of an action: the strictest decides; None for no result."""
    found = [_of_result(action, result) for result in results]
    denied = [answer for answer in found if not answer.allowed]
    return next(iter([*denied, *found]), None)


def _of_result(action: str, result: Mapping[str, Any]) -> PermissionAnswer:
    if result.get("EvalDecision") == ALLOWED:
        return PermissionAnswer(action, True, f"by simulation; {NOT_SEEN}")
    parts = (result, *result.get("ResourceSpecificResults", ()))
    if _refuses(parts, "OrganizationsDecisionDetail", "AllowedByOrganizations"):
        return PermissionAnswer(
            action, False, ORGANIZATION,
            remedy=f"ask who administers the organization to allow {action} for this role",
        )  # fmt: skip
    if _refuses(parts, "PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary"):
        remedy = f"allow {action} in the policy that is the role's permissions boundary"
        return PermissionAnswer(action, False, BOUNDARY, remedy=remedy)
    if result.get("EvalDecision") == EXPLICIT:
        names = sorted(
            {
                str(statement.get("SourcePolicyId", ""))
                for part in parts
                for statement in part.get("MatchedStatements", ())
            }
        )
        named = f" ({', '.join(names)})" if any(names) else ""
        return PermissionAnswer(
            action, False, f"a policy denies it explicitly{named}",
            remedy=f"remove the statement that denies {action}",
        )  # fmt: skip
    return PermissionAnswer(
        action, False, "no policy allows it for these resources, tags and conditions"
    )


def _refuses(parts: Sequence[Mapping[str, Any]], detail: str, member: str) -> bool:
    return any(part.get(detail, {}).get(member) is False for part in parts)


def _entries(context: Mapping[str, str | tuple[str, ...]]) -> list[dict[str, object]]:
    return [
        {
            "ContextKeyName": key,
            "ContextKeyValues": [value] if isinstance(value, str) else list(value),
            "ContextKeyType": "string" if isinstance(value, str) else "stringList",
        }
        for key, value in context.items()
    ]
