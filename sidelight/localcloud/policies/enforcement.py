"""Refuse a role's request that its policies do not allow, in IAM's words."""

from __future__ import annotations

import json
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


def check(caller: Caller, account: str, find: Callable[[], Iterable[AccessRequest]]) -> None:
    """Raise AwsError where the caller is a role with policies that do not allow the request.

    `find` returns what AWS authorizes of it.
    """
    arn, policies = role_policies(caller.access_key, account)
    for access in find() if policies else ():
        decision = decide(policies, access)
        if decision is not PolicyDecision.ALLOWED:
            raise _denial(caller.service, arn, access, decision)


def role_policies(access_key: str, account: str) -> tuple[str, list[Any]]:
    """Return the ARN of the role that has the key and its policies; none for another caller."""
    backend = iam_backends[account]["aws"]
    arn = getattr(backend.access_keys.get(access_key), "role_arn", None)
    if not arn:
        return "", []
    name = arn.rpartition("/")[2]
    role = next((one for one in list(backend.roles.values()) if one.name == name), None)
    if role is None:
        return arn, []
    attached = [
        version.document
        for policy in role.managed_policies.values()
        for version in policy.versions
        if version.is_default
    ]
    texts = [*role.policies.values(), *attached]
    return arn, [_parsed(text if isinstance(text, str) else json.dumps(text)) for text in texts]


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
