"""Many directories at once: inodes, then block maps, then all blocks in the order of the disk.

Source: the kernel's Documentation/filesystems/ext4/directory.rst. A hash tree is read as the linear
directory that it also is: its index blocks look like one unused entry.
"""

from __future__ import annotations

import base64
import stat
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.scatter_read import as_rows, windows
from sidelight.errors import FormatError
from sidelight.filesystems import protocol
from sidelight.filesystems.crc32c import advance, all_are, crc32c, crc32c_pieces
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.dirents import (
    LOCKSTEP,
    DirentArea,
    decode_area,
    decode_blocks,
    decode_each,
)
from sidelight.filesystems.ext.inline import inline_parts
from sidelight.filesystems.ext.mapping import EVERY_BLOCK, single_runs
from sidelight.filesystems.mode_samples import corrected
from sidelight.filesystems.protocol import InodeKind
from sidelight.gc_pause import uncollected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sidelight.filesystems.ext.dirents import Decoded
    from sidelight.filesystems.ext.inodes import InodeRecord, Inodes
    from sidelight.filesystems.ext.mapping import Mapper, Run
    from sidelight.filesystems.ext.volume import ExtVolume
    from sidelight.filesystems.protocol import Entry


class Owners(NamedTuple):
    """Directories: their inode numbers, flags, and the seeds of their blocks' checksums."""

    numbers: NDArray[np.int64]
    flags: NDArray[np.uint32]
    seeds: NDArray[np.uint32]


# Directory blocks read and decoded at once, in bytes.
WINDOW = 4 << 20
# After so many blocks that are none, the rest of a directory is not read: a hostile one may claim
# gigabytes of anything.
STRIKES = 64


