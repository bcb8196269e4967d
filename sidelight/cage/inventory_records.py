"""An inventory as a stream of records, and back: what a caged reader answers.

The reader may be in the hands of the disk's owner. So its answer is decoded field by field, each of
the type that the model says and of a bounded length; counts and the sum of all text are bounded,
and the last record says how many came before, so that an answer which is cut is none. Rows are
JSON arrays in the order of the dataclass's fields: JSON is data alone, and its ASCII form bears the
lone surrogates that stand for undecodable names.
"""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from operator import lt
from typing import TYPE_CHECKING, Final, TypeVar, get_type_hints

from sidelight.cage.frames import MOST_TEXT, FrameError
from sidelight.model import (
    ConfiguredListener,
    FilesystemSummary,
    Inventory,
    OperatingSystem,
    Package,
    Problem,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Check = Callable[[object], object]

T = TypeVar("T")

# More than `inventory.allowance` lets a machine have; Problems of its filesystems come on top.
MOST_ROWS: Final = 600_000  # of one kind
MOST_CHARACTERS: Final = 512 << 20  # of all texts of one machine
MOST_DEPENDENCIES: Final = 5_000_000  # of one machine
MOST_FIELD: Final = 256 << 10  # characters of one text
MOST_PROBLEM_TEXT: Final = 64 << 10  # characters that the reader leaves of a Problem's texts
ROWS_AT_ONCE: Final = 256
_ROWS: Final[dict[str, type]] = {
    "packages": Package,
    "problems": Problem,
    "filesystems": FilesystemSummary,
    "listeners": ConfiguredListener,
}
_TEXTS: Final = ("left_out", "skipped")  # plain texts
_INDEXES: Final = "dependencies"  # lists of packages' indexes


def records(inventory: Inventory) -> Iterator[bytes]:
    """Yield the payloads of RECORDS frames of an inventory, and last that of its DONE frame."""
    counts = {}
    rows: dict[str, Sequence[object]] = {
        "packages": [_row(item) for item in inventory.packages],
        "problems": [
            (item.where[:MOST_PROBLEM_TEXT], item.what[:MOST_PROBLEM_TEXT])
            for item in inventory.problems
        ],
        "filesystems": [_row(item) for item in inventory.filesystems],
        "listeners": [_row(item) for item in inventory.listeners],
        "left_out": inventory.left_out,
        "skipped": inventory.skipped,
        _INDEXES: inventory.dependencies,
    }
    for name, values in rows.items():
        counts[name] = len(values)
        yield from _parts(name, values)
    yield _dump([inventory.status.value, astuple(inventory.os), counts])


class InventoryDecoder:
    """Collects the records of one reader. Every method raises FrameError for what cannot be."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._found: dict[str, list[object]] = {name: [] for name in (*_ROWS, *_TEXTS, _INDEXES)}
        self._characters = 0
        self._dependencies = 0
        # Most texts of packages are repeated; the reader's own objects were shared too.
        self._texts: dict[str, str] = {}

    def add(self, payload: bytes) -> None:
        """Take one RECORDS frame."""
        match _load(payload):
            case [str(name), list(rows)] if name in self._found:
                pass
            case _:
                raise FrameError("records of no known kind")
        found = self._found[name]
        if len(found) + len(rows) > MOST_ROWS:
            raise FrameError(f"more than {MOST_ROWS} {name}")
        if name == _INDEXES:
            found += map(self._indexes, rows)
            return
        kind = _ROWS.get(name)
        for row in rows:
            found.append(self._text(row) if kind is None else self._value(kind, row))

    def done(self, payload: bytes) -> Inventory:
        """Take the DONE frame; return the inventory."""
        match _load(payload):
            case [str(status), list(system), dict(counts)]:
                pass
            case _:
                raise FrameError("the last record is not one")
        if counts != {name: len(rows) for name, rows in self._found.items()}:
            raise FrameError("the inventory is cut")
        if status not in set(Status):
            raise FrameError("an unknown status")
        found = self._found
        inventory = Inventory(
            Status(status),
            self._value(OperatingSystem, system),
            **{name: tuple(rows) for name, rows in found.items()},  # type: ignore[arg-type] # each is checked
        )
        _check_dependencies(inventory)
        if (inventory.status is Status.COMPLETE) == bool(inventory.problems):
            raise FrameError(f"{inventory.status} with {len(inventory.problems)} problems")
        return inventory

    def _value(self, kind: type[T], row: object) -> T:
        checks = _CHECKS[kind]
        if not isinstance(row, list) or len(row) != len(checks):
            raise FrameError(f"not the members of a {kind.__name__}")
        return kind(
            *(
                self._text(item) if check is None else check(item)
                for check, item in zip(checks, row, strict=True)
            )
        )

    def _indexes(self, value: object) -> tuple[int, ...] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            raise FrameError("not a list of indexes")
        self._dependencies += len(value)
        if self._dependencies > MOST_DEPENDENCIES:
            raise FrameError(f"more than {MOST_DEPENDENCIES} dependencies")
        if any(type(index) is not int for index in value):
            raise FrameError("an index that is not a number")
        return tuple(value)

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > MOST_FIELD:
            raise FrameError("not a text, or too long a one")
        known = self._texts.setdefault(value, value)
        if known is value:
            self._characters += len(value)
            if self._characters > MOST_CHARACTERS:
                raise FrameError(f"more than {MOST_CHARACTERS} characters")
        return known


def _check_dependencies(inventory: Inventory) -> None:
    """Raise FrameError unless all indexes are of other packages, each once, in order."""
    count, found = len(inventory.packages), inventory.dependencies
    if found and len(found) != count:
        raise FrameError(f"dependencies of {len(found)} packages, not of {count}")
    for number, indexes in enumerate(found):
        if not indexes:
            continue
        is_sorted = all(map(lt, indexes, indexes[1:]))
        if not is_sorted or indexes[0] < 0 or indexes[-1] >= count or number in indexes:
            raise FrameError("a dependency that is not another package, or not in order")


def _row(item: object) -> tuple[object, ...]:
    return tuple(getattr(item, name) for name in _MEMBERS[type(item)])


def _parts(name: str, values: Sequence[object]) -> Iterator[bytes]:
    """Yield frames' payloads of these rows, each within its bound."""
    for begin in range(0, len(values), ROWS_AT_ONCE):
        part = values[begin : begin + ROWS_AT_ONCE]
        payload = _dump([name, part])
        if len(payload) <= MOST_TEXT:
            yield payload
        else:
            for value in part:
                yield _dump([name, [value]])


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _load(payload: bytes) -> object:
    try:
        # bool and None aside, only these types come of it; NaN and Infinity are not JSON.
        found: object = json.loads(payload.decode("ascii"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from error
    return found


def _refuse(text: str) -> object:
    raise FrameError(f"{text[:16]} is not JSON")


def _whole(value: object) -> object:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise FrameError("not a number of the range")
    return value


def _maybe(value: object) -> object:
    if value is not None and type(value) is not bool:
        raise FrameError("neither yes, no nor unknown")
    return value


def _check(hint: object) -> Check | None:
    """Return the check of a member's type; None for a text. Raises TypeError for a new type."""
    if hint is str:
        return None
    if hint is int:
        return _whole
    if hint == bool | None:
        return _maybe
    raise TypeError(f"a caged reader cannot answer {hint}")


_MEMBERS: Final = {
    kind: tuple(member.name for member in fields(kind))
    for kind in (*_ROWS.values(), OperatingSystem)
}
_CHECKS: Final = {
    kind: [_check(get_type_hints(kind)[name]) for name in names] for kind, names in _MEMBERS.items()
}
