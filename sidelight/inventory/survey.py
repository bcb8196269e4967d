"""The one walk over a machine's tree: which files are wanted, and what may be an executable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.protocol import Kind
from sidelight.inventory import containers, executables
from sidelight.inventory.treefile import Place, Root
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.filesystems.protocol import Entry, Filesystem
    from sidelight.inventory.treefile import Deadline, Tree
    from sidelight.inventory.wanted import Chosen, WantedTable

MAX_LINKS = 100_000  # links to wanted files that are followed

# Directories that distributions have merged into others: a package database may name either.
_MERGED = frozenset((b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32", b"libexec"))


@dataclass(slots=True)
class Survey:
    """What the walk found.

    `files`: every wanted regular file with the extractors that want it. `merged`: root -> pairs
    (directory, the link that stands for it), both with a slash at the end.
    """

    files: list[tuple[Place, Chosen]] = field(default_factory=list)
    candidates: list[Place] = field(default_factory=list)
    merged: dict[Root, list[tuple[str, str]]] = field(default_factory=dict)
    roots: list[Root] = field(default_factory=lambda: [Root()])
    problems: list[Problem] = field(default_factory=list)


class Surveyor:
    """Walks once, level by level; nothing of a directory is kept but what is wanted of it."""

    def __init__(
        self, tree: Tree, table: WantedTable, deadline: Deadline, *, include_containers: bool
    ) -> None:
        self._tree = tree
        self._table = table
        self._deadline = deadline
        self._containers = include_containers
        self._found = Survey()
        self._links: list[tuple[Place, Chosen]] = []
        self._above: list[tuple[Root, bytes]] = []
        self._executables = executables.Sieve(self._found.candidates)
        # Layers by path: few, and looked up for the directories below a runtime's only.
        self._layers: dict[bytes, Root] = {}
        # (filesystem, inode) of the runtimes' directories -> the path that the runtime knows.
        self._runtimes: dict[tuple[int, int], bytes] = {}
        # Where such a directory really is, if a link leads to it -> the same.
        self._moved: dict[bytes, bytes] = {}

    def run(self) -> Survey:
        """Walk the tree. Where the deadline passes, what was found so far, and a Problem."""
        found = self._found
        self._find_runtimes()
        # Trees that the walk passes over are not paid for.
        if self._containers or not self._runtimes:
            self._tree.read_ahead()
        for level in self._tree.walk(self._skip):
            for path, fs, number, entries in level:
                self._directory(path, fs, number, entries)
            if self._deadline.passed:
                found.problems.append(Problem("/", "the walk was cut short: its time is spent"))
                break
        self._executables.flush()
        self._follow_links()
        return found

    def _find_runtimes(self) -> None:
        for path in containers.RUNTIME_PATHS:
            try:
                fs, inode, kind = self._tree.resolve(path)
            except (PathError, FormatError, SourceError):
                continue
            if kind == Kind.DIRECTORY:
                self._runtimes.setdefault((id(fs), inode), path)

    def _skip(self, path: bytes, fs: Filesystem, inode: int) -> bool:
        """Also what is a runtime's directory by another path: through a link, or a bind mount.

        Its name must tell of the runtime: a link to a disk's top would hide all that is there.
        """
        if path in containers.NEVER:
            return True
        runtime = self._runtimes.get((id(fs), inode), path)
        if runtime != path and _base(runtime) in _base(path):
            if not self._containers or not self._leads_through_a_link(runtime):
                return True
            self._moved[path] = runtime
        return not self._containers and containers.is_runtime(path)

    def _leads_through_a_link(self, path: bytes) -> bool:
        """Whether the walk, which follows none, does not come to it by this path."""
        parts = path.split(b"/")
        above = (b"/".join(parts[:count]) for count in range(1, len(parts) + 1))
        try:
            return any(self._tree.resolve(p, follow=False)[2] == Kind.SYMLINK for p in above)
        except (PathError, FormatError, SourceError):
            return True  # then it is met here, or nowhere

    def _directory(self, path: bytes, fs: Filesystem, number: int, entries: list[Entry]) -> None:
        root, inside = self._root(path) if self._containers else (_MACHINE, path)
        matches: list[tuple[Entry, Chosen]] = []
        self._table.match(inside, entries, matches)
        prefix = inside + b"/" if inside else b""
        for (name, inode, kind), chosen in matches:
            place = Place(root, prefix + name, fs, inode, number)
            if kind == Kind.REGULAR:
                self._found.files.append((place, chosen))
            else:
                self._links.append((place, chosen))
        if inside in self._table.above or not inside or inside == b"usr":
            self._note_links(root, inside, fs, entries)
        if self._table.executables:
            self._executables.add(root, inside, fs, entries)

    def _root(self, path: bytes) -> tuple[Root, bytes]:
        """The layer that a path lies in, and the path within it."""
        known = self._known(path)
        label = containers.label(known)
        if not label:
            return _MACHINE, path
        if containers.is_layer(known) and path not in self._layers:
            self._layers[path] = root = Root(path, label)
            self._found.roots.append(root)
        at = len(path)
        while at > 0:
            root_or_none = self._layers.get(path[:at])
            if root_or_none is not None:
                return root_or_none, path[at + 1 :]
            at = path.rfind(b"/", 0, at)
        # Beside the layers: the runtime's own files (volumes among them).
        return Root(b"", label), path

    def _known(self, path: bytes) -> bytes:
        """The path by which a runtime knows what the walk found at this one."""
        for place, runtime in self._moved.items():
            if path == place or path.startswith(place + b"/"):
                return runtime + path[len(place) :]
        return path

    def _note_links(
        self, root: Root, inside: bytes, fs: Filesystem, entries: Iterable[Entry]
    ) -> None:
        for name, inode, kind in entries:
            if kind != Kind.SYMLINK:
                continue
            path = inside + b"/" + name if inside else name
            if path in self._table.above:
                self._above.append((root, path))
            if name in _MERGED and inside in {b"", b"usr"}:
                self._note_merged(root, path, inside, fs, inode)

    def _note_merged(
        self, root: Root, path: bytes, inside: bytes, fs: Filesystem, inode: int
    ) -> None:
        try:
            target = fs.readlink(inode)
        except (FormatError, SourceError):
            return  # the filesystem's own damage; the link only renames
        if not target.startswith(b"/") and inside:
            target = inside + b"/" + target
        link, real = (part.strip(b"/").decode("utf-8", "replace") + "/" for part in (path, target))
        if ".." not in real:
            self._found.merged.setdefault(root, []).append((real, link))

    def _follow_links(self) -> None:
        """Links to wanted files, and wanted paths below a link; what is known already is not new.

        A link's target is a further place of the same file only where nobody who wants the link
        has met that file under its own name.
        """
        known: set[tuple[int, int, int]] = {
            (id(place.fs), place.inode, index)
            for place, chosen in self._found.files
            for index in chosen
        }
        if len(self._links) > MAX_LINKS:
            what = f"{len(self._links)} links to wanted files; {MAX_LINKS} are followed"
            self._found.problems.append(Problem("/", what))
        for place, chosen in [*self._links[:MAX_LINKS], *self._below_links()]:
            if self._deadline.passed:
                return
            self._follow(place.root, place.path, chosen, known)

    def _below_links(self) -> list[tuple[Place, Chosen]]:
        """Wanted paths and wanted directories' files that lie behind a directory's link."""
        places: list[tuple[Place, Chosen]] = []
        for root, link in self._above:
            for path in self._table.paths:
                if path.startswith(link + b"/"):
                    places += self._match_behind(root, path.rpartition(b"/")[0])
            for path in self._table.directories:
                if path == link or path.startswith(link + b"/"):
                    places += self._match_behind(root, path)
        # One directory may hold several wanted paths.
        return list(
            {(place.root, place.path): (place, chosen) for place, chosen in places}.values()
        )

    def _match_behind(self, root: Root, directory: bytes) -> list[tuple[Place, Chosen]]:
        try:
            fs, number, kind = self._tree.resolve(root.full(directory))
        except (PathError, FormatError, SourceError):
            return []  # a dangling link; what is damaged is among the filesystem's Problems
        if kind != Kind.DIRECTORY:
            return []
        matches: list[tuple[Entry, Chosen]] = []
        for _, entries in fs.directories([number]):
            self._table.match(directory, entries, matches)
        return [
            (Place(root, directory + b"/" + entry[0], fs, entry[1], number), chosen)
            for entry, chosen in matches
        ]

    def _follow(
        self, root: Root, path: bytes, chosen: Chosen, known: set[tuple[int, int, int]]
    ) -> None:
        try:
            fs, inode, kind = self._tree.resolve(root.full(path))
        except (PathError, FormatError, SourceError):
            return
        new = tuple(index for index in chosen if (id(fs), inode, index) not in known)
        if kind == Kind.REGULAR and new:
            known.update((id(fs), inode, index) for index in new)
            self._found.files.append((Place(root, path, fs, inode, None), new))


def _base(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


_MACHINE = Root()
