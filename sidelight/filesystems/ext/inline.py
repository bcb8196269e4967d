"""Data that lies within the inode itself: its first 60 bytes, then the attribute system.data.

Source: the kernel's Documentation/filesystems/ext4/inlinedata.rst and attributes.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import DamagedError
from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from sidelight.filesystems.ext.inodes import InodeRecord

MOST_ATTRIBUTES = 256


def inline_parts(node: InodeRecord, where: str) -> tuple[bytes, bytes]:
    """The 60 bytes of the block area, and the value of system.data (empty where there is none).

    Raises DamagedError for attributes that lie outside of the inode.
    """
    begin = layout.INODE_BLOCK
    area = node.raw[begin : begin + layout.INODE_BLOCK_SIZE]
    return area, _system_data(node, where)


def inline_contents(node: InodeRecord, where: str) -> bytes:
    """All inline bytes of a node. Raises DamagedError where its size says more than there are."""
    area, value = inline_parts(node, where)
    data = (area + value)[: node.size]
    if len(data) < node.size:
        raise DamagedError(f"{node.size} bytes do not fit into the inode", where=where)
    return data


def inline_range(node: InodeRecord, where: str, offset: int, length: int) -> bytes:
    """Bytes of an inline file; zeros where its size goes beyond what is there, as in the kernel.

    mke2fs leaves a file that is all holes so. Raises DamagedError for damaged attributes.
    """
    end = min(offset + length, node.size)
    if offset < 0 or end <= offset:
        return b""
    area, value = inline_parts(node, where)
    return (area + value)[offset:end].ljust(end - offset, b"\0")


def _system_data(node: InodeRecord, where: str) -> bytes:
    raw = node.raw
    if len(raw) <= layout.GOOD_OLD_INODE_SIZE:
        return b""
    at = layout.INODE_EXTRA_SIZE
    header = layout.GOOD_OLD_INODE_SIZE + int.from_bytes(raw[at : at + 2], "little")
    if int.from_bytes(raw[header : header + 4], "little") != layout.XATTR_MAGIC:
        return b""
    first = at = header + 4
    for _ in range(MOST_ATTRIBUTES):
        # Four zero bytes end the list.
        if at + 4 > len(raw) or raw[at : at + 4] == b"\0\0\0\0":
            return b""
        if at + layout.XATTR_ENTRY.size > len(raw):
            break
        length, index, offset, inode, size, _ = layout.XATTR_ENTRY.unpack_from(raw, at)
        name_at = at + layout.XATTR_ENTRY.size
        if index == layout.XATTR_SYSTEM and raw[name_at : name_at + length] == b"data":
            if inode or first + offset + size > len(raw):
                break
            return raw[first + offset : first + offset + size]
        at = name_at + (length + 3 & ~3)
    raise DamagedError("the inode's extended attributes are damaged", where=where)
