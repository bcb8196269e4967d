"""The evaluator decides as the IAM User Guide's examples and tables say."""

from __future__ import annotations

from typing import Any

import pytest

from sidelight.localcloud.policies.evaluation import AccessRequest, PolicyDecision, decide

ALLOWED, DENIED, EXPLICIT = (
    PolicyDecision.ALLOWED,
    PolicyDecision.DENIED,
    PolicyDecision.EXPLICITLY_DENIED,
)


def policy(**statement: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Resource": "*"} | statement],
    }


def holds(condition: dict[str, Any], **context: list[str]) -> bool:
    """Whether a statement with this condition applies; keys have `aws:` in front."""
    keys = {f"aws:{key}": values for key, values in context.items()}
    written = {
        operator: {f"aws:{key}": value for key, value in values.items()}
        for operator, values in condition.items()
    }
    decision = decide([policy(Action="s3:GetObject", Condition=written)],
                     AccessRequest("s3:GetObject", "*", keys))  # fmt: skip
    return decision is ALLOWED


def test_nothing_is_allowed_by_default() -> None:
    assert decide([], AccessRequest("s3:GetObject")) is DENIED


def test_a_deny_wins_wherever_it_is() -> None:
    allow, deny = policy(Action="s3:*"), policy(Action="s3:GetObject", Effect="Deny")
    for order in ([allow, deny], [deny, allow]):
        assert decide(order, AccessRequest("s3:GetObject")) is EXPLICIT
    assert decide([allow, deny], AccessRequest("s3:PutObject")) is ALLOWED


# "IAM JSON policy elements: Action": names and prefixes have no case; * and ? are wildcards.
@pytest.mark.parametrize(
    ("pattern", "action", "allowed"),
    [
        ("iam:ListAccessKeys", "IAM:listaccesskeys", True),
        ("iam:*AccessKey*", "iam:UpdateAccessKey", True),
        ("s3:*", "s3-object-lambda:GetObject", False),
        ("ec2:Describe?olumes", "ec2:DescribeVolumes", True),
        ("ec2:CreateSnapshot", "ec2:CreateSnapshots", False),
    ],
)
def test_actions(pattern: str, action: str, *, allowed: bool) -> None:
    assert (decide([policy(Action=pattern)], AccessRequest(action)) is ALLOWED) is allowed


def test_not_action_and_not_resource_are_all_others() -> None:
    others = policy(NotAction="iam:*")
    assert decide([others], AccessRequest("s3:GetObject")) is ALLOWED
    assert decide([others], AccessRequest("iam:GetUser")) is DENIED
    elsewhere = {"Statement": {"Effect": "Allow", "Action": "s3:*",
                               "NotResource": "arn:aws:s3:::payroll/*"}}  # fmt: skip
    assert decide([elsewhere], AccessRequest("s3:GetObject", "arn:aws:s3:::payroll/a")) is DENIED
    assert decide([elsewhere], AccessRequest("s3:GetObject", "arn:aws:s3:::web/a")) is ALLOWED


# "IAM JSON policy elements: Resource": a wildcard at the end of the last segment goes on.
@pytest.mark.parametrize(
    ("pattern", "resource", "allowed"),
    [
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a/b:c", True),
        ("arn:aws:ec2:*::snapshot/*", "arn:aws:ec2:us-east-1::snapshot/snap-1", True),
        ("arn:aws:ec2:*::snapshot/*", "arn:aws:ec2:us-east-1:1:snapshot/snap-1", False),
        ("arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:us-east-1:1:volume/vol-1", False),
        ("arn:aws:iam::*:role/Name", "arn:aws:iam::1:role/Names", False),
        ("arn:aws:sqs:us-east-1:1:a-*", "*", False),
    ],
)
def test_resources(pattern: str, resource: str, *, allowed: bool) -> None:
    access = AccessRequest("any:Thing", resource)
    assert (decide([policy(Action="any:Thing", Resource=pattern)], access) is ALLOWED) is allowed


