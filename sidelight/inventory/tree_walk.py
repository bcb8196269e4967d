"""The one walk over a machine's tree: which files are wanted, and what may be an executable."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from sidelight.errors import FormatError, PathError, SourceError
from sidelight.filesystems.protocol import InodeKind
from sidelight.inventory import executables
from sidelight.inventory.directory_globs import SkippedDirectories
from sidelight.inventory.letter_cases import LetterCases
from sidelight.inventory.roots import Roots
from sidelight.inventory.treefile import TreeRoot, WantedFileRef
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.filesystems.protocol import Entry, Filesystem
    from sidelight.inventory.file_matcher import Chosen, WantedTable
    from sidelight.inventory.treefile import Deadline, Tree

MAX_LINKS = 100_000  # links to wanted files that are followed
MAX_FILES = 1_000_000  # wanted files of one machine
MAX_CANDIDATES = 500_000  # files of one machine that may be programs by mode and size

# Directories that distributions have merged into others: a package database may name either.
_MERGED = frozenset((b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32", b"libexec"))


@dataclass(slots=True)
class Survey:
    """What the walk found.

    `files`: every wanted regular file with the extractors that want it. `merged`: root -> pairs
    (directory, the link that stands for it), both with a slash at the end. `left_out`: container
    runtimes' directories that were not entered. `skipped`: globs of `skip_dirs`, each with the
    number of directories.
    """

    files: list[tuple[WantedFileRef, Chosen]] = field(default_factory=list)
    candidates: list[WantedFileRef] = field(default_factory=list)
    merged: dict[TreeRoot, list[tuple[str, str]]] = field(default_factory=dict)
    roots: list[TreeRoot] = field(default_factory=lambda: [TreeRoot()])
    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyOptions:
    """How to walk, with indices of extractors.

    `evidence`: whose wanted files make a root of a directory that looks like one. `of_system`: who
    wants no language packages, and is not affected by the globs `skip_dirs`.
    """

    evidence: frozenset[int]
    of_system: frozenset[int]
    include_containers: bool
    skip_dirs: Sequence[str] = ()


class Surveyor:
    """Walks once, level by level; nothing of a directory is kept but what is wanted of it."""

    def __init__(
        self,
        tree: Tree,
        table: WantedTable,
        deadline: Deadline,
        options: SurveyOptions,
    ) -> None:
        self._tree = tree
        self._table = table
        self._deadline = deadline
        self._containers = options.include_containers
        self._evidence = options.evidence
        self._of_system = options.of_system
        kept = table.directories_of(options.of_system)
        self._skipped = SkippedDirectories(options.skip_dirs, kept)
        self._found = Survey()
        self._cases = LetterCases(table)
        self._links: list[tuple[WantedFileRef, Chosen]] = []
        self._more_links = 0
        self._more_files = 0
        self._above: list[tuple[TreeRoot, bytes]] = []
        self._executables = executables.Sieve(self._found.candidates, MAX_CANDIDATES)
        above = {*table.above, b"usr", *(b"usr/" + name for name in _MERGED)}
        self._roots = Roots(tree, above, include_containers=options.include_containers)

    def run(self) -> Survey:
        """Walk the tree. Where the deadline passes, what was found so far, and a Problem."""
        found = self._found
        # Trees that the walk passes over are not paid for.
        if not self._skipped and (self._containers or not self._roots.has_runtimes):
            self._tree.read_ahead()
        for level in self._tree.walk(self._skip):
            if not self._level(level):
                found.problems.append(Problem("/", "the walk was cut short: its time is spent"))
                break
            del level  # the next one is read without it
        self._executables.flush()
        self._settle_roots()
        self._follow_links()
        found.left_out, found.skipped = self._roots.left_out, self._skipped.lines()
        found.problems += self._roots.problems
        read = ((id(place.fs), place.inode) for place, _ in found.files)
        found.problems += self._roots.stray_databases(read)
        self._note_excess()
        return found

    def _skip(self, path: bytes, fs: Filesystem, inode: int) -> bool:
        return self._skipped.skips(path) or self._roots.skip(path, fs, inode)

    def _level(self, level: Iterable[tuple[bytes, Filesystem, int, list[Entry]]]) -> bool:
        """Look at the directories of one level; False where the time is spent."""
        for path, fs, number, entries in level:
            self._directory(path, fs, number, entries)
            if self._deadline.passed:
                return False
        return True

    def _note_excess(self) -> None:
        """Say what was found beyond the caps and is not looked at."""
        for more, kept, what in (
            (self._more_files, MAX_FILES, "wanted files"),
            (self._more_links, MAX_LINKS, "links to wanted files"),
            (self._executables.more, MAX_CANDIDATES, "files that may be programs"),
        ):
            if more:
                summary = f"{kept + more} {what}; {kept} of them are read"
                self._found.problems.append(Problem("/", summary))

    def _settle_roots(self) -> None:
        """Give what lies in a directory that only looks like a root to the root around it."""
        found, roots = self._found, self._roots
        wanted = self._evidence
        found.roots = roots.confirmed(
            place for place, chosen in found.files if not wanted.isdisjoint(chosen)
        )
        confirmed = set(found.roots)
        found.files = list(self._settled(found.files, confirmed))
        self._links = list(self._settled(self._links, confirmed))
        found.candidates[:] = [roots.settled(place, confirmed) for place in found.candidates]
        lost = roots.nested - confirmed
        self._above = [(root, path) for root, path in self._above if root not in lost]
        found.merged = {root: pairs for root, pairs in found.merged.items() if root not in lost}

    def _settled(
        self, files: list[tuple[WantedFileRef, Chosen]], confirmed: set[TreeRoot]
    ) -> Iterator[tuple[WantedFileRef, Chosen]]:
        for place, chosen in files:
            outer = self._roots.settled(place, confirmed)
            if outer is place:
                yield place, chosen
                continue
            directory, _, name = outer.path.rpartition(b"/")
            matches: list[tuple[Entry, Chosen]] = []
            self._table.match(directory, [(name, outer.inode, int(InodeKind.REGULAR))], matches)
            yield from ((outer, wanted) for _, wanted in matches)

    def _directory(self, path: bytes, fs: Filesystem, number: int, entries: list[Entry]) -> None:
        stored, path = path, self._cases.path(path)
        entries = self._cases.entries(stored, self._roots.of(path)[1], fs, number, entries)
        self._roots.meet(path, entries)
        root, inside = self._roots.of(path)
        self._roots.note_database(path, inside, fs, entries)
        matches: list[tuple[Entry, Chosen]] = []
        self._table.match(inside, entries, matches)
        prefix = inside + b"/" if inside else b""
        is_partly_read = self._skipped.is_partly_read(path)
        if is_partly_read:
            matches = self._of_the_system(matches)
        for (name, inode, kind), chosen in matches:
            place = WantedFileRef(root, prefix + name, fs, inode, number)
            if kind == InodeKind.REGULAR:
                self._add_file(place, chosen)
            elif len(self._links) < MAX_LINKS:
                self._links.append((place, chosen))
            else:
                self._more_links += 1
        if inside in self._table.above or not inside or inside == b"usr":
            self._note_links(root, inside, fs, entries)
        if self._table.executables and not is_partly_read:
            self._executables.add(root, inside, fs, entries)

    def _of_the_system(self, matches: list[tuple[Entry, Chosen]]) -> list[tuple[Entry, Chosen]]:
        kept = (
            (entry, tuple(index for index in chosen if index in self._of_system))
            for entry, chosen in matches
        )
        return [(entry, chosen) for entry, chosen in kept if chosen]

    def _add_file(self, place: WantedFileRef, chosen: Chosen) -> None:
        if len(self._found.files) < MAX_FILES:
            self._found.files.append((place, chosen))
        else:
            self._more_files += 1

    def _note_links(
        self, root: TreeRoot, inside: bytes, fs: Filesystem, entries: Iterable[Entry]
    ) -> None:
        for name, inode, kind in entries:
            if kind != InodeKind.SYMLINK:
                continue
            path = inside + b"/" + name if inside else name
            if path in self._table.above:
                self._above.append((root, path))
            if name in _MERGED and inside in {b"", b"usr"}:
                self._note_merged(root, path, inside, fs, inode)

    def _note_merged(
        self, root: TreeRoot, path: bytes, inside: bytes, fs: Filesystem, inode: int
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
        for place, chosen in chain(self._links, self._below_links()):
            if self._deadline.passed:
                what = "the links to wanted files were not all followed: the time is spent"
                self._found.problems.append(Problem("/", what))
                return
            self._follow(place.root, place.path, chosen, known)

    def _below_links(self) -> Iterator[tuple[WantedFileRef, Chosen]]:
        """Wanted paths and wanted directories' files that lie behind a directory's link."""
        directories: dict[tuple[TreeRoot, bytes], None] = {}
        for root, link in self._above:
            for path in self._table.paths:
                if path.startswith(link + b"/"):
                    directories[root, path.rpartition(b"/")[0]] = None
            for path in self._table.directories:
                if path == link or path.startswith(link + b"/"):
                    directories[root, path] = None
        for root, path in directories:
            yield from self._match_behind(root, path)

    def _match_behind(self, root: TreeRoot, directory: bytes) -> list[tuple[WantedFileRef, Chosen]]:
        try:
            fs, number, kind = self._tree.resolve(directory, root=root.path)
        except (PathError, FormatError, SourceError):
            return []  # a dangling link; what is damaged is among the filesystem's Problems
        if kind != InodeKind.DIRECTORY:
            return []
        matches: list[tuple[Entry, Chosen]] = []
        for _, entries in fs.directories([number]):
            self._table.match(directory, entries, matches)
        return [
            (WantedFileRef(root, directory + b"/" + entry[0], fs, entry[1], number), chosen)
            for entry, chosen in matches
        ]

    def _follow(
        self, root: TreeRoot, path: bytes, chosen: Chosen, known: set[tuple[int, int, int]]
    ) -> None:
        try:
            fs, inode, kind = self._tree.resolve(path, root=root.path)
        except (PathError, FormatError, SourceError):
            return
        new = tuple(index for index in chosen if (id(fs), inode, index) not in known)
        if kind == InodeKind.REGULAR and new:
            known.update((id(fs), inode, index) for index in new)
            self._add_file(WantedFileRef(root, path, fs, inode, None), new)
