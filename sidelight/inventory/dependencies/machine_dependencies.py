"""The dependencies between all packages of one machine, in the order of its inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError
from sidelight.inventory.dependencies.name_tables import (
    NameTable,
    WorkBudget,
    check,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sidelight.inventory.dependencies.declarations import Declaration
    from sidelight.model import Package

    Place = tuple[object, str]  # a root, and a scope within it

MAX_DEPENDENCIES: Final = 20_000  # of one package
_MODULES: Final = "/node_modules"
_MOST_LEVELS: Final = 128  # of directories above a package
MAX_DECLARED: Final = 2_000_000  # names of packages whose scope has several files


class MachineDependencies:
    """Collects what files say of their packages, and resolves it when all were read.

    A package of which nothing was said, or too much, has unknown dependencies, never none.
    """

    def __init__(self, problem: Callable[[str, str], None]) -> None:
        """`problem(where, what)` is called for what is cut."""
        self._problem = problem
        self._budget = WorkBudget()
        self._edges: list[tuple[Package, list[Package]]] = []
        self._waiting: list[tuple[Package, object, Declaration]] = []
        self._declared = 0
        self._is_cut = False

    def take(
        self,
        root: object,
        packages: Sequence[Package],
        edges: Mapping[int, Sequence[int]],
        declarations: Iterable[tuple[int, Declaration]],
    ) -> None:
        """Take what one file says of its packages, which are named by their indexes.

        `root` is the tree that the file is of: scopes are its own.
        """
        for index, targets in edges.items():
            try:
                self._budget.find(len(targets))
            except LimitError as error:
                self._cut(packages[index].path, error.what)
                return
            self._edges.append((packages[index], [packages[target] for target in targets]))
        for index, declaration in declarations:
            self._declare(packages[index], root, declaration)

    def _declare(self, package: Package, root: object, declaration: Declaration) -> None:
        self._declared += len(declaration.provides) + len(declaration.requires or ())
        try:
            check(declaration)
        except LimitError as error:
            self._problem(package.path, f"{error.what}: its dependencies are left out")
            return
        if self._declared > MAX_DECLARED:
            what = f"packages provide and require more than {MAX_DECLARED} names"
            self._cut(package.path, f"{what}: the rest is left out")
            return
        self._waiting.append((package, root, declaration))

    def _cut(self, where: str, what: str) -> None:
        if not self._is_cut:
            self._problem(where, what)
        self._is_cut = True

    def resolve(
        self, packages: Sequence[Package], places: Mapping[int, int]
    ) -> list[tuple[int, ...] | None]:
        """Return the indexes of those that each package requires, sorted; None where unknown.

        `places` has the index in `packages` of each package that was taken, by its `id`; what is
        not there any more is left out. The list is empty where nothing is known of any package.
        """
        self._resolve_names()
        found: list[set[int] | None] = [None] * len(packages)
        is_any = False
        for package, targets in self._edges:
            index = places.get(id(package))
            if index is None:
                continue
            own = found[index]
            if own is None:
                own = found[index] = set()
            own.update(places[id(target)] for target in targets if id(target) in places)
            own.discard(index)
            is_any = True
        if not is_any:
            return []
        return [self._tuple(package, own) for package, own in zip(packages, found, strict=True)]

    def _tuple(self, package: Package, found: set[int] | None) -> tuple[int, ...] | None:
        if found is None:
            return None
        if len(found) > MAX_DEPENDENCIES:
            what = f"{package.name[:40]!r} requires {len(found)} packages; the limit is"
            self._problem(package.path, f"{what} {MAX_DEPENDENCIES}: they are left out")
            return None
        return tuple(sorted(found))

    def _resolve_names(self) -> None:
        """Make edges of declared names."""
        tables: dict[Place, NameTable] = {}
        above: dict[Place, list[NameTable]] = {}
        waiting = self._waiting
        try:
            for number, (_package, root, declaration) in enumerate(waiting):
                table = tables.setdefault((root, declaration.scope), NameTable())
                table.provide(number, declaration.provides)
            for number, (package, root, declaration) in enumerate(waiting):
                if declaration.requires is None:
                    continue
                own = _searched(root, declaration, tables, above)
                numbers = required(number, declaration.requires, own, self._budget)
                self._edges.append((package, [waiting[other][0] for other in numbers]))
        except LimitError as error:
            # Of one scope may be too much, or of all: what was not resolved yet is unknown.
            self._cut("/", error.what)


def _searched(
    root: object,
    declaration: Declaration,
    tables: Mapping[Place, NameTable],
    above: dict[Place, list[NameTable]],
) -> list[NameTable]:
    """The tables in which a package's requirements are looked up, in order.

    `above` keeps those that all packages of a scope have in common.
    """
    place = root, declaration.scope
    if not declaration.directory:
        return [tables[place]] if place in tables else []
    if (shared := above.get(place)) is None:
        parents = _directories(declaration.directory.rpartition("/node_modules/")[0])
        scopes = (f"{directory}{_MODULES}" for directory in parents)
        shared = [tables[root, scope] for scope in scopes if (root, scope) in tables]
        above[place] = shared
    inner = tables.get((root, declaration.directory + _MODULES))
    return shared if inner is None else [inner, *shared]


def _directories(directory: str) -> Iterator[str]:
    """Yield a directory and those above it, the root as an empty text."""
    for _ in range(_MOST_LEVELS):
        # Node.js does not look for `node_modules/node_modules`.
        if not directory.endswith(_MODULES):
            yield directory
        if not directory:
            break
        directory = directory.rpartition("/")[0]
