"""The tree that a machine has: walked as a whole, or read by path."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sidelight.errors import (
    FormatError,
    IsADirectoryInTreeError,
    NoSuchPathError,
    NotADirectoryInTreeError,
    PathError,
    SourceError,
)
from sidelight.filesystems.empty import NoFilesystem
from sidelight.filesystems.machine.namespace import Namespace, as_bytes, as_text, shown_path
from sidelight.filesystems.protocol import Entry, Filesystem, Inode, InodeKind, Piece, ReadsAhead
from sidelight.filesystems.walk import (
    ENTRIES_AT_ONCE,
    MAX_DEPTH,
    listing,
    note,
    shown,
    subdirectories,
    too_deep,
)
from sidelight.model import FilesystemSummary, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sidelight.errors import SidelightError
    from sidelight.filesystems.machine.namespace import Mount, ResolvedPath

    Skip = Callable[[bytes, Filesystem, int], bool]

# Directories of one walk that another mount of their filesystem has shown before. A few lines of an
# fstab can show all of a machine thousands of times.
MAX_SHOWN_AGAIN = 1_000_000

TreeDirectory = tuple[bytes, Filesystem, int, "list[Entry]"]


class MachineTree(Namespace):
    """Read-only access to all filesystems of one machine, mounted as it mounts them.

    `problems` are those of the assembly and of every filesystem so far. `left_out` names what is
    on the disks and not of the running machine: snapshots, deployments that do not boot.
    """

    def __init__(self, root: Filesystem, directory: int | None = None) -> None:
        """`root` is the filesystem at `/`, or that whose `directory` is."""
        super().__init__(root, directory)
        self._noted: list[Problem] = []
        self._aside: set[tuple[int, int]] = set()
        self.left_out: list[str] = []

    # --- what it is made of ---

    @property
    def root(self) -> Filesystem:
        """The filesystem at `/`."""
        return self._root.fs

    @property
    def filesystems(self) -> list[FilesystemSummary]:
        """Every filesystem once, with its first place; the mount is empty where it has none."""
        found: dict[int, FilesystemSummary] = {}
        for mount in self.mounts:
            fs = mount.fs
            if id(fs) in found or isinstance(fs, NoFilesystem):
                continue
            path = "" if mount.path in self._extra else "/" + as_text(mount.path)
            found[id(fs)] = FilesystemSummary(fs.source_name, fs.kind, path, fs.journal)
        return list(found.values())

    @property
    def problems(self) -> list[Problem]:
        """All Problems so far, each once."""
        found = dict.fromkeys(self._noted)
        for mount in self.mounts:
            found.update(dict.fromkeys(mount.fs.problems))
        return list(found)

    def note(self, problem: Problem) -> None:
        """Add a Problem of the tree as a whole."""
        self._noted.append(problem)

    def set_aside(self, fs: Filesystem, directory: int, what: str = "") -> None:
        """Keep a directory out of walks that meet it below another; paths still lead to it.

        `what` names it in `left_out`; nothing is said of what the walk meets elsewhere.
        """
        self._aside.add((id(fs), directory))
        if what:
            self.left_out.append(what)

    # --- all of it ---

    def walk(
        self, skip: Skip | None = None, top: bytes | str = b""
    ) -> Iterator[list[TreeDirectory]]:
        """Levels of `(path, filesystem, directory's inode, entries)`, over all that `top` is above.

        Paths begin with `top` as it is given, whatever links are in it. Raises PathError where it
        is not a directory.
        Batched a filesystem and a level. A level of very many entries comes in several lists, and
        so does a directory of very many.
        What lies under a mount point is hidden, as in the kernel. A directory for which `skip`
        of its path, filesystem and inode is true is not entered. Each directory comes once for
        each mount that shows it; past MAX_SHOWN_AGAIN of what came before, with a Problem, once.
        """
        whole = [(mount.path, mount, mount.root) for mount in (self._root, *self._extra.values())]
        frontier = [self._top(top)] if as_bytes(top) else whole
        seen = _Seen(self.mounts)
        for _, mount, number in frontier:
            seen.enter(mount, number)
        for depth in range(MAX_DEPTH + 1):
            below: list[tuple[bytes, Mount, int]] = []
            for group in _by_filesystem(frontier):
                yield from self._level(group, seen, below, skip)
            frontier = below
            if not frontier:
                break
            if depth == MAX_DEPTH:
                self._noted.append(too_deep(frontier[0][1].fs, frontier[0][0]))
        if seen.shown_again > MAX_SHOWN_AGAIN:
            more = seen.shown_again - MAX_SHOWN_AGAIN
            what = f"mounts show the same directories again: {more} of these are not read again"
            self._noted.append(Problem("/", what))

    def _top(self, path: bytes | str) -> tuple[bytes, Mount, int]:
        place = self.locate(path)
        if place.kind != InodeKind.DIRECTORY:
            raise NotADirectoryInTreeError("not a directory", where=shown_path(path))
        return as_bytes(path), place.mount, place.inode

    def read_ahead(self) -> None:
        """Say that all of the tree will be walked now (see ReadsAhead)."""
        for fs in {id(mount.fs): mount.fs for mount in self.mounts}.values():
            if isinstance(fs, ReadsAhead):
                fs.read_ahead()

    def _level(
        self,
        group: list[tuple[bytes, Mount, int]],
        seen: _Seen,
        below: list[tuple[bytes, Mount, int]],
        skip: Skip | None,
    ) -> Iterator[list[TreeDirectory]]:
        """One filesystem's directories of one level."""
        fs = group[0][1].fs
        places: dict[int, list[tuple[bytes, Mount]]] = {}
        for path, mount, number in group:
            places.setdefault(number, []).append((path, mount))
        batch: list[TreeDirectory] = []
        room = ENTRIES_AT_ONCE
        for number, entries in listing(fs, list(places), fs.problems):
            for path, mount in places[number]:
                batch.append((path, fs, number, entries))
                room -= len(entries) + 1
                for child, where in subdirectories(fs, path, entries, fs.problems):
                    inner, inode = self._uncover(mount, child)
                    aside = inode != inner.root and (id(inner.fs), inode) in self._aside
                    if aside or (skip is not None and skip(where, inner.fs, inode)):
                        continue
                    if seen.has(inner, inode):
                        what = f"directory inode {inode} was met before; not read again"
                        note(fs.problems, Problem(shown(fs, where), what))
                    elif seen.enter(inner, inode):
                        below.append((where, inner, inode))
            # Nothing is held of it while the next directories are read.
            del entries
            if room <= 0:
                yield batch
                batch, room = [], ENTRIES_AT_ONCE
        if batch:
            yield batch

    def contents(
        self, files: Iterable[tuple[Filesystem, int]], limit: int
    ) -> Iterator[tuple[tuple[Filesystem, int], bytes | SidelightError]]:
        """Whole files, a filesystem at a time, each in physical order (see Filesystem)."""
        groups: dict[int, tuple[Filesystem, list[int]]] = {}
        for fs, number in files:
            groups.setdefault(id(fs), (fs, []))[1].append(number)
        for fs, numbers in groups.values():
            for number, data in fs.contents(numbers, limit):
                yield (fs, number), data

    def pieces(
        self, wanted: Iterable[tuple[Filesystem, Piece]]
    ) -> Iterator[tuple[tuple[Filesystem, Piece], bytes | SidelightError]]:
        """Parts of files, a filesystem at a time, each in physical order (see Filesystem)."""
        groups: dict[int, tuple[Filesystem, list[Piece]]] = {}
        for fs, piece in wanted:
            groups.setdefault(id(fs), (fs, []))[1].append(piece)
        for fs, pieces in groups.values():
            for piece, data in fs.pieces(pieces):
                yield (fs, piece), data

    def prefetch(self, wanted: Iterable[tuple[Filesystem, Piece]]) -> None:
        """Begin to fetch parts of files that will be read soon (see ReadsAhead)."""
        groups: dict[int, tuple[Filesystem, list[Piece]]] = {}
        for fs, piece in wanted:
            groups.setdefault(id(fs), (fs, []))[1].append(piece)
        for fs, pieces in groups.values():
            if isinstance(fs, ReadsAhead):
                fs.prefetch(pieces)

    # --- one path ---

    def resolve(
        self, path: bytes | str, *, follow: bool = True, root: bytes = b""
    ) -> tuple[Filesystem, int, InodeKind]:
        """The filesystem, inode and kind of a path; see `locate`."""
        place = self.locate(path, follow=follow, root=root)
        return place.mount.fs, place.inode, place.kind

    def find(self, path: bytes | str, *, follow: bool = True) -> ResolvedPath | None:
        """As `place`, but None where the path leads nowhere; of damage on the way, with a Problem.

        The Problem is one of the filesystem at `/`, since more than one tree is made of it.
        """
        try:
            return self.locate(path, follow=follow)
        except PathError:
            return None
        except (FormatError, SourceError) as error:
            problem = Problem(error.where or shown_path(path), error.what)
            if problem not in self.root.problems:
                self.root.problems.append(problem)
            return None

    def stat(self, path: bytes | str, *, follow: bool = True) -> Inode:
        """The inode's metadata. Raises as `place` does, and NoSuchPathError where it is damaged."""
        place = self.locate(path, follow=follow)
        inode = place.mount.fs.inodes([place.inode]).get(place.inode)
        if inode is None:
            raise NoSuchPathError(f"inode {place.inode} cannot be read", where=shown_path(path))
        return inode

    def listdir(self, path: bytes | str) -> list[Entry]:
        """A directory's entries; `/` also has the filesystems that nothing mounts."""
        place = self.locate(path)
        if place.kind != InodeKind.DIRECTORY:
            raise NotADirectoryInTreeError("not a directory", where=shown_path(path))
        fs, mount = place.mount.fs, place.mount
        read = self._listings.names_read
        names = self._listings.listed(fs, place.inode)
        self._spend(self._listings.names_read - read)
        below = (child for child, kind in names.values() if kind == InodeKind.DIRECTORY)
        inner = (self._uncover(mount, child) for child in below)
        self._listings.expect((id(above.fs), inode) for above, inode in inner)
        entries: list[Entry] = [(name, number, kind) for name, (number, kind) in names.items()]
        if not as_bytes(path):
            entries += [(n, m.root, InodeKind.DIRECTORY) for n, m in self._extra.items()]
        return entries

    def readlink(self, path: bytes | str) -> bytes:
        """A symbolic link's target. Raises NoSuchPathError where the path is none."""
        place = self.locate(path, follow=False)
        if place.kind != InodeKind.SYMLINK:
            raise NoSuchPathError("not a symbolic link", where=shown_path(path))
        return place.mount.fs.readlink(place.inode)

    def read(self, path: bytes | str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a regular file, short at its end; to its end where no length is given."""
        place = self.locate(path)
        if place.kind == InodeKind.DIRECTORY:
            raise IsADirectoryInTreeError("a directory", where=shown_path(path))
        if place.kind != InodeKind.REGULAR:
            raise NoSuchPathError(
                f"not a file but {place.kind.name.lower()}", where=shown_path(path)
            )
        if length is None:
            length = max(0, self.stat(path).size - offset)
        return place.mount.fs.read(place.inode, offset, length)


def _by_filesystem(
    frontier: list[tuple[bytes, Mount, int]],
) -> list[list[tuple[bytes, Mount, int]]]:
    groups: dict[int, list[tuple[bytes, Mount, int]]] = {}
    for item in frontier:
        groups.setdefault(id(item[1].fs), []).append(item)
    return list(groups.values())


class _Seen:
    """The directories that a walk has entered."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._entered: set[tuple[int, int]] = set()  # by mount
        times = Counter(id(mount.fs) for mount in mounts)
        self._shared = frozenset(fs for fs, count in times.items() if count > 1)
        self._shown: set[tuple[int, int]] = (
            set()
        )  # by filesystem, of those that several mounts show
        self.shown_again = 0

    def has(self, mount: Mount, inode: int) -> bool:
        """Whether the walk has met it in this mount."""
        return (id(mount), inode) in self._entered

    def enter(self, mount: Mount, inode: int) -> bool:
        """Note a directory; False where it was shown before, and so were too many others."""
        fs = id(mount.fs)
        if fs in self._shared:
            if (fs, inode) in self._shown:
                self.shown_again += 1
                if self.shown_again > MAX_SHOWN_AGAIN:
                    return False
            else:
                self._shown.add((fs, inode))
        self._entered.add((id(mount), inode))
        return True
