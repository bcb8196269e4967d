"""The tree that a machine has: its filesystems mounted into each other, and paths through them.

As in the kernel, a mount covers a directory of one mount, not of a filesystem: what a bind mount
shows a second time has no mounts below it of its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from sidelight.errors import (
    IsADirectoryInTreeError,
    LinkLoopError,
    NoSuchPathError,
    NotADirectoryInTreeError,
)
from sidelight.filesystems.nothing import NoFilesystem
from sidelight.filesystems.protocol import Entry, Filesystem, Inode, Kind, Piece, ReadsAhead
from sidelight.filesystems.walk import (
    ENTRIES_AT_ONCE,
    MAX_DEPTH,
    listing,
    shown,
    subdirectories,
    too_deep,
)
from sidelight.model import FilesystemSummary, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sidelight.errors import SidelightError

MAX_LINKS = 40  # as the kernel
CACHED_NAMES = 200_000
# Directories that are read together where a caller lists a tree one by one, breadth first.
READ_AHEAD = 256
MAX_AHEAD = 100_000

TreeDirectory = tuple[bytes, Filesystem, int, "list[Entry]"]


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """One filesystem, or a directory of it, at one place. `path` has no leading slash."""

    fs: Filesystem
    root: int
    path: bytes
    bind: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A path's end: an inode as seen through a mount."""

    mount: Mount
    inode: int
    kind: Kind


