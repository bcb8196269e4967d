"""The policies as JSON, as resources of a CloudFormation template, and as a table."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.permissions.call_catalogue import CALLS, AwsRole
from sidelight.aws.permissions.policy_files import POLICY_FILES
from sidelight.aws.permissions.statements import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.aws.permissions.policy_files import PolicyFile, TemplatePolicy
    from sidelight.aws.permissions.statements import Statement, Values

_ONE_REFERENCE: Final = re.compile(r"\$\{([A-Za-z:]+)\}")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z-]*")
# Words that YAML 1.1 reads as something else than text.
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    """Return a policy as IAM takes it; a list of one value is the value."""
    return {"Version": VERSION, "Statement": [_statement(one) for one in statements]}


def _statement(statement: Statement) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "Sid": statement.sid,
        "Effect": "Deny" if statement.denies else "Allow",
    }
    if statement.principal:
        parts["Principal"] = {"AWS": statement.principal}
    parts["Action"] = _values(statement.actions)
    parts["Resource"] = _values(statement.resources)
    if statement.conditions:
        parts["Condition"] = {
            operator: {key: _values(values) for key, values in keys.items()}
            for operator, keys in statement.conditions.items()
        }
    return parts


def _values(values: Values) -> str | list[str]:
    if isinstance(values, str):
        return values
    return values[0] if len(values) == 1 else list(values)


def as_json(file: PolicyFile) -> str:
    """Return the text of a policy's file in deploy/iam."""
    return json.dumps(document(file.statements), indent=2) + "\n"


def as_resources(policies: Iterable[TemplatePolicy]) -> str:
    """Return the lines of a template's `Resources` that are these policies."""
    return "\n".join("\n".join(_resource(one)) + "\n" for one in policies)


def _resource(policy: TemplatePolicy) -> Iterator[str]:
    yield f"  {policy.resource}:"
    yield "    Type: AWS::IAM::RolePolicy"
    if policy.condition:
        yield f"    Condition: {policy.condition}"
    yield "    Properties:"
    yield f"      RoleName: {policy.role}"
    yield f"      PolicyName: {policy.policy_name}"
    yield "      PolicyDocument:"
    yield f'        Version: "{VERSION}"'
    yield "        Statement:"
    for statement in document(policy.statements)["Statement"]:
        lines = list(_mapping(statement))
        yield f"          - {lines[0]}"
        yield from (f"            {line}" for line in lines[1:])


def _mapping(values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        name = _text(key)
        if isinstance(value, dict):
            yield f"{name}:"
            yield from (f"  {line}" for line in _mapping(value))
        elif isinstance(value, list):
            yield f"{name}:"
            yield from (f"  - {_scalar(item)}" for item in value)
        else:
            yield f"{name}: {_scalar(value)}"


def _scalar(value: str) -> str:
    reference = _ONE_REFERENCE.fullmatch(value)
    if reference:
        return f"!Ref {reference[1]}"
    return f'!Sub "{value}"' if "${" in value else _text(value)


def _text(value: str) -> str:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else f'"{value}"'


def as_tables() -> str:
    """Return the tables of docs/accounts.md: policies, statements and the calls not granted."""
    lines = ["| policy | attached to | for |", "|---|---|---|"]
    lines += [
        f"| [{file.name}.json](../deploy/iam/{file.name}.json) | {_names(file.roles)} |"
        f" {file.purpose} |"
        for file in POLICY_FILES
    ]
    for file in POLICY_FILES:
        if file.roles and file.name != "target-policy":
            lines += ["", f"`{file.name}`:", "", *_statements(file.statements)]
    lines += ["", "Calls that no policy grants:", "", "| call | made by | why |", "|---|---|---|"]
    lines += [
        f"| `{call.service}.{call.operation}` | {_names(call.roles)} | {call.ungranted} |"
        for call in CALLS
        if call.ungranted
    ]
    return "\n".join(lines) + "\n"


def _statements(statements: Sequence[Statement]) -> Iterator[str]:
    yield "| actions | resources | only if |"
    yield "|---|---|---|"
    for one in statements:
        actions = _code(one.actions) if len(one.actions) <= 8 else f"{len(one.actions)} reads"
        resources = (one.resources,) if isinstance(one.resources, str) else one.resources
        conditions = [
            f"`{operator}` `{key}` {_code((values,) if isinstance(values, str) else values)}"
            for operator, keys in one.conditions.items()
            for key, values in keys.items()
        ]
        limits = "; ".join(conditions)
        reason = f" ({one.reason})" if one.reason and limits else one.reason
        yield (
            f"| {'**denied:** ' if one.denies else ''}{actions} | {_code(resources)} |"
            f" {limits}{reason} |"
        )


def _code(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _names(roles: Iterable[AwsRole]) -> str:
    return ", ".join(f"{role.value}" for role in roles) or "others"
