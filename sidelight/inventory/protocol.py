"""One format, one module, two operations: what it wants, and how it parses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from sidelight.errors import LimitError
from sidelight.inventory.dependencies.name_tables import resolved
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from sidelight.inventory.dependencies.declarations import Declaration
    from sidelight.model import ConfiguredListener, OperatingSystem, Package

# Far more than any real file gives; hostile ones are cut off there.
MAX_PROBLEMS: Final = 100
MAX_PACKAGES: Final = 100_000
MAX_OWNED: Final = 2_000_000  # paths that one file may own
MAX_OWNED_TEXT: Final = 192 << 20  # characters of all these paths together
MAX_PATH: Final = 4096  # characters; Linux's PATH_MAX

# Of one package. The longest real names are paths of Go modules.
NAME_LIMIT: Final = 1024  # characters
VERSION_LIMIT: Final = 512
# What people write of a package (vendor, licence) is cut there, since nothing is matched with it.
REMARK_LIMIT: Final = 256


@dataclass(frozen=True, slots=True)
class Wants:
    """The files that an extractor reads, by path within the machine's tree.

    The walk makes one table of all extractors' wants, so that a path costs a dictionary look-up
    and not a call for each extractor. `names` are whole base names, `suffixes` endings of base
    names from the last dot on (".jar"), `paths` whole paths without the leading slash,
    `directories` such paths of directories whose files (not those further down) are all wanted.
    `confirm`, where given, has the last word on a path that one of the others chose.

    `lacking` are endings of directories' paths from the last dot on, in lower case, each with names
    of files: of such a directory that has no regular file of such a name, the first file is wanted.

    With `random_access` the walk reads nothing ahead: the extractor takes what it needs by
    `WantedFile.read_at` (archives). With `executables` it is given, besides, every ELF file with an
    executable bit that no OS package owns; these are always read by `read_at`. So are the scripts
    and zip archives with an executable bit of one with `executable_archives`.
    """

    names: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    directories: frozenset[str] = frozenset()
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict)
    confirm: Callable[[str], bool] | None = None
    limit: int = 64 << 20  # bytes; a larger file is a Problem, not a silent skip
    random_access: bool = False
    executables: bool = False
    executable_archives: bool = False


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

        `name` may go down ("updates/0000"), not up; one that begins with a slash is a path within
        the file's root. Raises LimitError where it is too large.
        """


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of the machine before the extractors run."""

    os: OperatingSystem


@dataclass(slots=True)
class Extraction:
    """What one file gave. `owned` are paths (no leading slash) that an OS package owns.

    `owner` is the key of the package that owns them, where another file says whether that package
    is installed and the distribution's own (sidelight/vendors.py): such a file gives the keys in
    `installed`. Paths of other owners are not owned: no advisories of the distribution speak of
    them. Without an `owner` the paths are owned as they are. `diverted` are paths that dpkg puts
    elsewhere for all packages but one: path -> that one's key, empty where the administrator moved
    them.

    `requires` has the packages that a package requires, by their indexes in `packages`; one whose
    dependencies the file does not say is not a key. `declared` are names that are resolved when
    all files were read, each with the index of its package.
    """

    packages: list[Package] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)
    owner: str = ""
    installed: set[str] = field(default_factory=set)
    diverted: dict[str, str] = field(default_factory=dict)
    listeners: list[ConfiguredListener] = field(default_factory=list)
    requires: dict[int, tuple[int, ...]] = field(default_factory=dict)
    declared: list[tuple[int, Declaration]] = field(default_factory=list)
    _owned_text: int = 0

    def note(self, where: str, what: str) -> None:
        """Add a Problem; past MAX_PROBLEMS of one file only that there are more."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, what))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem(where, "more problems of this file are not listed"))

    def relate(self, where: str, declarations: Sequence[tuple[int, Declaration]]) -> None:
        """Take what the packages require, by names within this file; too many are a Problem."""
        try:
            self.requires = resolved(declarations)
        except LimitError as error:
            self.note(where, f"{error.what}: dependencies of this file are left out")

    def own(self, where: str, paths: Collection[str]) -> None:
        """Add owned paths. Those past the caps are not owned (so they are read), and a Problem."""
        if self._owned_text > MAX_OWNED_TEXT:
            return
        self._owned_text += sum(map(len, paths))
        if self._owned_text > MAX_OWNED_TEXT or len(self.owned) + len(paths) > MAX_OWNED:
            self._owned_text = MAX_OWNED_TEXT + 1
            what = f"more than {MAX_OWNED} owned paths, or more than {MAX_OWNED_TEXT >> 20} MiB"
            self.note(where, f"{what} of them: the rest count as not owned")
        else:
            self.owned.update(paths)


def unfit(name: str, version: str, *others: str) -> str:
    """Why a package cannot have these texts: the cap that one of them exceeds; empty if it can.

    `others`: further texts with the cap of names.
    """
    longest = max(len(name), *map(len, others)) if others else len(name)
    if longest > NAME_LIMIT:
        return f"{name[:40]!r}: a name of {longest} characters; the limit is {NAME_LIMIT}"
    if len(version) > VERSION_LIMIT:
        return f"{name[:40]!r}: a version of {len(version)} characters, limit {VERSION_LIMIT}"
    return ""


class ReadAhead(NamedTuple):
    """The `(offset, length)` ranges of its file that an extractor reads next."""

    ranges: list[tuple[int, int]]


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


@runtime_checkable
class ReadsInSteps(Protocol):
    """An Extractor that says what it reads next before it reads it.

    So the walk works on several files in turn, and fetches what all of them read next at once.
    """

    def steps(self, file: WantedFile, machine: Machine) -> Generator[ReadAhead, None, Extraction]:
        """Do as `extract` does; at each step nothing of the file is held in memory."""
