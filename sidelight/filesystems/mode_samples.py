"""A byte of each of very many inodes, kept from the blocks that a walk reads.

An entry of a directory says the type of its inode. The kernel does not believe it but reads the
mode. To see what it sees, the types of all entries are compared with the modes; and programs are
found by their modes and sizes. Both look at every inode of a machine, after its blocks may have
left the cache: so a byte of each is taken when a block is first read, and no block is fetched a
second time for it.
"""

from __future__ import annotations

import stat
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from sidelight.errors import SourceError
from sidelight.filesystems.protocol import KINDS, InodeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt

    from sidelight.blocks.metadata_cache import MetadataCache, Sample
    from sidelight.filesystems.protocol import Entry

    Offsets = npt.NDArray[np.int64]
    Kinds = npt.NDArray[np.uint8]
    Listing = tuple[int, list[Entry]]

# Where a source has no blocks of its own, its bytes are read in pieces of this many.
PIECE = 256 << 10
# Pieces that are kept of such a source. One of a snapshot is kept as long as the filesystem is.
MOST_PIECES = 4096

# By a mode's upper four bits.
_KINDS = np.zeros(16, np.uint8)
for _type, _kind in KINDS.items():
    _KINDS[_type >> 12] = int(_kind)


# Of a sample: its upper half is the mode's type, and this bit says that the kernel would run it.
PROGRAM = 1
_EXECUTABLE = 0o111
_REGULAR = stat.S_IFREG


def samples_of(modes: npt.NDArray[np.uint16], large: npt.NDArray[np.bool_]) -> bytes:
    """Return the sample of each inode; `large`: which have PROGRAM_BYTES or more."""
    programs = large & (modes & _EXECUTABLE != 0) & (modes & 0xF000 == _REGULAR)
    samples: npt.NDArray[np.uint8] = ((modes >> 8 & 0xF0) | programs).astype(np.uint8)
    return samples.tobytes()


class ModeSamples:
    """Samples of inodes by where they lie. Nothing is judged: a doubt is for the inode itself."""

    def __init__(self, harvest: MetadataCache, inode_size: int, sample: Sample) -> None:
        """`sample` makes of a run of whole inodes a byte for each, as the harvest's does."""
        self._harvest = harvest
        self._size = inode_size
        self._sample = sample
        self._unit: int = getattr(harvest.source, "unit", 0)
        self._pieces: dict[int, bytes] = {}

    def kinds(self, offsets: Offsets) -> Kinds:
        """The types of the inodes at these offsets (bytes), UNKNOWN where no mode is there."""
        kinds: Kinds = _KINDS[self._at(offsets) >> 4]
        return kinds

    def programs(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Which of these inodes may be programs; those too whose mode has no type."""
        samples = self._at(offsets)
        programs: npt.NDArray[np.bool_] = samples & PROGRAM != 0
        programs |= _KINDS[samples >> 4] == InodeKind.UNKNOWN
        return programs

    def _at(self, offsets: Offsets) -> npt.NDArray[np.uint8]:
        """The samples of the inodes at these offsets, 0 where none can be had."""
        piece = self._unit or PIECE
        numbers, rows = np.unique(offsets // piece, return_inverse=True)
        pieces = self._samples(numbers.tolist())
        room = piece // self._size
        whole = np.frombuffer(b"".join(s.ljust(room, b"\0") for s in pieces), np.uint8)
        places = rows.reshape(-1) * room + (offsets % piece) // self._size
        samples: npt.NDArray[np.uint8] = whole[places]
        return samples

    def _samples(self, numbers: list[int]) -> list[bytes]:
        if self._unit:
            self._harvest.read_blocks(numbers)
            return [self._harvest.samples.get(number, b"") for number in numbers]
        missing = [number for number in numbers if number not in self._pieces]
        if len(self._pieces) + len(missing) > MOST_PIECES:
            self._pieces.clear()
            missing = numbers
        self._harvest.source.prefetch([(number * PIECE, PIECE) for number in missing])
        for number in missing:
            self._pieces[number] = self._read(number * PIECE)
        return [self._pieces[number] for number in numbers]

    def _read(self, begin: int) -> bytes:
        source = self._harvest.source
        try:
            data = source.read_at(begin, min(PIECE, source.size - begin))
        except SourceError:
            return b""  # the read of the inode itself reports it
        return self._sample(data)


def corrected(
    listings: Iterable[Listing],
    modes: Callable[[Offsets], Kinds],
    judge: Callable[[set[int]], Mapping[int, int]],
    report: Callable[[int, str], None],
) -> list[Listing]:
    """Listings whose entries have their inodes' types, as the kernel sees them.

    `modes` gives the sampled types of inodes by number. Of those that differ from what an entry
    says, `judge` reads the inodes themselves, and reports what it cannot read. `report` takes a
    directory's number and the disagreement. A type that is not stored (UNKNOWN) stays as it is.
    """
    listed = list(listings)
    every = [entry for _, entries in listed for entry in entries]
    if not every:
        return listed
    kinds = np.fromiter(map(_KIND, every), np.uint8, len(every))
    # A damaged number may need all 64 bits: it becomes a negative one, which no inode has.
    numbers = np.fromiter(map(_NUMBER, every), np.uint64, len(every)).view(np.int64)
    doubts = (kinds != modes(numbers)) & (kinds != 0)
    if not doubts.any():
        return listed
    found = judge({every[at][1] for at in np.flatnonzero(doubts).tolist()})
    return [(number, _judged(number, entries, found, report)) for number, entries in listed]


_NUMBER, _KIND = itemgetter(1), itemgetter(2)


def _judged(
    directory: int,
    entries: list[Entry],
    found: Mapping[int, int],
    report: Callable[[int, str], None],
) -> list[Entry]:
    judged = []
    for name, number, stored in entries:
        kind = found.get(number, stored) if stored else stored
        if kind != stored:
            report(directory, _disagreement(name, stored, kind))
        judged.append((name, number, kind))
    return judged


def _disagreement(name: bytes, stored: int, found: int) -> str:
    names = InodeKind(stored).name.lower(), InodeKind(found).name.lower()
    return f"the entry {name[:64]!r} says {names[0]}, its inode is {names[1]}: the inode counts"
