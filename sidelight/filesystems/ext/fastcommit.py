"""ext4's fast commits: logical changes logged after the last full transaction.

The kernel replays them by changing inodes, extents and directories on the disk, allocating where it
must. Here their effect is kept beside the readers instead: replaced inodes, changed ranges,
finished listings. Source: the kernel's fs/ext4/fast_commit.c.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import DamagedError, SourceError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import journal_layout as tags
from sidelight.filesystems.ext import layout
from sidelight.filesystems.protocol import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sidelight.filesystems.ext.directories import Directories
    from sidelight.filesystems.ext.inodes import Inodes
    from sidelight.filesystems.ext.mapping import Mapper

LONGEST_NAME = 255
EMPTY_EXTENTS = layout.EXTENT_HEADER.pack(layout.EXTENT_MAGIC, 0, 4, 0, 0)


class FastTag(NamedTuple):
    """One logged change."""

    kind: int
    value: bytes


def scan_fast_commits(
    blocks: range, read: Callable[[int], bytes], tid: int, inode_size: int
) -> tuple[list[FastTag], str]:
    """The tags up to the last tail with a right checksum, and a fault of what comes after them.

    `tid` is the transaction that the fast commits belong to: the one after the last full commit.
    """
    found: list[FastTag] = []
    valid = 0
    register = 0
    unreadable: list[str] = []
    for tag, raw in _tags(blocks, read, unreadable):
        if tag is None or not _length_possible(tag, inode_size):
            return found[:valid], "" if valid else "the fast commits are damaged"
        if tag.kind == tags.FAST_HEAD:
            features, owner = tags.FAST_PAIR.unpack_from(tag.value)
            if features:
                return [], f"unknown fast commit features {features:#x}"
            if owner != tid:
                break
        found.append(tag)
        if tag.kind != tags.FAST_TAIL:
            register = crc32c(raw, register)
            continue
        owner, stored = tags.FAST_PAIR.unpack_from(tag.value)
        register = crc32c(raw[: tags.FAST_TAG.size + 4], register)
        if owner != tid or not _same(stored, register):
            return found[:valid], "" if valid else "the fast commits' checksum is wrong"
        valid = len(found)
        register = 0
    return found[:valid], "".join(unreadable)


def _tags(
    blocks: range, read: Callable[[int], bytes], unreadable: list[str]
) -> Iterator[tuple[FastTag | None, bytes]]:
    """Every tag with its bytes; None where one does not fit its block.

    A block that cannot be read ends them; why goes to `unreadable`.
    """
    for number in blocks:
        try:
            raw = read(number)
        except (DamagedError, SourceError) as error:
            unreadable.append(f"a block of the fast commits cannot be read: {error.what}")
            return
        if number == blocks.start and raw[:2] != tags.FAST_HEAD.to_bytes(2, "little"):
            return
        at = 0
        while at + tags.FAST_TAG.size <= len(raw):
            kind, length = tags.FAST_TAG.unpack_from(raw, at)
            end = at + tags.FAST_TAG.size + length
            if end > len(raw):
                yield None, b""
                return
            yield FastTag(kind, raw[at + tags.FAST_TAG.size : end]), raw[at:end]
            at = end


def _same(stored: int, register: int) -> bool:
    return stored == register


def _length_possible(tag: FastTag, inode_size: int) -> bool:
    length = len(tag.value)
    if tag.kind in {tags.FAST_CREAT, tags.FAST_LINK, tags.FAST_UNLINK}:
        return 1 <= length - tags.FAST_PAIR.size <= LONGEST_NAME
    if tag.kind == tags.FAST_INODE:
        return layout.GOOD_OLD_INODE_SIZE <= length - 4 <= inode_size
    exact = {
        tags.FAST_ADD_RANGE: tags.FAST_EXTENT.size,
        tags.FAST_DEL_RANGE: tags.FAST_RANGE.size,
        tags.FAST_HEAD: tags.FAST_PAIR.size,
    }
    if tag.kind in exact:
        return length == exact[tag.kind]
    if tag.kind == tags.FAST_TAIL:
        return length >= tags.FAST_PAIR.size
    return tag.kind == tags.FAST_PAD


class FastReplay:
    """Applies tags in order to what the readers show."""

    def __init__(self, inodes: Inodes, mapper: Mapper, directories: Directories) -> None:
        self._inodes = inodes
        self._mapper = mapper
        self._directories = directories
        self._listings: dict[int, dict[bytes, tuple[int, int]]] = {}
        self._new_directories: set[int] = set()  # directories

    def apply(self, changes: Sequence[FastTag]) -> None:
        """All changes. Raises DamagedError or SourceError where the kernel's replay would stop."""
        actions = {
            tags.FAST_INODE: self._inode,
            tags.FAST_ADD_RANGE: self._add_range,
            tags.FAST_DEL_RANGE: self._delete_range,
            tags.FAST_CREAT: self._create,
            tags.FAST_LINK: self._link,
            tags.FAST_UNLINK: self._unlink,
        }
        try:
            for change in changes:
                action = actions.get(change.kind)
                if action is not None:
                    action(change.value)
        finally:
            for number, listing in self._listings.items():
                self._directories.finished[number] = [
                    (name, inode, kind) for name, (inode, kind) in listing.items()
                ]

    def _inode(self, value: bytes) -> None:
        """Everything but the block area is replaced; of inline data that too."""
        number = int.from_bytes(value[:4], "little")
        new = value[4:]
        old = self._inodes.raw(number)
        if old is None:
            return
        # The tag's length was checked against a superblock that the journal may have replaced.
        new = new[: len(old)]
        area, after = layout.INODE_BLOCK, layout.INODE_GENERATION
        raw = bytearray(old)
        raw[:area] = new[:area]
        raw[after : len(new)] = new[after:]
        flags = int.from_bytes(raw[layout.INODE_FLAGS :][:4], "little")
        if flags & layout.FLAG_EXTENTS:
            if raw[area : area + 2] != EMPTY_EXTENTS[:2]:
                raw[area : area + len(EMPTY_EXTENTS)] = EMPTY_EXTENTS
        elif flags & layout.FLAG_INLINE_DATA:
            raw[area:after] = new[area:after]
        self._inodes.replaced[number] = bytes(raw)

    def _add_range(self, value: bytes) -> None:
        number, logical, length, high, low = tags.FAST_EXTENT.unpack(value)
        unwritten = length > layout.EXTENT_UNWRITTEN
        count = length - layout.EXTENT_UNWRITTEN if unwritten else length
        if self._exists(number):
            place = None if unwritten else low | high << 32
            self._mapper.changes.setdefault(number, []).append((logical, place, count))

    def _delete_range(self, value: bytes) -> None:
        number, logical, count = tags.FAST_RANGE.unpack(value)
        if self._exists(number):
            self._mapper.changes.setdefault(number, []).append((logical, None, count))

    def _create(self, value: bytes) -> None:
        parent, number, name = _entry(value)
        if not self._exists(number):
            raise DamagedError(f"the fast commits create inode {number}, which does not exist")
        if stat.S_ISDIR(self._mode(number)):
            # One that has a block was made before, by a full commit: the kernel gives up then.
            if not self._exists(parent) or self._has_block(number):
                return
            self._listings[number] = {}
            self._new_directories.add(number)
        self._add(parent, number, name)
        self._set_links(number, 1)

    def _link(self, value: bytes) -> None:
        parent, number, name = _entry(value)
        if self._exists(number) and self._add(parent, number, name):
            self._set_links(number, self._links(number) + 1)

    def _unlink(self, value: bytes) -> None:
        parent, number, name = _entry(value)
        if not self._exists(number) or not self._exists(parent):
            return
        listing = self._listing(parent)
        if name not in listing:
            return
        if listing[name][0] == number:
            del listing[name]
        links = self._links(number) - 1
        self._set_links(number, links)
        if links == 0:
            self._clear(number)

    def _add(self, parent: int, number: int, name: bytes) -> bool:
        """Whether the name was not there yet; one that is stays what it is."""
        if not self._exists(parent):
            return False
        listing = self._listing(parent)
        if name in listing:
            return False
        kind = KINDS.get(stat.S_IFMT(self._mode(number)), 0)
        listing[name] = (number, int(kind))
        return True

    def _listing(self, number: int) -> dict[bytes, tuple[int, int]]:
        listing = self._listings.get(number)
        if listing is None:
            listing = {}
            for _, entries in self._directories.read((number,)):
                listing.update((name, (inode, kind)) for name, inode, kind in entries)
            self._listings[number] = listing
        return listing

    def _clear(self, number: int) -> None:
        """A deleted file gives up its blocks; its inode may be used again by a later change."""
        raw = self._inodes.raw(number)
        if raw is not None and int.from_bytes(raw[layout.INODE_FLAGS :][:4], "little") & (
            layout.FLAG_EXTENTS
        ):
            area = layout.INODE_BLOCK
            self._inodes.replaced[number] = (
                raw[:area] + EMPTY_EXTENTS + raw[area + len(EMPTY_EXTENTS) :]
            )
        self._mapper.changes.pop(number, None)
        self._new_directories.discard(number)

    def _has_block(self, number: int) -> bool:
        """Whether a directory's first block is there."""
        if number in self._new_directories:
            return True
        node = self._inodes.nodes((number,)).get(number)
        if node is None or node.flags & layout.FLAG_INLINE_DATA:
            return False
        return bool(self._mapper.map((node,), ((0, 1),))[0].runs)

    def _exists(self, number: int) -> bool:
        return self._inodes.exists(number)

    def _mode(self, number: int) -> int:
        return int.from_bytes((self._inodes.raw(number) or b"")[:2], "little")

    def _links(self, number: int) -> int:
        return int.from_bytes((self._inodes.raw(number) or b"")[layout.INODE_LINKS :][:2], "little")

    def _set_links(self, number: int, links: int) -> None:
        raw = self._inodes.raw(number)
        if raw is not None:
            at = layout.INODE_LINKS
            count = max(0, min(links, 0xFFFF)).to_bytes(2, "little")
            self._inodes.replaced[number] = raw[:at] + count + raw[at + 2 :]


def _entry(value: bytes) -> tuple[int, int, bytes]:
    parent, number = tags.FAST_PAIR.unpack_from(value)
    name = value[tags.FAST_PAIR.size :]
    if b"/" in name or b"\0" in name:
        raise DamagedError("the fast commits hold an impossible name")
    return parent, number, name
