"""Values checked against a shape of the model, with every constraint that it states.

Requests: JSON's values become Python's, and unknown members are dropped, as newer clients send
members that this model does not know. Answers are checked by the same constraints in tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import InvalidField
from dispatcher.api.protocol.scalars import ConstraintError, check_range, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dispatcher.api.protocol.service import Service
    from dispatcher.api.protocol.shapes import ShapeModel

FIELDS_LIMIT: Final = 20  # faults of one request that are reported; the rest is not looked at
DEPTH_LIMIT: Final = 32  # levels; the model's requests have 6
_NAMES_SHOWN: Final = 100  # characters of a member's path


class _TooManyFaults(Exception):  # noqa: N818 - it ends the check, and is not an error
    """The check ends: FIELDS_LIMIT faults were found."""


class Checker:
    """Checks one value. `faults` has what is wrong with it, up to FIELDS_LIMIT."""

    def __init__(self, service: Service, *, drop_unknown: bool = True) -> None:
        """`drop_unknown`: unknown members are dropped; otherwise they are faults."""
        self._service = service
        self._drop_unknown = drop_unknown
        self.faults: list[InvalidField] = []

    def check(self, shape: str, value: object) -> object:
        """Return the value as Python's; it is valid if there are no faults afterwards."""
        try:
            return self._value(self._service.shape(shape), value, "", 0)
        except _TooManyFaults:
            return None

    def _fault(self, path: str, message: str) -> None:
        """Add a fault of a member. Raises if there are too many."""
        shown = path if len(path) <= _NAMES_SHOWN else f"{path[:_NAMES_SHOWN]}…"
        self.faults.append(InvalidField(shown, message))
        if len(self.faults) >= FIELDS_LIMIT:
            raise _TooManyFaults

    def _value(self, shape: ShapeModel, value: object, path: str, depth: int) -> object:
        if depth > DEPTH_LIMIT:
            self._fault(path, "Member is nested too deep")
            return None
        if shape.kind == "structure":
            return self._structure(shape, value, path, depth)
        try:
            if shape.kind == "list":
                return self._list(shape, value, path, depth)
            if shape.kind == "map":
                return self._map(shape, value, path, depth)
            return scalar(shape, value)
        except ConstraintError as error:
            self._fault(path, str(error))
            return None

    def _structure(
        self, shape: ShapeModel, value: object, path: str, depth: int
    ) -> dict[str, object] | None:
        if not isinstance(value, dict):
            self._fault(path, "Member must be a structure")
            return None
        checked: dict[str, object] = {}
        for name, member in shape.members.items():
            inner = f"{path}.{name}" if path else name
            if value.get(name) is not None:
                target = self._service.shape(member.shape)
                checked[name] = self._value(target, value[name], inner, depth + 1)
            elif name in shape.required:
                self._fault(inner, "Member must not be null")
        if not self._drop_unknown:
            for name in value.keys() - shape.members.keys():
                self._fault(f"{path}.{name}", "Member is not of the model")
        if shape.is_union and len(checked) != 1:
            self._fault(path, "Member must have exactly one member of the union")
        return checked

    def _list(self, shape: ShapeModel, value: object, path: str, depth: int) -> list[object]:
        if not isinstance(value, list):
            raise ConstraintError("Member must be a list")
        check_range(shape, len(value), "length")
        target = self._service.shape(shape.element)
        return [
            self._item(target, item, f"{path}[{number}]", depth)
            for number, item in enumerate(value)
        ]

    def _map(self, shape: ShapeModel, value: object, path: str, depth: int) -> dict[str, object]:
        if not isinstance(value, dict):
            raise ConstraintError("Member must be a map")
        check_range(shape, len(value), "length")
        keys, values = self._service.shape(shape.key), self._service.shape(shape.element)
        checked: dict[str, object] = {}
        for number, (key, item) in enumerate(value.items()):
            self._item(keys, key, f"{path}[key {number}]", depth)
            checked[key] = self._item(values, item, f"{path}[value {number}]", depth)
        return checked

    def _item(self, shape: ShapeModel, value: object, path: str, depth: int) -> object:
        if value is None:
            self._fault(path, "Member must not be null")
            return None
        return self._value(shape, value, path, depth + 1)


def response_faults(service: Service, shape: str, answer: Mapping[str, object]) -> list[str]:
    """Return the faults of an answer by the model, as `path: message`."""
    checker = Checker(service, drop_unknown=False)
    checker.check(shape, answer)
    return [f"{item.name}: {item.message}" for item in checker.faults]
