"""Directories' entries by name, kept for look-ups, and read many at once where that is foreseen."""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING

from sidelight.filesystems.walk import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.filesystems.protocol import Entry, Filesystem

CACHED_NAMES = 200_000
# Directories that are read together where a caller lists a tree one by one, breadth first.
READ_AHEAD = 256
MAX_AHEAD = 100_000

# Of a directory: its filesystem's id() and its inode.
Key = tuple[int, int]
# Name -> (inode, kind).
Names = dict[bytes, tuple[int, int]]


class Listings:
    """Entries of directories, the latest kept. Safe for several threads."""

    def __init__(self) -> None:
        self._cache: OrderedDict[Key, Names] = OrderedDict()
        self._cached_names = 0
        self.names_read = 0  # entries of all directories read, of each as often as it was read
        self._lock = threading.RLock()  # of the cache and the queue
        self._ahead: OrderedDict[Key, None] = OrderedDict()

    def names(self, fs: Filesystem, number: int) -> Names:
        """A directory's entries by name, kept for the next look-up."""
        key = (id(fs), number)
        with self._lock:
            names = self._cache.get(key)
            if names is not None:
                self._cache.move_to_end(key)
                return names
            self._read(fs, [number])
            return self._cache[key]

    def listed(self, fs: Filesystem, number: int) -> Names:
        """The same for one who lists: directories that were announced to it are read along.

        Directories seen in listings and not listed yet wait in a queue. A caller that takes its
        head goes breadth first, and one read for many is far cheaper than many.
        """
        key = (id(fs), number)
        with self._lock:
            at_head = next(iter(self._ahead), None) == key
            if at_head and key not in self._cache:
                batch = [item[1] for item in islice(self._ahead, READ_AHEAD) if item[0] == key[0]]
                self._read(fs, batch)
            self._ahead.pop(key, None)
            return self.names(fs, number)

    def expect(self, directories: Iterable[Key]) -> None:
        """Say which directories may be listed next, in their order."""
        with self._lock:
            for key in directories:
                if len(self._ahead) >= MAX_AHEAD:
                    return
                self._ahead[key] = None

    def _read(self, fs: Filesystem, numbers: Sequence[int]) -> None:
        """Read directories into the cache. A large one comes in parts, others between them."""
        begun: set[int] = set()
        for number, entries in listing(fs, numbers, fs.problems):
            key = (id(fs), number)
            # Whose first part is out of the cache again is read alone, when it is asked for.
            if number not in begun or key in self._cache:
                self._keep(key, entries, adds=number in begun)
            begun.add(number)

    def _keep(self, key: Key, entries: Iterable[Entry], *, adds: bool) -> None:
        """Put a directory's entries, or more of them, into the cache, the oldest out."""
        old = self._cache.pop(key, None)
        if old is not None:
            self._cached_names -= len(old) + 1
        names: Names = old if adds and old is not None else {}
        before = len(names)
        for name, child, kind in entries:
            names.setdefault(name, (child, kind))
        self._cache[key] = names
        self.names_read += len(names) - before
        self._cached_names += len(names) + 1
        while self._cached_names > CACHED_NAMES and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_names -= len(oldest) + 1
