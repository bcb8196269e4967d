"""Refuse a role's request that its policies do not allow, in IAM's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.policies.evaluation import PolicyDecision, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidelight.localcloud.messages import Caller
    from sidelight.localcloud.policies.evaluation import AccessRequest

# By signing name: error code and HTTP status of a denial; others have AccessDeniedException, 400.
CODES = {
    "ec2": ("UnauthorizedOperation", 403),
    "ebs": ("AccessDeniedException", 403),
    "sts": ("AccessDenied", 403),
    "s3": ("AccessDenied", 403),
    "elasticloadbalancing": ("AccessDenied", 403),
    "rbin": ("AccessDeniedException", 403),
}


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """What a role may do. Without `policies` and `boundary` that is everything here."""

    arn: str
    policies: tuple[Any, ...] = ()
    boundary: Any = None  # the policy that is its permissions boundary

    def decide(self, access: AccessRequest) -> PolicyDecision:
        """Return IAM's decision on one access. Raises ValueError."""
        if not self.policies and self.boundary is None:
            return PolicyDecision.ALLOWED
        decision = decide(self.policies, access)
        if decision is not PolicyDecision.ALLOWED or self.boundary is None:
            return decision
        return decide([self.boundary], access)

    def bounded(self, access: AccessRequest) -> bool | None:
        """Whether the boundary allows one access; None without a boundary."""
        if self.boundary is None:
            return None
        return decide([self.boundary], access) is PolicyDecision.ALLOWED


def check(caller: Caller, account: str, find: Callable[[], Iterable[AccessRequest]]) -> None:
    """Raise AwsError where the caller is a role with policies that do not allow the request.

    `find` returns what AWS authorizes of it.
    """
    role = _role_of(caller.access_key, account)
    limited = role.policies or role.boundary is not None
    for access in find() if limited else ():
        decision = role.decide(access)
        if decision is not PolicyDecision.ALLOWED:
            raise _denial(caller.service, role.arn, access, decision)


def _role_of(access_key: str, account: str) -> RolePolicies:
    """Return the policies of the role that has the key; of another caller, none."""
    backend = iam_backends[account]["aws"]
    arn = getattr(backend.access_keys.get(access_key), "role_arn", None)
    if not arn:
        return RolePolicies("")
    name = arn.rpartition("/")[2]
    role = next((one for one in list(backend.roles.values()) if one.name == name), None)
    return RolePolicies(arn) if role is None else policies_of(role, account)


def policies_of(role: Any, account: str) -> RolePolicies:
    """Return the policies of a role of moto's."""
    attached = [_document(policy) for policy in role.managed_policies.values()]
    texts = [*role.policies.values(), *filter(None, attached)]
    boundary = None
    if role.permissions_boundary_arn:
        known = iam_backends[account]["aws"].managed_policies
        boundary = _parsed_any(_document(known[role.permissions_boundary_arn]))
    return RolePolicies(role.arn, tuple(map(_parsed_any, texts)), boundary)


def _document(policy: Any) -> Any:
    return next((one.document for one in policy.versions if one.is_default), None)


def _parsed_any(text: Any) -> Any:
    return _parsed(text if isinstance(text, str) else json.dumps(text))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    return json.loads(text)


def _denial(service: str, role: str, access: AccessRequest, decision: PolicyDecision) -> AwsError:
    code, status = CODES.get(service, ("AccessDeniedException", 400))
    why = (
        "with an explicit deny in an identity-based policy"
        if decision is PolicyDecision.EXPLICITLY_DENIED
        else f"because no identity-based policy allows the {access.action} action"
    )
    user = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/sidelight"
    message = f"User: {user} is not authorized to perform: {access.action} on resource: "
    if access.action == "kms:Decrypt" and service == "ebs":
        return AwsError(code, f"{message}{access.resource} {why}", status=status,
                        reason="DEPENDENCY_ACCESS_DENIED")  # fmt: skip
    return AwsError(code, f"{message}{access.resource} {why}", status=status)
