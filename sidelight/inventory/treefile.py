"""A file of a machine's tree as extractors see it, and what the tree must offer for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sidelight.errors import LimitError, NoSuchPathError, PathError
from sidelight.filesystems.letter_case import find
from sidelight.filesystems.protocol import InodeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sidelight.errors import SidelightError
    from sidelight.filesystems.protocol import Entry, Filesystem, Piece


class Tree(Protocol):
    """What collecting needs of a machine's tree. Paths are bytes without a leading slash."""

    def walk(
        self, skip: Callable[[bytes, Filesystem, int], bool] | None = None
    ) -> Iterator[list[tuple[bytes, Filesystem, int, list[Entry]]]]:
        """Levels of `(path, filesystem, directory's inode, entries)`; see MachineTree.walk."""

    def read_ahead(self) -> None:
        """Say that all of the tree will be walked now, so that its blocks come in few rounds."""

    def contents(
        self, files: Iterable[tuple[Filesystem, int]], limit: int
    ) -> Iterator[tuple[tuple[Filesystem, int], bytes | SidelightError]]:
        """Whole files in physical order."""

    def pieces(
        self, wanted: Iterable[tuple[Filesystem, Piece]]
    ) -> Iterator[tuple[tuple[Filesystem, Piece], bytes | SidelightError]]:
        """Parts of files in physical order."""

    def prefetch(self, wanted: Iterable[tuple[Filesystem, Piece]]) -> None:
        """Begin to fetch parts of files that will be read soon, and wait for none of them."""

    def resolve(
        self, path: bytes, *, follow: bool = True, root: bytes = b""
    ) -> tuple[Filesystem, int, InodeKind]:
        """The inode at a path's end, within the directory `root`.

        Raises PathError, FormatError or SourceError.
        """


@dataclass(frozen=True, slots=True)
class TreeRoot:
    """A root that paths are relative to: the machine's own (empty), or a container layer's."""

    path: bytes = b""
    layer: str = ""

    def full(self, path: bytes) -> bytes:
        """The path within the machine's tree of a path within this root."""
        return self.path + b"/" + path if self.path else path


@dataclass(frozen=True, slots=True)
class WantedFileRef:
    """Where one wanted file is. `path` is within `root`; `directory` is None where not known."""

    root: TreeRoot
    path: bytes
    fs: Filesystem
    inode: int
    directory: int | None

    @property
    def shown(self) -> str:
        """The path in Problems."""
        return "/" + self.root.full(self.path).decode("utf-8", "backslashreplace")


class Deadline:
    """A moment on an injectable monotonic clock."""

    def __init__(self, clock: Callable[[], float], seconds: float, what: str) -> None:
        self._clock = clock
        self._seconds = seconds
        self._end = clock() + seconds
        self._paused = 0.0
        self._what = what

    def within(self, seconds: float, what: str) -> Deadline:
        """A deadline for a part of the work, which ends with the whole at the latest."""
        part = Deadline(self._clock, seconds, what)
        if part._end > self._end:
            part._seconds, part._end, part._what = self._seconds, self._end, self._what
        return part

    def pause(self) -> None:
        """Stop the time of this part until `resume`."""
        self._paused = self._clock()

    def resume(self, whole: Deadline) -> None:
        """Go on with the time that was left, which ends with the whole at the latest."""
        self._end = min(self._end + self._clock() - self._paused, whole._end)

    @property
    def passed(self) -> bool:
        """Whether the time is spent."""
        return self._clock() > self._end

    def check(self) -> None:
        """Raises LimitError once the time is spent."""
        if self.passed:
            raise LimitError(f"{self._what} took longer than {self._seconds:g} s")


class TreeFile:
    """A WantedFile. What it holds in memory goes with it: keep none beyond its extraction."""

    def __init__(  # noqa: PLR0913 - one file's coordinates, and its limits
        self,
        tree: Tree,
        place: WantedFileRef,
        *,
        size: int,
        data: bytes | None,
        limit: int,
        deadline: Deadline,
    ) -> None:
        """`data` is the whole contents where the walk has read them ahead."""
        self.path = place.path.decode("utf-8", "surrogateescape")
        self.size = size
        self._tree = tree
        self._place = place
        self._data = data
        self._limit = limit
        self._deadline = deadline

    def read(self) -> bytes:
        """The whole file. Raises LimitError where it is larger than the extractor's limit."""
        if self._data is None:
            if self.size > self._limit:
                raise LimitError(f"{self.size} bytes; the limit is {self._limit}")
            self._deadline.check()
            self._data = self._place.fs.read(self._place.inode, 0, self.size)
        return self._data

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on, short at the end."""
        if offset < 0 or length < 0:
            raise LimitError(f"a read of {length} bytes at {offset}")
        if self._data is not None:
            return self._data[offset : offset + length]
        self._deadline.check()
        length = min(length, self.size - offset)
        return self._place.fs.read(self._place.inode, offset, length) if length > 0 else b""

    def check_time(self) -> None:
        """Raises LimitError once this file's time is spent."""
        self._deadline.check()

    def sibling(self, name: str, limit: int = 64 << 20) -> bytes | None:
        """The contents of a file beside this one or further down; None where there is none."""
        self._deadline.check()
        found = self._find(name.encode("utf-8", "surrogateescape"))
        if found is None:
            return None
        fs, number = found
        inode = fs.inodes([number]).get(number)
        if inode is None or inode.kind != InodeKind.REGULAR:
            return None
        if inode.size > limit:
            raise LimitError(f"{name} beside it has {inode.size} bytes; the limit is {limit}")
        return fs.read(number, 0, inode.size)

    def _find(self, name: bytes) -> tuple[Filesystem, int] | None:
        root, parts = self._place.root.path, name.lstrip(b"/").split(b"/")
        if b".." in parts or b"" in parts:
            return None
        try:
            if name.startswith(b"/"):
                return self._tree.resolve(b"/".join(parts), root=root)[:2]
            return self._find_below(name, parts)
        except PathError:
            return None

    def _find_below(self, name: bytes, parts: list[bytes]) -> tuple[Filesystem, int] | None:
        place, number = self._place, self._directory()
        for part in parts:
            entry = _entry(place.fs, number, part)
            if entry is None:
                return None
            if entry[2] == InodeKind.SYMLINK:
                path = place.path.rpartition(b"/")[0] + b"/" + name
                return self._tree.resolve(path, root=place.root.path)[:2]
            if entry[2] == InodeKind.REGULAR and part is not parts[-1]:
                return None
            number = entry[1]
        return place.fs, number

    def _directory(self) -> int:
        place = self._place
        if place.directory is not None:
            return place.directory
        above = place.path.rpartition(b"/")[0]
        fs, number, _ = self._tree.resolve(above, root=place.root.path)
        if fs is not place.fs:
            raise NoSuchPathError("the directory is on another filesystem", where=place.shown)
        return number


def _entry(fs: Filesystem, directory: int, name: bytes) -> Entry | None:
    names: dict[bytes, Entry] = {}
    for _, entries in fs.directories([directory]):
        for entry in entries:
            if entry[0] == name:
                return entry
            names.setdefault(entry[0], entry)
    return find(names, name, fs, directory)