class Directories:
    """The directories of one filesystem."""

    def __init__(self, volume: ExtVolume, inodes: Inodes, mapper: Mapper) -> None:
        self._volume = volume
        self._inodes = inodes
        self._mapper = mapper
        # What fast commits made of directories.
        self.finished: dict[int, list[Entry]] = {}
        self.folded: set[int] = set()  # of those read: they ignore the case of letters

    def read(self, numbers: Iterable[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Each number once, a large one in parts, in physical order, with what could be read."""
        left = dict.fromkeys(numbers)
        if self.finished:
            rebuilt = [number for number in left if number in self.finished]
            for number in rebuilt:
                del left[number]
            listings = [(number, list(self.finished[number])) for number in rebuilt]
            yield from self._finished(listings, set(), plain=True)
        for ids, rows in self._inodes.rows(list(left)):
            for listing in self._chunk(ids, rows):
                left.pop(listing[0], None)
                yield listing
                del listing
        for number in left:
            yield number, []

    def _chunk(
        self, ids: NDArray[np.int64], rows: NDArray[np.uint8]
    ) -> Iterator[tuple[int, list[Entry]]]:
        """Directories among these inodes. One without blocks is left out."""
        flags = rows.view("<u4")[:, layout.INODE_FLAGS // 4]
        self.folded.update(ids[flags & layout.FLAG_CASEFOLD != 0].tolist())
        modes = rows.view("<u2")[:, layout.INODE_MODE // 2]
        folders = modes >> 12 == int(stat.S_IFDIR) >> 12
        for number in ids[~folders].tolist():
            self._volume.report("not a directory", f"inode {number}")
        inline = folders & (flags & layout.FLAG_INLINE_DATA != 0)
        if inline.any():
            nodes = self._inodes.nodes_of(ids[inline], rows[inline])
            small = [(node.number, self._inline(node)) for node in nodes]
            encrypted = {n.number for n in nodes if n.flags & layout.FLAG_ENCRYPT}
            yield from self._finished(small, encrypted, plain=False)
        owners = Owners(ids, flags, self._seeds(ids, rows))
        runs = self._runs(ids, rows, folders & ~inline)
        yield from self._listings(owners, runs)

    def _seeds(self, ids: NDArray[np.int64], rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
        if not self._volume.superblock.metadata_csum:
            return np.zeros(len(ids), dtype=np.uint32)
        generations = rows.view("<u4")[:, layout.INODE_GENERATION // 4]
        return self._volume.inode_seeds(ids, generations)

    def _runs(
        self, ids: NDArray[np.int64], rows: NDArray[np.uint8], folders: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """(row of the directory, block in it, block on disk, count), in physical order."""
        counts = -(-self._inodes.sizes(rows).astype(np.int64) // self._volume.block_size)
        starts = single_runs(self._volume, rows, counts)
        single = folders & (starts > 0) & (counts <= max(1, WINDOW // self._volume.block_size))
        if self._mapper.changes:
            single &= ~np.isin(ids, list(self._mapper.changes))
        at = np.flatnonzero(single)
        whole = np.stack((at, np.zeros_like(at), starts[single], counts[single]), axis=1)
        others = np.flatnonzero(folders & ~single)
        if not len(others):
            runs = whole
        else:
            nodes = self._inodes.nodes_of(ids[others], rows[others])
            more = self._mapped(others.tolist(), nodes)
            runs = np.concatenate((whole, np.array(more, dtype=np.int64).reshape(-1, 4)))
        ordered: NDArray[np.int64] = runs[np.argsort(runs[:, 2], kind="stable")]
        return ordered

    def _mapped(self, at: list[int], nodes: list[InodeRecord]) -> list[tuple[int, int, int, int]]:
        """The same of directories whose trees must be read, in no run more than a window holds.

        The kernel reads no block behind a directory's size; of an indexed one, older kernels did.
        """
        size = self._volume.block_size
        most = max(1, WINDOW // size)
        found = []
        mappings = self._mapper.map(nodes, [EVERY_BLOCK] * len(nodes))
        for row, node, mapping in zip(at, nodes, mappings, strict=True):
            place = f"inode {node.number}"
            for fault in mapping.faults:
                self._volume.report(fault, place)
            blocks = -(-node.size // size)
            runs, hidden = _within(_without_repeats(mapping.runs), blocks)
            if hidden:
                self._volume.report(f"{hidden} blocks behind the directory's size", place)
            have = sum(count for _, _, count in runs)
            if have < blocks and not mapping.faults:
                self._volume.report(f"the directory has only {have} of {blocks} blocks", place)
            for logical, physical, count in runs:
                for done in range(0, count, most):
                    some = min(most, count - done)
                    found.append((row, logical + done, physical + done, some))
        return found

    def _listings(
        self, owners: Owners, runs: NDArray[np.int64]
    ) -> Iterator[tuple[int, list[Entry]]]:
        """Directories, when the last of their runs is read, and before that parts of large ones."""
        waiting = np.bincount(runs[:, 0], minlength=len(owners.numbers)).tolist()
        numbers = owners.numbers.tolist()
        found: dict[int, list[Entry]] = {}
        doubtful: set[int] = set()
        encrypted = set(owners.numbers[owners.flags & layout.FLAG_ENCRYPT != 0].tolist())
        strikes: Counter[int] = Counter()
        full: set[int] = set()
        handed_on: Counter[int] = Counter()  # entries, of those that come in parts
        for window in self._windows(runs):
            with uncollected():
                part = window
                if full or (strikes and max(strikes.values()) > STRIKES):
                    lost = [row for row, count in strikes.items() if count > STRIKES]
                    part = window[~np.isin(window[:, 0], [*lost, *full])]
                if not self._decode(owners, part, strikes, found):
                    doubtful.update(numbers[row] for row in part[:, 0].tolist())
                for row in dict.fromkeys(part[:, 0].tolist()):
                    many = handed_on[row] + len(found[row]) > protocol.MOST_ENTRIES
                    if many and row not in full:
                        full.add(row)
                        self._volume.report(protocol.TOO_MANY, f"inode {numbers[row]}")
                complete = []
                for row in window[:, 0].tolist():
                    waiting[row] -= 1
                    if not waiting[row]:
                        complete.append((numbers[row], found.pop(row, [])))
                for row in [row for row in found if len(found[row]) > protocol.MOST_AT_ONCE]:
                    handed_on[row] += len(found[row])
                    complete.append((numbers[row], found.pop(row)))
            plain = not encrypted and doubtful.isdisjoint(number for number, _ in complete)
            yield from self._finished(complete, encrypted, plain=plain)
            # Nothing is held of it while the next window is decoded.
            del complete

    def _decode(
        self,
        owners: Owners,
        runs: NDArray[np.int64],
        strikes: Counter[int],
        found: dict[int, list[Entry]],
    ) -> bool:
        """Read these runs; entries go to `found` by row. Whether all of them are plain."""
        decoded, cuts = self._window(owners, runs, strikes)
        for row, (begin, end) in zip(runs[:, 0].tolist(), pairwise(cuts), strict=True):
            found.setdefault(row, []).extend(decoded.entries[begin:end])
        return decoded.plain

    def _windows(self, runs: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Runs that are read together: of bounded bytes, and in a bounded number of places."""
        size = self._volume.block_size
        ends = np.cumsum(runs[:, 3]) * size
        begin = 0
        while begin < len(runs):
            before = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + WINDOW, side="right")))
            part = next(windows(runs[begin:end, 2] * size, 1))
            end = begin + (part.stop - part.start)
            yield runs[begin:end]
            begin = end

    def _window(
        self, owners: Owners, runs: NDArray[np.int64], strikes: Counter[int]
    ) -> tuple[Decoded, list[int]]:
        """Read and decode all blocks of these runs: entries, and where each run's begin."""
        size = self._volume.block_size
        blocks = _expanded(runs)
        data, errors = self._volume.harvest.gather(blocks[:, 2] * size, size)
        for at, error in errors.items():
            self._report(owners, blocks[at], f"unreadable: {error}")
        if errors:
            # Their rows are zeros, which decode to a fault: left out of what is judged.
            readable = np.ones(len(blocks), dtype=np.bool_)
            readable[list(errors)] = False
            data = as_rows(data, size)[readable].tobytes()
            kept = blocks[readable]
        else:
            readable, kept = None, blocks
        self._verify(owners, kept, data)
        decode = decode_blocks if len(kept) >= LOCKSTEP else decode_each
        decoded = decode(data, size, self._volume.superblock.inodes)
        for at, fault in decoded.faults.items():
            self._report(owners, kept[at], fault)
            strikes[int(kept[at][0])] += 1
        bounds = np.array(decoded.bounds)
        firsts = np.cumsum(runs[:, 3]) - runs[:, 3]
        if readable is not None:
            before = np.concatenate(([0], np.cumsum(readable)))
            firsts = before[firsts]
        return decoded, [*bounds[firsts].tolist(), len(decoded.entries)]

    def _report(self, owners: Owners, block: NDArray[np.int64], what: str) -> None:
        self._volume.report(what, f"inode {owners.numbers[block[0]]}, block {block[2]}")

    def _verify(self, owners: Owners, blocks: NDArray[np.int64], data: bytes) -> None:
        """Report blocks whose checksum is wrong. Their entries are given all the same."""
        if not self._volume.superblock.metadata_csum or not len(blocks):
            return
        size = self._volume.block_size
        words = np.frombuffer(data, dtype="<u4").reshape(-1, size // 4)
        seeds = owners.seeds[blocks[:, 0]]
        good = (words[:, -3] == 0) & (words[:, -2] == layout.DIRENT_TAIL_WORD)
        # The register after the tail too: its three words add what they are.
        whole = advance(words[:, -1] ^ words[:, -3], 12) ^ advance(words[:, -2], 8)
        if good.all() and all_are(data, size, whole ^ advance(words[:, -1], 4), seeds):
            return
        length = size - layout.DIRENT_TAIL
        good &= crc32c_pieces(data, range(0, len(data), size), length, seeds) == words[:, -1]
        for at in np.flatnonzero(~good).tolist():
            block = blocks[at]
            raw = data[at * size : (at + 1) * size]
            hashed = bool(owners.flags[block[0]] & layout.FLAG_INDEX)
            if not (hashed and _index_sound(raw, int(block[1]), int(seeds[at]))):
                self._report(owners, block, "the directory block's checksum is wrong")

    def _inline(self, node: InodeRecord) -> list[Entry]:
        place = f"inode {node.number}"
        try:
            area, value = inline_parts(node, f"{self._volume.where}: {place}")
        except FormatError as error:
            self._volume.report(error.what, place)
            area, value = node.raw[layout.INODE_BLOCK :][: layout.INODE_BLOCK_SIZE], b""
        most = self._volume.superblock.inodes
        entries: list[Entry] = []
        for data, begin in ((area, layout.INLINE_PARENT), (value, 0)):
            more, fault = decode_area(data, DirentArea(begin, len(data), most))
            entries += more
            if fault:
                self._volume.report(f"inline entries: {fault}", place)
        return entries

    def _finished(
        self, listings: list[tuple[int, list[Entry]]], encrypted: set[int], *, plain: bool
    ) -> Iterator[tuple[int, list[Entry]]]:
        """Types as the inodes have them.

        Where not all is plain: names judged, encrypted ones made printable, kinds looked up.
        """
        listings = corrected(listings, self._inodes.sampled, self._inodes.kinds, self._wrong_type)
        if plain:
            yield from listings
            return
        unknown = {entry[1] for _, entries in listings for entry in entries if not entry[2]}
        found = self._inodes.kinds(unknown) if unknown else {}
        for number, entries in listings:
            if number in encrypted:
                self._volume.report("the directory's names are encrypted", f"inode {number}")
                done = [(_no_key_name(e[0]), e[1], e[2]) for e in entries if e[0]]
            else:
                done = self._possible(number, entries)
            if unknown:
                done = [
                    (name, child, kind or found.get(child, InodeKind.UNKNOWN))
                    for name, child, kind in done
                ]
            yield number, done

    def _wrong_type(self, directory: int, what: str) -> None:
        self._volume.report(what, f"inode {directory}")

    def _possible(self, number: int, entries: list[Entry]) -> list[Entry]:
        """Without names that no file can have."""
        kept = [e for e in entries if e[0] and b"/" not in e[0] and b"\0" not in e[0]]
        if len(kept) < len(entries):
            lost = len(entries) - len(kept)
            self._volume.report(f"{lost} impossible names", f"inode {number}")
        return kept


def _no_key_name(name: bytes) -> bytes:
    """A ciphertext as a name without `/`, much as the kernel shows it to who lacks the key."""
    return base64.urlsafe_b64encode(name).rstrip(b"=")


def _within(runs: Sequence[Run], blocks: int) -> tuple[list[Run], int]:
    """The runs within a directory's first so many blocks, and how many blocks lie behind them."""
    kept = [
        (logical, physical, min(count, blocks - logical))
        for logical, physical, count in runs
        if logical < blocks
    ]
    hidden = sum(count for *_, count in runs) - sum(count for *_, count in kept)
    return kept, hidden


def _without_repeats(runs: Sequence[Run]) -> Sequence[Run]:
    """No block on disk twice: a damaged directory must not cost more than the disk has."""
    ordered = sorted((physical, count) for _, physical, count in runs)
    if all(a + n <= b for (a, n), (b, _) in pairwise(ordered)):
        return runs
    seen: set[int] = set()
    kept: list[Run] = []
    for logical, physical, count in runs:
        for n in range(count):
            if physical + n not in seen:
                seen.add(physical + n)
                kept.append((logical + n, physical + n, 1))
    return kept


def _expanded(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(row of the directory, block in it, block on disk) of each block of these runs."""
    if not (runs[:, 3] > 1).any():
        return runs[:, :3]
    blocks = np.repeat(runs[:, :3], runs[:, 3], axis=0)
    within = np.arange(len(blocks)) - np.repeat(np.cumsum(runs[:, 3]) - runs[:, 3], runs[:, 3])
    blocks[:, 1:] += within[:, np.newaxis]
    return blocks


def _index_sound(raw: bytes, logical: int, seed: int) -> bool:
    """Whether this is a block of a hash tree's index, with a right checksum."""
    inode, length, _, _ = layout.DIRENT.unpack_from(raw)
    whole = length == len(raw) or (len(raw) == 65536 and length in {0, 65535})
    if logical == 0:
        at = layout.DX_ROOT_COUNT
    elif inode == 0 and whole:
        at = layout.DX_NODE_COUNT
    else:
        return False
    limit = int.from_bytes(raw[at : at + 2], "little")
    count = int.from_bytes(raw[at + 2 : at + 4], "little")
    tail = at + limit * layout.DX_ENTRY
    if count > limit or tail + 8 > len(raw):
        return False
    # The tail is a reserved word and the checksum, which counts as zero.
    covered = raw[: at + count * layout.DX_ENTRY] + raw[tail : tail + 4] + bytes(4)
    return crc32c(covered, seed) == int.from_bytes(raw[tail + 4 : tail + 8], "little")
