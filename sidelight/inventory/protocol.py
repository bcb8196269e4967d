"""One format, one module, two operations: what it wants, and how it parses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.model import OperatingSystem, Package

# Far more than any real file gives; hostile ones are cut off there.
MAX_PROBLEMS: Final = 100
MAX_PACKAGES: Final = 100_000
MAX_OWNED: Final = 3_000_000


@dataclass(frozen=True, slots=True)
class Wants:
    """The files that an extractor reads, by path within the machine's tree.

    The walk makes one table of all extractors' wants, so that a path costs a dictionary look-up
    and not a call for each extractor. `names` are whole base names, `suffixes` endings of base
    names from the last dot on (".jar"), `paths` whole paths without the leading slash,
    `directories` such paths of directories whose files (not those further down) are all wanted.
    `confirm`, where given, has the last word on a path that one of the others chose.

    With `random_access` the walk reads nothing ahead: the extractor takes what it needs by
    `WantedFile.read_at` (archives). With `executables` it is given, besides, every ELF file with an
    executable bit that no OS package owns; these are always read by `read_at`.
    """

    names: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    directories: frozenset[str] = frozenset()
    confirm: Callable[[str], bool] | None = None
    limit: int = 64 << 20  # bytes; a larger file is a Problem, not a silent skip
    random_access: bool = False
    executables: bool = False


class WantedFile(Protocol):
    """One file that an extractor asked for."""

    @property
    def path(self) -> str:
        """Within the machine's tree, without the leading slash; undecodable bytes as surrogates."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self) -> bytes:
        """The whole file (its size is within the extractor's limit)."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on, short at the file's end (as pread); no seek position.

        Raises SourceError or FormatError where they cannot be read, and LimitError once this
        file's time is spent. Ask for pieces of 64 KiB and more: each call walks the extents.
        """

    def check_time(self) -> None:
        """Raises LimitError once this file's time is spent: for loops over hostile input."""

    def sibling(self, name: str, limit: int = 64 << 20) -> bytes | None:
        """The contents of a file beside this one, or None where there is none.

        `name` may go down ("updates/0000"), not up. Raises LimitError where it is too large.
        """


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of the machine before the extractors run."""

    os: OperatingSystem


@dataclass(slots=True)
class Extraction:
    """What one file gave. `owned` are paths (no leading slash) that an OS package owns."""

    packages: list[Package] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)

    def note(self, where: str, what: str) -> None:
        """Add a Problem; past MAX_PROBLEMS of one file only that there are more."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, what))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem(where, "more problems of this file are not listed"))


class Extractor(Protocol):
    """A package format."""

    @property
    def name(self) -> str:
        """`os/dpkg`, `language/npm-installed`."""

    @property
    def wants(self) -> Wants:
        """The files to read."""

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """Parse one file. Hostile input is normal.

        Raises FormatError only (and passes on the file's SourceError): the walk makes it a Problem.
        """
