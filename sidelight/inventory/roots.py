"""The roots within a machine's tree: its own, those of containers, chroots and their like.

What lies in a root below the machine's own is judged by that root's system, never by the
machine's: its packages carry the label of their root.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.protocol import InodeKind
from sidelight.inventory import containers
from sidelight.inventory.treefile import TreeRoot, WantedFileRef
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.filesystems.protocol import Entry, Filesystem
    from sidelight.inventory.containers import Runtime
    from sidelight.inventory.treefile import Tree

MACHINE = TreeRoot()

# Two of these directories make a candidate of the one that holds them; a release file or a package
# database in it makes a root.
_TOPS = frozenset((b"etc", b"usr", b"var"))
# Where package databases lie in a root: a directory, and names of which it has one.
_DATABASES = {
    b"/var/lib/dpkg": frozenset((b"status",)),
    b"/var/lib/rpm": frozenset((b"Packages", b"Packages.db", b"rpmdb.sqlite")),
    b"/usr/lib/sysimage/rpm": frozenset((b"Packages", b"Packages.db", b"rpmdb.sqlite")),
    b"/usr/share/rpm": frozenset((b"Packages", b"Packages.db", b"rpmdb.sqlite")),
    b"/lib/apk/db": frozenset((b"installed",)),
    b"/usr/lib/opkg": frozenset((b"status",)),
    b"/var/lib/opkg": frozenset((b"status",)),
    b"/opt/lib/opkg": frozenset((b"status",)),
    b"/var/lib/pacman/local": frozenset((b"ALPM_DB_VERSION",)),
}
_DATABASE_ENDS = tuple(_DATABASES)
MOST_ROOTS = 10_000
# Entries of a part of a directory (protocol.MOST_AT_ONCE), even where bad names were left out.
LARGE = 10_000


class Roots:
    """Sorts the directories of a walk into roots, as the walk meets them, from the top down."""

    def __init__(self, tree: Tree, above: Iterable[bytes], *, include_containers: bool) -> None:
        """`above`: directories of the machine's own that lead to wanted files; no roots."""
        self._tree = tree
        self._containers = include_containers
        self._own = frozenset(above)
        self._by_path: dict[bytes, TreeRoot] = {}
        self.nested: set[TreeRoot] = set()  # candidates: not known to be roots before the walk ends
        self.left_out: list[str] = []
        self.problems: list[Problem] = []
        self._stray: dict[tuple[int, int], bytes] = {}
        self._tops: dict[bytes, set[bytes]] = {}  # of large directories, what makes them roots
        # Runtimes' directories: where the walk meets one -> its layout.
        self._runtimes: dict[bytes, Runtime] = {}
        # (filesystem, inode) of what is at a runtime's known path, through links and mounts.
        self._known: dict[tuple[int, int], tuple[Runtime, bytes]] = {}
        for path, runtime in containers.RUNTIME_PATHS.items():
            try:
                fs, inode, kind = tree.resolve(path)
            except (PathError, FormatError, SourceError):
                continue
            if kind == InodeKind.DIRECTORY:
                self._known.setdefault((id(fs), inode), (runtime, path))

    @property
    def has_runtimes(self) -> bool:
        """Whether something is at a runtime's known path: the walk may pass over trees."""
        return bool(self._known)

    def skip(self, path: bytes, fs: Filesystem, inode: int) -> bool:
        """Whether the walk is not to enter a directory: a container runtime's."""
        above, _, name = path.rpartition(b"/")
        runtime = self._runtimes.get(above)
        if runtime is not None and runtime.own.fullmatch(name):
            return self._leave_out(above)
        if (label := containers.machine_at(path)) and containers.is_root(_names(fs, inode)):
            if self._containers:
                self._by_path[path] = TreeRoot(path, label)
            return self._leave_out(path)
        known = self._known.get((id(fs), inode))
        found = (known[0], False) if known is not None else containers.runtime_at(path)
        if found is not None and found[0].laid_out(_names(fs, inode), rootless=found[1]):
            if known is not None and self._is_met_again(path, known[1]):
                return True
            self._runtimes[path] = found[0]
        return False

    def _is_met_again(self, path: bytes, known: bytes) -> bool:
        """Whether the walk, which follows no links, comes to a runtime by its known path too."""
        if path == known:
            return False
        parts = known.split(b"/")
        above = (b"/".join(parts[:count]) for count in range(1, len(parts) + 1))
        try:
            return all(self._tree.resolve(p, follow=False)[2] != InodeKind.SYMLINK for p in above)
        except (PathError, FormatError, SourceError):
            return False  # then it is met here, or nowhere

    def _leave_out(self, path: bytes) -> bool:
        shown = "/" + path.decode("utf-8", "backslashreplace")
        if not self._containers and shown not in self.left_out:
            self.left_out.append(shown)
        return not self._containers

    def of(self, path: bytes) -> tuple[TreeRoot, bytes]:
        """The root that a directory lies in, and its path within that."""
        if self._runtimes and self._containers:
            self._note_layer(path)
        return self._nearest(path, len(path)) if self._by_path else (MACHINE, path)

    def _nearest(self, path: bytes, at: int) -> tuple[TreeRoot, bytes]:
        """The root at `path[:at]` or nearest above it, and the path within that."""
        while at > 0:
            root = self._by_path.get(path[:at])
            if root is not None:
                # Beside the layers of a runtime are its own files, which are in no root.
                return (root, path[at + 1 :]) if root.path else (root, path)
            at = path.rfind(b"/", 0, at)
        return MACHINE, path

    def _note_layer(self, path: bytes) -> None:
        for top, runtime in self._runtimes.items():
            if not path.startswith(top + b"/"):
                continue
            inside = path[len(top) + 1 :]
            if b"/" not in inside and runtime.own.fullmatch(inside):
                self._by_path[path] = TreeRoot(b"", runtime.label)
            elif containers.is_layer(inside):
                self._by_path[path] = TreeRoot(path, runtime.label)

    def meet(self, path: bytes, entries: Sequence[Entry]) -> None:
        """Look at a directory, before it is asked for with `of`, for being a root of its own.

        Of a large directory, at each of its parts.
        """
        tops = {entry[0] for entry in entries if entry[0] in _TOPS and entry[2] in _FOLDERS}
        tops |= self._tops.get(path, set())
        if len(entries) >= LARGE:
            self._tops[path] = tops
        if len(tops) < 2 or not path or path in self._own or path in self._by_path:
            return
        if path.startswith(b"[") and b"/" not in path:
            return  # a filesystem that nothing mounts: the assembly says what it is
        if len(self.nested) < MOST_ROOTS:
            root = TreeRoot(path, self.of(path)[0].layer or "/" + path.decode("utf-8", "replace"))
            self._by_path[path] = root
            self.nested.add(root)
        elif not any("more than" in problem.what for problem in self.problems):
            what = f"more than {MOST_ROOTS} directories look like roots of systems"
            self.problems.append(Problem("/", what))

    def note_database(
        self, path: bytes, inside: bytes, fs: Filesystem, entries: Iterable[Entry]
    ) -> None:
        """A package database that lies in no root, where no link leads to it either."""
        if b"/" + inside in _DATABASES or not path.endswith(_DATABASE_ENDS):
            return
        names = next(names for end, names in _DATABASES.items() if path.endswith(end))
        for entry in entries:
            if entry[0] in names and entry[2] == InodeKind.REGULAR:
                self._stray.setdefault((id(fs), entry[1]), path)

    def stray_databases(self, read: Iterable[tuple[int, int]]) -> list[Problem]:
        """Databases whose files are not among those that are `read`, by filesystem and inode."""
        known = set(read)
        what = "a package database outside of any root: its packages are not in the inventory"
        return [
            Problem("/" + path.decode("utf-8", "backslashreplace"), what)
            for key, path in self._stray.items()
            if key not in known
        ]

    def settled(self, place: WantedFileRef, confirmed: set[TreeRoot]) -> WantedFileRef:
        """A place, in the machine's own root or a container's where a candidate is not a root."""
        while place.root in self.nested and place.root not in confirmed:
            outer, inside = self._above(place.root.path)
            place = replace(place, root=outer, path=inside + b"/" + place.path)
        return place

    def _is_the_machine_s(self, place: WantedFileRef) -> bool:
        try:
            fs, inode, _ = self._tree.resolve(place.path)
        except (PathError, FormatError, SourceError):
            return False
        return fs is place.fs and inode == place.inode

    def _above(self, path: bytes) -> tuple[TreeRoot, bytes]:
        """The root around a candidate's directory, and the directory's path within that."""
        return self._nearest(path, path.rfind(b"/"))

    def confirmed(self, evidence: Iterable[WantedFileRef]) -> list[TreeRoot]:
        """The machine's root, those of containers, and the candidates with evidence.

        A file that the machine has at the same path is not evidence: there the machine's own
        directories are, met a second time or behind links.
        """
        found = {
            place.root
            for place in evidence
            if place.root in self.nested and not self._is_the_machine_s(place)
        }
        layers = [root for root in self._by_path.values() if root not in self.nested and root.path]
        return [MACHINE, *layers, *sorted(found, key=lambda root: root.path)]


_FOLDERS = frozenset((int(InodeKind.DIRECTORY), int(InodeKind.SYMLINK)))


def _names(fs: Filesystem, inode: int) -> list[bytes]:
    return [entry[0] for _, entries in fs.directories([inode]) for entry in entries]
