"""SSM inventory items: one type's entries of one machine, with bounds on what they may hold.

Sources: SSM's model (an entry has at most 50 attributes, a value 4,096 characters, an item 10,000
entries) and the SSM agent's structs, which name the fields. Every field is text that the machine
sends, so it is hostile. An entry of another shape is a Problem, and the others count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from sidelight.inventory.allowance import Allowance
from sidelight.inventory.protocol import unfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

APPLICATION: Final = "AWS:Application"
INSTANCE_INFORMATION: Final = "AWS:InstanceInformation"
DETAILED_INFORMATION: Final = "AWS:InstanceDetailedInformation"
WINDOWS_UPDATE: Final = "AWS:WindowsUpdate"
WINDOWS_REGISTRY: Final = "AWS:WindowsRegistry"
FILE: Final = "AWS:File"
# The types that an evaluation reads. All others are left alone.
WANTED_TYPES: Final = (
    APPLICATION,
    INSTANCE_INFORMATION,
    DETAILED_INFORMATION,
    WINDOWS_UPDATE,
    WINDOWS_REGISTRY,
    FILE,
)

MAX_ENTRIES: Final = 10_000  # of one item
MAX_ATTRIBUTES: Final = 50  # of one entry
MAX_VALUE: Final = 4_096  # characters

Entry: TypeAlias = "Mapping[str, str]"


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """One type of a machine's SSM inventory, as a data sync object or ListInventoryEntries has it.

    `entries` are not checked. `capture_time` is ISO 8601; `content_hash` is empty where the source
    has none (ListInventoryEntries).
    """

    type_name: str
    entries: Sequence[object] = field(default=())
    capture_time: str = ""
    content_hash: str = ""


Items: TypeAlias = "Mapping[str, InventoryItem]"  # by type; a type that was not collected is absent


class EntryReader:
    """Yields the well-formed entries of items, and keeps a Problem for each other one."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self.allowance = Allowance()

    def has(self, type_name: str) -> bool:
        """Return whether the type was collected, though it may have no entry."""
        return type_name in self._items

    def entries(self, type_name: str) -> Iterator[Entry]:
        """Yield a type's entries. One with a wrong type or size is left out, with a Problem."""
        item = self._items.get(type_name)
        if item is None:
            return
        for number, entry in enumerate(item.entries[:MAX_ENTRIES]):
            fault = _fault(entry)
            if fault:
                self.problem(type_name, f"entry {number}: {fault}: the entry is left out")
            else:
                yield entry  # type: ignore[misc]  # _fault has checked it
        if len(item.entries) > MAX_ENTRIES:
            what = f"{len(item.entries)} entries; the first {MAX_ENTRIES} are read"
            self.problem(type_name, what)

    def first(self, type_name: str) -> Entry:
        """Return a type's first entry, empty where there is none."""
        return next(self.entries(type_name), {})

    def problem(self, type_name: str, what: str) -> None:
        """Add a Problem of one inventory type."""
        self.allowance.problem(f"ssm:{type_name}", what)


def _fault(entry: object) -> str:
    """Return why an entry is not one, "" if it is."""
    if not isinstance(entry, dict):
        return f"{type(entry).__name__} where an object belongs"
    if len(entry) > MAX_ATTRIBUTES:
        return f"{len(entry)} attributes; the limit is {MAX_ATTRIBUTES}"
    for name, value in entry.items():
        if not isinstance(name, str) or not isinstance(value, str):
            return f"{str(name)[:40]!r} is {type(value).__name__} where a string belongs"
        if len(value) > MAX_VALUE:
            return f"{name[:40]!r} has {len(value)} characters; the limit is {MAX_VALUE}"
    return ""


def fault_of_texts(name: str, version: str, *others: str) -> str:
    """Return why these cannot be a package's texts, "" if they can."""
    if not name or not version:
        return f"{name[:80] or 'an entry'!r} has no name or no version"
    for text in (name, version, *others):
        if not text.isprintable():
            return f"control characters in {text[:80]!r}"
    return unfit(name, version, *others)
