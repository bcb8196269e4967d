"""Requests checked by botocore's model of SSM: members, types, sizes, patterns and enums."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

from sidelight.localcloud.messages import AwsError

if TYPE_CHECKING:
    from botocore.model import Shape

_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "timestamp": (int, float, str),
    "structure": dict,
    "map": dict,
    "list": list,
}


@cache
def service_model(service: str = "ssm") -> ServiceModel:
    """Return the model of a service, as botocore's clients have it."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def check(operation: str, request: dict[str, object]) -> None:
    """Raise AwsError (ValidationException) for a request that the model does not allow."""
    shape = service_model().operation_model(operation).input_shape
    faults: list[str] = []
    if shape is not None:
        _check(request, shape, "", faults)
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: "
        raise AwsError("ValidationException", count + "; ".join(faults[:10]))


def _check(value: object, shape: Shape, where: str, faults: list[str]) -> None:
    kind = _KINDS.get(shape.type_name, object)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        faults.append(f"Value at '{where}' failed to satisfy constraint: must be {shape.type_name}")
        return
    _limits(value, shape, where, faults)
    for name, item, inner in _inner(value, shape, where, faults):
        _check(item, inner, f"{where}{name}.", faults)


def _inner(
    value: Any, shape: Any, where: str, faults: list[str]
) -> list[tuple[str | int, Any, Shape]]:
    """Return the named values within a value, each with its own shape."""
    if shape.type_name == "structure":
        missing = [name for name in shape.required_members if name not in value]
        faults += [
            f"Value null at '{where}{name}' failed to satisfy constraint" for name in missing
        ]
        return [
            (name, item, shape.members[name])
            for name, item in value.items()
            if name in shape.members and item is not None
        ]
    if shape.type_name == "list":
        return [(number, item, shape.member) for number, item in enumerate(value)]
    if shape.type_name == "map":
        return [(name, item, shape.value) for name, item in value.items()]
    return []


def _limits(value: Any, shape: Shape, where: str, faults: list[str]) -> None:
    metadata = shape.metadata
    size = value if isinstance(value, int | float) else len(value)
    low, high = metadata.get("min"), metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        faults.append(f"Value at '{where}' failed to satisfy constraint: from {low} to {high}")
    # A pattern with the classes of Java is not checked: Python has none.
    allowed = metadata.get("enum")
    if allowed and value not in allowed:
        faults.append(f"Value '{value}' at '{where}' must be one of {', '.join(allowed[:10])}")
    pattern = metadata.get("pattern")
    if (
        pattern
        and "\\p" not in pattern
        and isinstance(value, str)
        and not re.fullmatch(pattern, value)
    ):
        faults.append(f"Value at '{where}' must match the pattern {pattern}")