# "Condition operators": a missing key fails what matches, and passes what must not match.
@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"username": "john"}}, {"username": ["john"]}, True),
        ({"StringEquals": {"username": "john"}}, {"username": ["John"]}, False),
        ({"StringEqualsIgnoreCase": {"username": "john"}}, {"username": ["John"]}, True),
        ({"StringEquals": {"username": ["a", "b"]}}, {"username": ["b"]}, True),
        ({"StringEquals": {"username": "john"}}, {}, False),
        ({"StringNotEquals": {"username": "john"}}, {}, True),
        ({"StringNotEquals": {"username": ["a", "b"]}}, {"username": ["b"]}, False),
        ({"StringNotLike": {"username": "jo*"}}, {"username": ["john"]}, False),
        ({"StringEqualsIfExists": {"username": "john"}}, {}, True),
        ({"StringEqualsIfExists": {"username": "john"}}, {"username": ["eve"]}, False),
        ({"Null": {"TokenIssueTime": "true"}}, {}, True),
        ({"Null": {"TokenIssueTime": "false"}}, {}, False),
        ({"Null": {"TokenIssueTime": "false"}}, {"TokenIssueTime": ["now"]}, True),
        ({"Bool": {"SecureTransport": "true"}}, {"SecureTransport": ["true"]}, True),
        ({"ArnLike": {"Arn": "arn:aws:iam::*:role/x"}}, {"Arn": ["arn:aws:iam::1:role/x"]}, True),
        ({"ArnNotLike": {"Arn": "arn:aws:iam::*:role/x"}}, {}, True),
        # Key names have no case.
        ({"StringEquals": {"UserName": "john"}}, {"username": ["john"]}, True),
        # All keys and all operators have to hold.
        ({"StringEquals": {"a": "1", "b": "2"}}, {"a": ["1"], "b": ["3"]}, False),
        ({"StringEquals": {"a": "1"}, "Null": {"b": "true"}}, {"a": ["1"], "b": ["2"]}, False),
    ],
)
def test_conditions(
    condition: dict[str, Any], context: dict[str, list[str]], *, expected: bool
) -> None:
    assert holds(condition, **context) is expected


# "Multivalued context key examples": aws:TagKeys of a request.
@pytest.mark.parametrize(
    ("operator", "tags", "expected"),
    [
        ("ForAllValues:StringEquals", ["environment", "webserver"], True),
        ("ForAllValues:StringEquals", ["environment", "cost"], False),
        ("ForAllValues:StringEquals", [], True),
        ("ForAnyValue:StringEquals", ["environment", "cost"], True),
        ("ForAnyValue:StringEquals", ["cost"], False),
        ("ForAnyValue:StringEquals", [], False),
        ("ForAnyValue:StringNotEquals", ["environment", "cost"], True),
        ("ForAnyValue:StringNotEquals", ["environment"], False),
    ],
)
def test_keys_with_several_values(operator: str, tags: list[str], *, expected: bool) -> None:
    condition = {operator: {"TagKeys": ["environment", "webserver"]}}
    assert holds(condition, **({"TagKeys": tags} if tags else {})) is expected


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "s3:*", "Condition": {"NumericLessThan": {"s3:max-keys": "10"}}},
        {"Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}/*"},
        {"Action": "s3:*", "Condition": {"StringEquals": {"a": "${aws:username}"}}},
        {"Action": "s3:*", "NotPrincipal": "*"},
    ],
)
def test_what_it_does_not_know_is_an_error_and_no_decision(statement: dict[str, Any]) -> None:
    access = AccessRequest("s3:GetObject", "arn:aws:s3:::b/k", {"a": ["1"], "s3:max-keys": ["1"]})
    with pytest.raises(ValueError, match="not evaluated"):
        decide([policy(**statement)], access)
