"""The shapes of a service model and their values. Source: Smithy 2.0's traits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from sidelight.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Without a length of its own, a text that has a pattern may have this many characters: some
# patterns of the model cost the square of it.
PATTERN_LIMIT: Final = 512


@dataclass(frozen=True, slots=True)
class MemberModel:
    """A member of a structure. `location` is uri, querystring or header; empty is the body."""

    name: str
    shape: str
    location: str
    wire_name: str


@dataclass(frozen=True, slots=True)
class ShapeModel:
    """A shape. `kind` is the model's type; minimum and maximum are of length or value.

    `element` is the shape of a list's members or a map's values, `key` that of a map's keys.
    """

    name: str
    kind: str
    members: Mapping[str, MemberModel]
    required: tuple[str, ...]
    is_union: bool
    element: str
    key: str
    minimum: float | None
    maximum: float | None
    pattern: re.Pattern[str] | None
    values: frozenset[str]
    is_iso8601: bool


def shape_of(name: str, model: Mapping[str, object]) -> ShapeModel:
    """Return a shape from its JSON in the model. Raises DamagedError."""
    try:
        return _shape(name, model)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"not a shape of a service model: {error!r}", where=name) from error


def _shape(name: str, model: Mapping[str, object]) -> ShapeModel:
    kind = str(model["type"])
    members = {
        member: MemberModel(
            member,
            str(target["shape"]),
            str(target.get("location", "")),
            str(target.get("locationName", member)),
        )
        for member, target in _mapping(model, "members").items()
    }
    inner = "value" if kind == "map" else "member"
    return ShapeModel(
        name=name,
        kind=kind,
        members=members,
        required=tuple(cast("list[str]", model.get("required", []))),
        is_union=bool(model.get("union")),
        element=str(_mapping(model, inner).get("shape", "")),
        key=str(_mapping(model, "key").get("shape", "")),
        minimum=_number(model.get("min")),
        maximum=_number(model.get("max")),
        pattern=_compiled(model.get("pattern")),
        values=frozenset(cast("list[str]", model.get("enum", []))),
        is_iso8601=model.get("timestampFormat") == "iso8601",
    )


def _mapping(model: Mapping[str, object], name: str) -> Mapping[str, Mapping[str, object]]:
    return cast("Mapping[str, Mapping[str, object]]", model.get(name) or {})


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def _compiled(pattern: object) -> re.Pattern[str] | None:
    r"""Return a pattern whose classes are ASCII's, as in Java; None where Python cannot read it.

    Those with \p are of operations that are not implemented.
    """
    if not isinstance(pattern, str):
        return None
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None
