"""Which packages of a machine require which, and why one is installed."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Inventory, Package

_DIGITS: Final = 16  # of a package's key
MOST_WAYS: Final = 5


@dataclass(frozen=True, slots=True)
class PackageWays:
    """Chains of packages to one, each from a package that none is known to require.

    The shortest are first; `has_more` where there are others.
    """

    ways: Sequence[Sequence[int]]
    has_more: bool


class PackageRelations:
    """The dependencies of an inventory in both directions, by the indexes of its packages."""

    def __init__(self, inventory: Inventory) -> None:
        count = len(inventory.packages)
        self._packages = inventory.packages
        self._requires = inventory.dependencies or (None,) * count
        self._required_by: list[list[int]] = [[] for _ in range(count)]
        for index, requires in enumerate(self._requires):
            for other in requires or ():
                self._required_by[other].append(index)
        self.unknown = sum(requires is None for requires in self._requires)
        """The number of packages of which it is not known what they require."""

    def requires(self, index: int) -> Sequence[int] | None:
        """Return the packages that one requires; None where that is not known."""
        return self._requires[index]

    def required_by(self, index: int) -> Sequence[int]:
        """Return the packages that are known to require one.

        Where `unknown` is not 0 there may be others.
        """
        return self._required_by[index]

    def numbered(self, key: str) -> int | None:
        """Return the index of the package with a key; None where the machine has it no more."""
        return next((index for index, package in enumerate(self._packages)
                     if package_key(package) == key), None)  # fmt: skip

    def ways_to(self, index: int) -> PackageWays:
        """Return why a package is installed: the shortest chain from each of the first few.

        A package of a cycle that nothing else requires has none.
        """
        following = {index: index}  # a package, and the one on the way to `index`
        waiting, ways = deque([index]), list[list[int]]()
        while waiting and len(ways) <= MOST_WAYS:
            here = waiting.popleft()
            if not self._required_by[here] and here != index:
                way = [here]
                while way[-1] != index:
                    way.append(following[way[-1]])
                ways.append(way)
            for other in self._required_by[here]:
                if other not in following:
                    following[other] = here
                    waiting.append(other)
        return PackageWays(ways[:MOST_WAYS], len(ways) > MOST_WAYS)


def package_key(package: Package) -> str:
    """Return what names a package of a machine in a URL, the same after another scan."""
    parts = (package.type, package.name, package.version, package.arch, package.path, package.layer)
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
