"""Names that packages provide, and whom a required name leads to. Hostile names are normal.

Cycles are dependencies as others are. A package's dependency on itself is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError
from sidelight.inventory.dependencies.declarations import MAX_PROVIDED, MAX_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sidelight.inventory.dependencies.declarations import Declaration

MAX_NAMES: Final = 2_000_000  # provided, of one table
MAX_PROVIDERS: Final = 1_000  # of one name
MAX_FOUND: Final = 4_000_000  # dependencies of one machine, those found twice counted twice


class WorkBudget:
    """What may be looked up. Each method raises LimitError once it is spent."""

    def __init__(self, lookups: int = 8 * MAX_FOUND, found: int = MAX_FOUND) -> None:
        """Give the numbers of look-ups and of dependencies that are found."""
        self._lookups = lookups
        self._found = found

    def look_up(self, count: int) -> None:
        """Spend look-ups of names."""
        self._lookups -= count
        if self._lookups < 0:
            raise LimitError("too many required names: the rest is not looked up")

    def find(self, count: int) -> None:
        """Spend dependencies."""
        self._found -= count
        if self._found < 0:
            raise LimitError(f"more than {MAX_FOUND} dependencies: the rest is left out")


class NameTable:
    """Which packages, by number, provide a name."""

    def __init__(self) -> None:
        """Nobody provides anything."""
        # One provider is the rule, and a list for each name would cost most of the memory.
        self._providers: dict[str, int | list[int]] = {}
        # Who provides a name, in the order in which they were noted. Called for every name.
        self.find: Callable[[str], int | list[int] | None] = self._providers.get

    def provide(self, number: int, names: Iterable[str]) -> None:
        """Note what a package provides. Raises LimitError where that is too much."""
        providers = self._providers
        for name in names:
            known = providers.setdefault(name, number)
            if known == number:
                continue
            if isinstance(known, int):
                providers[name] = [known, number]
            elif known[-1] != number:
                if len(known) >= MAX_PROVIDERS:
                    what = f"more than {MAX_PROVIDERS} packages provide"
                    raise LimitError(f"{what} {name[:40]!r}")
                known.append(number)
        if len(providers) > MAX_NAMES:
            raise LimitError(f"packages provide more than {MAX_NAMES} names")


def check(declaration: Declaration) -> None:
    """Raise LimitError for more names than a real package has."""
    required = len(declaration.requires or ())
    if len(declaration.provides) > MAX_PROVIDED or required > MAX_REQUIRED:
        what = f"a package of {len(declaration.provides)} provided names"
        limits = f"the limits are {MAX_PROVIDED} and {MAX_REQUIRED}"
        raise LimitError(f"{what} and {required} required ones; {limits}")


def required(
    number: int, names: Sequence[str], tables: Sequence[NameTable], budget: WorkBudget
) -> set[int]:
    """Return the packages that package `number` requires; each name counts in its first table."""
    budget.look_up(len(names) * len(tables))
    found: set[int] = set()
    count = 0
    for name in names:
        for table in tables:
            providers = table.find(name)
            if providers is None:
                continue
            if isinstance(providers, int):
                found.add(providers)
            else:
                found.update(providers)
                count += len(providers)
            break
    found.discard(number)
    budget.find(len(found) + count)
    return found


def resolved(declarations: Sequence[tuple[int, Declaration]]) -> dict[int, tuple[int, ...]]:
    """Return what each package requires, where all names are of one file. Raises LimitError.

    `declarations`: a package's number, with one of its declarations. A package has its numbers
    sorted; it is a key also where it requires nobody, unless what it requires is unknown.
    """
    table, budget = NameTable(), WorkBudget()
    needed: set[str] = set()
    for _number, declaration in declarations:
        check(declaration)
        needed.update(declaration.requires or ())
    for number, declaration in declarations:
        # Few of the names that packages provide are required: no table is made of the others.
        table.provide(number, needed.intersection(declaration.provides))
    found: dict[int, set[int]] = {}
    tables = (table,)
    for number, declaration in declarations:
        if declaration.requires is None:
            continue
        own = required(number, declaration.requires, tables, budget)
        found[number] = found[number] | own if number in found else own
    return {number: tuple(sorted(own)) for number, own in found.items()}
