"""Whether policies allow an action on a resource, by IAM's rules for policies of one account.

An explicit deny wins, then an allow; else it is denied. Elements, operators and wildcards are those
of "IAM JSON policy elements reference" and "Policy evaluation logic" in the IAM User Guide. What
is not known here (a policy variable, another operator, NotPrincipal) raises ValueError: it never
counts as allowed or denied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

KNOWN = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal"}
)


class PolicyDecision(Enum):
    """IAM's decision."""

    ALLOWED = "allowed"
    DENIED = "no identity-based policy allows it"
    EXPLICITLY_DENIED = "an explicit deny"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One action on one resource. `context`: the request's condition keys, each with its values.

    A key that is not there is missing in the request. `resource` is an ARN, or `*` for an action
    that has no resources.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def decide(policies: Iterable[Mapping[str, Any]], access: AccessRequest) -> PolicyDecision:
    """Return the decision of a role's policies on one access. Raises ValueError."""
    decision = PolicyDecision.DENIED
    for policy in policies:
        for statement in _list(policy["Statement"]):
            if not _applies(statement, access):
                continue
            if statement["Effect"] == "Deny":
                return PolicyDecision.EXPLICITLY_DENIED
            decision = PolicyDecision.ALLOWED
    return decision


def _applies(statement: Mapping[str, Any], access: AccessRequest) -> bool:
    unknown = statement.keys() - KNOWN
    if unknown:
        raise ValueError(f"elements that are not evaluated: {sorted(unknown)}")
    if "Action" in statement:
        named = any(_is_action(one, access.action) for one in _list(statement["Action"]))
    else:
        named = not any(_is_action(one, access.action) for one in _list(statement["NotAction"]))
    if not named:
        return False
    if "Resource" in statement:
        meant = any(_is_resource(one, access.resource) for one in _list(statement["Resource"]))
    else:
        meant = not any(
            _is_resource(one, access.resource) for one in _list(statement["NotResource"])
        )
    return meant and _holds(statement.get("Condition", {}), access.context)


def _is_action(pattern: str, action: str) -> bool:
    return _wild(pattern.lower()).fullmatch(action.lower()) is not None


def _is_resource(pattern: str, resource: str) -> bool:
    if "${" in pattern:
        raise ValueError(f"a policy variable is not evaluated: {pattern}")
    return pattern == "*" or _wild_arn(pattern).fullmatch(resource) is not None


@lru_cache(maxsize=1024)
def _wild(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(
            {"*": ".*", "?": "."}.get(part, re.escape(part))
            for part in re.split(r"([*?])", pattern)
        ),
        re.DOTALL,
    )


@lru_cache(maxsize=1024)
def _wild_arn(pattern: str) -> re.Pattern[str]:
    """An ARN's wildcards stay within their segment, except at the end of the last one."""
    segments = pattern.split(":", 5)
    texts = [
        "".join(
            {"*": "[^:]*", "?": "[^:]"}.get(part, re.escape(part))
            for part in re.split(r"([*?])", segment)
        )
        for segment in segments[:-1]
    ]
    return re.compile(":".join([*texts, _wild(segments[-1]).pattern]), re.DOTALL)


def _holds(conditions: Mapping[str, Any], context: Mapping[str, Sequence[str]]) -> bool:
    """All operators and all keys of each hold."""
    lowered = {key.lower(): values for key, values in context.items()}
    return all(
        _operator(operator, [str(one) for one in _list(values)], lowered.get(key.lower()))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _operator(operator: str, expected: list[str], actual: Sequence[str] | None) -> bool:
    """One operator on one key. Any of the expected values is enough; `actual` None: no such key."""
    if any("${" in value for value in expected):
        raise ValueError(f"a policy variable is not evaluated: {expected}")
    quantifier, _, name = operator.rpartition(":")
    base = name.removesuffix("IfExists")
    if base == "Null":
        return (actual is None) == (expected == ["true"])
    negated, test = _test(base)
    if not actual:
        if quantifier == "ForAnyValue":
            return False
        return quantifier == "ForAllValues" or name.endswith("IfExists") or negated

    def one(value: str) -> bool:
        return any(test(wanted, value) for wanted in expected) != negated

    # Without a quantifier IAM expects one value. With several, one that matches lets an Allow
    # apply, which is the worse case.
    return all(map(one, actual)) if quantifier == "ForAllValues" else any(map(one, actual))


def _test(base: str) -> tuple[bool, Callable[[str, str], bool]]:
    """Whether an operator is negated, and its comparison of an expected and an actual value."""
    positive = base.replace("Not", "", 1)
    tests: dict[str, Callable[[str, str], bool]] = {
        "StringEquals": lambda wanted, value: wanted == value,
        "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
        "StringLike": lambda wanted, value: _wild(wanted).fullmatch(value) is not None,
        "ArnEquals": lambda wanted, value: _wild_arn(wanted).fullmatch(value) is not None,
        "ArnLike": lambda wanted, value: _wild_arn(wanted).fullmatch(value) is not None,
        "Bool": lambda wanted, value: wanted.lower() == value.lower(),
    }
    if positive not in tests:
        raise ValueError(f"an operator that is not evaluated: {base}")
    return positive != base, tests[positive]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