class MachineTree:
    """Read-only access by path to all filesystems of one machine.

    Paths are bytes, or text in which undecodable bytes are surrogates; slashes at either end are
    ignored. `problems` are those of the assembly and of every filesystem so far.
    """

    def __init__(self, root: Filesystem, directory: int | None = None) -> None:
        """`root` is the filesystem at `/`, or that whose `directory` is."""
        self._root = Mount(root, root.root if directory is None else directory, b"")
        self._extra: dict[bytes, Mount] = {}
        self._covered: dict[tuple[int, int], Mount] = {}
        self.mounts: list[Mount] = [self._root]
        self._noted: list[Problem] = []
        self._cache: OrderedDict[tuple[int, int], dict[bytes, tuple[int, int]]] = OrderedDict()
        self._cached_names = 0
        self._lock = threading.RLock()  # of the cache and the queue
        self._ahead: OrderedDict[tuple[int, int], None] = OrderedDict()

    # --- what it is made of ---

    @property
    def root(self) -> Filesystem:
        """The filesystem at `/`."""
        return self._root.fs

    @property
    def extra(self) -> dict[bytes, Mount]:
        """Filesystems that nothing mounts, by the name under which `/` shows them."""
        return dict(self._extra)

    @property
    def filesystems(self) -> list[FilesystemSummary]:
        """Every filesystem once, with its first place; the mount is empty where it has none."""
        found: dict[int, FilesystemSummary] = {}
        for mount in self.mounts:
            fs = mount.fs
            if id(fs) in found or isinstance(fs, NoFilesystem):
                continue
            path = "" if mount.path in self._extra else "/" + _text(mount.path)
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

    def mount(self, path: bytes | str, fs: Filesystem, directory: int | None = None) -> Mount:
        """Show `fs` (or one directory of it) at the directory `path`.

        Raises PathError where there is none, and FormatError.
        """
        place = self.place(path)
        if place.kind != Kind.DIRECTORY:
            raise NotADirectoryInTreeError("a mount point must be a directory", where=_slash(path))
        mount = Mount(fs, fs.root if directory is None else directory, _bytes(path))
        self._cover(place, mount)
        return mount

    def bind(self, source: bytes | str, path: bytes | str, *, recursive: bool = False) -> Mount:
        """Show the directory `source` of the tree at `path` too. Raises PathError."""
        origin, place = self.place(source), self.place(path)
        if origin.kind != Kind.DIRECTORY or place.kind != Kind.DIRECTORY:
            raise NotADirectoryInTreeError(
                "only directories are bound to directories", where=_slash(path)
            )
        mount = Mount(origin.mount.fs, origin.inode, _bytes(path), bind=True)
        below = _bytes(source) + b"/" if _bytes(source) else b""
        copies = [
            (other.path[len(below) :], other)
            for other in self.mounts[1:]
            if recursive and other.path.startswith(below) and other.path not in self._extra
        ]
        self._cover(place, mount)
        for relative, other in copies:
            target = mount.path + b"/" + relative
            copy = Mount(other.fs, other.root, target, bind=True)
            self._cover(self.place(target), copy)
        return mount

    def add_extra(self, name: bytes, fs: Filesystem, directory: int | None = None) -> None:
        """Show a filesystem that nothing mounts (or a directory of it) as `[name]` of `/`.

        A name that is taken gets a number: `[name#2]`.
        """
        plain, count = name, 1
        name = b"[%s]" % plain
        while name in self._extra:
            count += 1
            name = b"[%s#%d]" % (plain, count)
        mount = Mount(fs, fs.root if directory is None else directory, name)
        self._extra[name] = mount
        self.mounts.append(mount)

    def _cover(self, place: Place, mount: Mount) -> None:
        self._covered[id(place.mount), place.inode] = mount
        self.mounts.append(mount)

    # --- all of it ---

    def walk(self, skip: Callable[[bytes], bool] | None = None) -> Iterator[list[TreeDirectory]]:
        """Levels of `(path, filesystem, directory's inode, entries)` over the whole tree.

        Batched a filesystem and a level; a level of very many entries comes in several lists.
        What lies under a mount point is hidden, as in the kernel. A directory for which
        `skip(path)` is true is not entered. Each directory comes once for each mount that shows
        it.
        """
        level = [(mount.path, mount) for mount in (self._root, *self._extra.values())]
        frontier = [(path, mount, mount.root) for path, mount in level]
        seen = {(id(mount), mount.root) for _, mount in level}
        for depth in range(MAX_DEPTH + 1):
            below: list[tuple[bytes, Mount, int]] = []
            for group in _by_filesystem(frontier):
                yield from self._level(group, seen, below, skip)
            frontier = below
            if not frontier:
                return
            if depth == MAX_DEPTH:
                self._noted.append(too_deep(frontier[0][1].fs, frontier[0][0]))

    def read_ahead(self) -> None:
        """Say that all of the tree will be walked now (see ReadsAhead)."""
        for fs in {id(mount.fs): mount.fs for mount in self.mounts}.values():
            if isinstance(fs, ReadsAhead):
                fs.read_ahead()

    def _level(
        self,
        group: list[tuple[bytes, Mount, int]],
        seen: set[tuple[int, int]],
        below: list[tuple[bytes, Mount, int]],
        skip: Callable[[bytes], bool] | None,
    ) -> Iterator[list[TreeDirectory]]:
        """One filesystem's directories of one level."""
        fs = group[0][1].fs
        places: dict[int, list[tuple[bytes, Mount]]] = {}
        for path, mount, number in group:
            places.setdefault(number, []).append((path, mount))
        given: list[TreeDirectory] = []
        room = ENTRIES_AT_ONCE
        for number, entries in listing(fs, list(places), fs.problems):
            for path, mount in places[number]:
                given.append((path, fs, number, entries))
                room -= len(entries) + 1
                for child, where in subdirectories(fs, path, entries, fs.problems):
                    if skip is not None and skip(where):
                        continue
                    inner, inode = self._uncover(mount, child)
                    if (id(inner), inode) in seen:
                        what = f"directory inode {inode} was met before; not read again"
                        fs.problems.append(Problem(shown(fs, where), what))
                        continue
                    seen.add((id(inner), inode))
                    below.append((where, inner, inode))
            if room <= 0:
                yield given
                given, room = [], ENTRIES_AT_ONCE
        if given:
            yield given

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

    # --- one path ---

    def resolve(self, path: bytes | str, *, follow: bool = True) -> tuple[Filesystem, int, Kind]:
        """The filesystem, inode and kind of a path; see `place`."""
        place = self.place(path, follow=follow)
        return place.mount.fs, place.inode, place.kind

    def place(self, path: bytes | str, *, follow: bool = True) -> Place:
        """Where a path leads, through symbolic links; the last one only if `follow`.

        Absolute links start at the machine's root (those in a filesystem that nothing mounts, at
        its own), and ".." does not leave it. Raises NoSuchPathError, NotADirectoryInTreeError,
        LinkLoopError, and FormatError or SourceError where a directory cannot be read.
        """
        raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
        top, _ = self._uncover_root(self._root)
        stack = [Place(top, top.root, Kind.DIRECTORY)]
        base = 1
        parts = [part for part in reversed(raw.split(b"/")) if part not in (b"", b".")]
        must_be_directory = raw.endswith((b"/", b"/.")) and bool(parts)
        links = 0
        while parts:
            part = parts.pop()
            if part == b"..":
                if len(stack) > base:
                    stack.pop()
                continue
            if len(stack) == 1 and part in self._extra and links == 0:
                inner, _ = self._uncover_root(self._extra[part])
                stack.append(Place(inner, inner.root, Kind.DIRECTORY))
                base = 2
                continue
            found = self._child(stack[-1], part, path)
            if found.kind == Kind.SYMLINK and (parts or follow or must_be_directory):
                links += 1
                if links > MAX_LINKS:
                    raise LinkLoopError(f"more than {MAX_LINKS} links", where=_slash(path))
                target = found.mount.fs.readlink(found.inode)
                if not target:
                    raise NoSuchPathError("an empty link", where=_slash(path))
                if target.startswith(b"/"):
                    del stack[base:]
                parts += [p for p in reversed(target.split(b"/")) if p not in (b"", b".")]
                continue
            if found.kind != Kind.DIRECTORY and (parts or must_be_directory):
                raise NotADirectoryInTreeError("not a directory", where=_slash(path))
            stack.append(found)
        return stack[-1]

    def stat(self, path: bytes | str, *, follow: bool = True) -> Inode:
        """The inode's metadata. Raises as `place` does, and NoSuchPathError where it is damaged."""
        place = self.place(path, follow=follow)
        inode = place.mount.fs.inodes([place.inode]).get(place.inode)
        if inode is None:
            raise NoSuchPathError(f"inode {place.inode} cannot be read", where=_slash(path))
        return inode

    def listdir(self, path: bytes | str) -> list[Entry]:
        """A directory's entries; `/` also has the filesystems that nothing mounts."""
        place = self.place(path)
        if place.kind != Kind.DIRECTORY:
            raise NotADirectoryInTreeError("not a directory", where=_slash(path))
        names = self._listed(place)
        entries: list[Entry] = [(name, number, kind) for name, (number, kind) in names.items()]
        if not _bytes(path):
            entries += [(n, m.root, Kind.DIRECTORY) for n, m in self._extra.items()]
        return entries

    def readlink(self, path: bytes | str) -> bytes:
        """A symbolic link's target. Raises NoSuchPathError where the path is none."""
        place = self.place(path, follow=False)
        if place.kind != Kind.SYMLINK:
            raise NoSuchPathError("not a symbolic link", where=_slash(path))
        return place.mount.fs.readlink(place.inode)

    def read(self, path: bytes | str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a regular file, short at its end; to its end where no length is given."""
        place = self.place(path)
        if place.kind == Kind.DIRECTORY:
            raise IsADirectoryInTreeError("a directory", where=_slash(path))
        if place.kind != Kind.REGULAR:
            raise NoSuchPathError(f"not a file but {place.kind.name.lower()}", where=_slash(path))
        if length is None:
            length = max(0, self.stat(path).size - offset)
        return place.mount.fs.read(place.inode, offset, length)

    def _child(self, parent: Place, name: bytes, path: bytes | str) -> Place:
        found = self._names(parent.mount.fs, parent.inode).get(name)
        if found is None:
            raise NoSuchPathError("no such file or directory", where=_slash(path))
        number, kind = found
        if kind == Kind.UNKNOWN:
            inode = parent.mount.fs.inodes([number]).get(number)
            kind = Kind.UNKNOWN if inode is None else inode.kind
        if kind == Kind.DIRECTORY:
            mount, number = self._uncover(parent.mount, number)
            return Place(mount, number, Kind.DIRECTORY)
        return Place(parent.mount, number, Kind(kind) if 0 <= kind <= 7 else Kind.UNKNOWN)

    def _uncover(self, mount: Mount, number: int) -> tuple[Mount, int]:
        """What is on top of a directory: mounts may be stacked."""
        while (above := self._covered.get((id(mount), number))) is not None:
            mount, number = above, above.root
        return mount, number

    def _uncover_root(self, mount: Mount) -> tuple[Mount, int]:
        return self._uncover(mount, mount.root)

    def _listed(self, place: Place) -> dict[bytes, tuple[int, int]]:
        """A directory's entries; those that a breadth-first caller lists next are read along.

        Directories seen in listings and not listed yet wait in a queue. A caller that takes its
        head goes breadth first, and one read for many is far cheaper than many.
        """
        fs, number = place.mount.fs, place.inode
        key = (id(fs), number)
        with self._lock:
            at_head = next(iter(self._ahead), None) == key
            if at_head and key not in self._cache:
                batch = [item[1] for item in islice(self._ahead, READ_AHEAD) if item[0] == key[0]]
                for other, entries in listing(fs, batch, fs.problems):
                    self._keep((id(fs), other), entries)
            self._ahead.pop(key, None)
            names = self._names(fs, number)
            for child, kind in names.values():
                if kind == Kind.DIRECTORY and len(self._ahead) < MAX_AHEAD:
                    mount, inode = self._uncover(place.mount, child)
                    self._ahead[id(mount.fs), inode] = None
        return names

    def _names(self, fs: Filesystem, number: int) -> dict[bytes, tuple[int, int]]:
        """A directory's entries by name, kept for the next look-up."""
        key = (id(fs), number)
        with self._lock:
            names = self._cache.get(key)
            if names is not None:
                self._cache.move_to_end(key)
                return names
            for _, entries in listing(fs, [number], fs.problems):
                self._keep(key, entries)
            return self._cache[key]

    def _keep(self, key: tuple[int, int], entries: Iterable[Entry]) -> None:
        """Put a directory's entries into the cache, the oldest out."""
        names: dict[bytes, tuple[int, int]] = {}
        for name, child, kind in entries:
            names.setdefault(name, (child, kind))
        if (old := self._cache.pop(key, None)) is not None:
            self._cached_names -= len(old) + 1
        self._cache[key] = names
        self._cached_names += len(names) + 1
        while self._cached_names > CACHED_NAMES and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_names -= len(oldest) + 1


def _by_filesystem(
    frontier: list[tuple[bytes, Mount, int]],
) -> list[list[tuple[bytes, Mount, int]]]:
    groups: dict[int, list[tuple[bytes, Mount, int]]] = {}
    for item in frontier:
        groups.setdefault(id(item[1].fs), []).append(item)
    return list(groups.values())


def _bytes(path: bytes | str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    return b"/".join(part for part in raw.split(b"/") if part not in (b"", b"."))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _slash(path: bytes | str) -> str:
    return "/" + _bytes(path).decode("utf-8", "backslashreplace")
