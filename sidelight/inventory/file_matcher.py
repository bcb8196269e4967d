"""One table of what all extractors want: a path costs a dictionary look-up, not a call for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.filesystems.protocol import InodeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sidelight.filesystems.protocol import Entry
    from sidelight.inventory.protocol import Extractor

# Indices into the sequence of extractors.
Chosen = tuple[int, ...]

# An UNKNOWN kind is an inode that cannot be read: the filesystem has reported it.
_FILES = frozenset((int(InodeKind.REGULAR), int(InodeKind.SYMLINK)))


class WantedTable:
    """The wants of a sequence of extractors, turned round: from a name to who wants it."""

    def __init__(self, extractors: Sequence[Extractor]) -> None:
        """The order of `extractors` is that of the indices given back."""
        self._confirm = [extractor.wants.confirm for extractor in extractors]
        self._names: dict[bytes, Chosen] = {}
        self._suffixes: dict[bytes, Chosen] = {}
        self._paths: dict[bytes, dict[bytes, Chosen]] = {}
        self.directories: dict[bytes, Chosen] = {}
        # Every directory above a wanted path: a link in its place leads to wanted files.
        self.above: set[bytes] = set()
        self.paths: set[bytes] = set()
        self.executables: Chosen = tuple(
            index for index, extractor in enumerate(extractors) if extractor.wants.executables
        )
        self.executable_archives: Chosen = tuple(
            index
            for index, extractor in enumerate(extractors)
            if extractor.wants.executable_archives
        )
        # Endings of directories' names, with the files of which one should be there.
        self._lacking: dict[bytes, list[tuple[frozenset[bytes], int]]] = {}
        for index, extractor in enumerate(extractors):
            wants = extractor.wants
            for ending, names in wants.lacking.items():
                needed = frozenset(map(_raw, names))
                self._lacking.setdefault(_raw(ending), []).append((needed, index))
            _add(self._names, wants.names, index)
            _add(self._suffixes, wants.suffixes, index)
            for path in wants.paths:
                self.add_path(path, index)
            for directory in wants.directories:
                self.add_directory(directory, index)

    def add_path(self, path: str, index: int) -> None:
        """Want one more whole path, for `index` (which may lie past the extractors)."""
        raw = _raw(path)
        directory, _, name = raw.rpartition(b"/")
        _add(self._paths.setdefault(directory, {}), (name,), index)
        self.paths.add(raw)
        self._note_above(directory)

    def add_directory(self, path: str, index: int) -> None:
        """Want all files of one more directory."""
        _add(self.directories, (path,), index)
        self._note_above(_raw(path))

    def directories_of(self, indices: Collection[int]) -> set[bytes]:
        """Return the directories that hold what these want by whole paths, and those above them."""
        found: set[bytes] = set()
        for directory, names in self._paths.items():
            if any(index in indices for chosen in names.values() for index in chosen):
                found.add(directory)
        for directory, chosen in self.directories.items():
            if any(index in indices for index in chosen):
                found.add(directory)
        for directory in list(found):
            parts = directory.split(b"/")
            found.update(b"/".join(parts[:count]) for count in range(1, len(parts)))
        return found

    def names_in(self, directory: bytes) -> set[bytes]:
        """Return the names by which files and directories within a directory are asked for."""
        found = {*self._names, *self._paths.get(directory, ())}
        for path in self.above:
            above, _, name = path.rpartition(b"/")
            if above in {b"", directory}:  # it may be the top of a root, which is not known yet
                found.add(name)
        return found

    def is_wanted(self, path: bytes) -> bool:
        """Return whether a file is wanted for its name, and not for its mode alone."""
        name = path.rpartition(b"/")[2]
        dot = name.rfind(b".")
        return name in self._names or (dot >= 0 and name[dot:] in self._suffixes)

    def match(
        self, directory: bytes, entries: Sequence[Entry], found: list[tuple[Entry, Chosen]]
    ) -> None:
        """Append the wanted files and links of one directory (its path within its root)."""
        names, suffixes = self._names, self._suffixes
        here = self._paths.get(directory)
        everything = self.directories.get(directory, ())
        for entry in entries:
            name = entry[0]
            chosen = names.get(name, ())
            dot = name.rfind(b".")
            if dot >= 0 and (more := suffixes.get(name[dot:])):
                chosen += more
            if here is not None and (more := here.get(name)):
                chosen += more
            chosen += everything
            if chosen and entry[2] in _FILES:
                chosen = self._confirmed(chosen, directory, name)
                if chosen:
                    found.append((entry, chosen))
        dot = directory.rfind(b".")
        if dot >= 0 and (lacking := self._lacking.get(directory[dot:].lower())):
            self._match_lacking(lacking, entries, found)

    def _match_lacking(
        self,
        lacking: Sequence[tuple[frozenset[bytes], int]],
        entries: Sequence[Entry],
        found: list[tuple[Entry, Chosen]],
    ) -> None:
        """Append the first file for those who want one in place of a file that is not there."""
        files = [entry for entry in entries if entry[2] == InodeKind.REGULAR]
        present = {entry[0] for entry in files}
        first = min(files, default=None)
        for needed, index in lacking:
            if first is not None and present.isdisjoint(needed):
                found.append((first, (index,)))

    def _confirmed(self, chosen: Chosen, directory: bytes, name: bytes) -> Chosen:
        path = ""
        kept = []
        for index in dict.fromkeys(chosen):
            confirm = self._confirm[index] if index < len(self._confirm) else None
            if confirm is not None:
                raw = directory + b"/" + name if directory else name
                path = path or raw.decode("utf-8", "surrogateescape")
                if not confirm(path):
                    continue
            kept.append(index)
        return tuple(kept)

    def _note_above(self, directory: bytes) -> None:
        while directory:
            self.above.add(directory)
            directory = directory.rpartition(b"/")[0]


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _add(table: dict[bytes, Chosen], keys: Iterable[str | bytes], index: int) -> None:
    for key in keys:
        raw = key if isinstance(key, bytes) else _raw(key)
        table[raw] = (*table.get(raw, ()), index)
