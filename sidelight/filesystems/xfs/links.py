"""Symbolic links: in the inode, and in blocks of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sidelight.errors import DamagedError
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs import bmap, layout

if TYPE_CHECKING:
    from sidelight.filesystems.xfs.inodes import RawInode
    from sidelight.filesystems.xfs.volume import XfsVolume


def read_link(volume: XfsVolume, raw: RawInode) -> bytes:
    """A link's target. Raises DamagedError, and SourceError from below."""
    where = f"{volume.where}: inode {raw.number}"
    if raw.kind is not InodeKind.SYMLINK:
        raise DamagedError("not a symbolic link", where=where)
    if not 0 < raw.size <= layout.SYMLINK_MAX:
        raise DamagedError(f"a link of impossible length {raw.size}", where=where)
    if raw.format == layout.FORMAT_LOCAL:
        if raw.size > len(raw.fork):
            raise DamagedError("a link longer than its inode", where=where)
        return raw.fork[: raw.size]
    fork = bmap.Fork(raw.number, raw.format, raw.extents, raw.fork)
    mapping = bmap.map_forks(volume, [fork])[raw.number]
    if mapping.fault:
        raise DamagedError(mapping.fault, where=where)
    target = b""
    for _, physical, length in mapping.extents:
        # A v5 link has one header for each extent, not for each block.
        take = min(length, volume.superblock.block_size * (layout.SYMLINK_MAX // 256))
        data = volume.source.read_at(physical, take)
        if volume.superblock.v5:
            data = _without_header(volume, raw.number, data, physical, len(target))
        target += data
        if len(target) >= raw.size:
            return target[: raw.size]
    raise DamagedError("a link longer than its blocks", where=where)


def _without_header(
    volume: XfsVolume, number: int, data: bytes, physical: int, offset: int
) -> bytes:
    """A v5 link block's part of the target (Remote Symbolic Links), verified."""
    where = f"{volume.where}: inode {number}"
    array = np.frombuffer(data, np.uint8).reshape(1, -1)
    if data[:4] != layout.SYMLINK_MAGIC:
        raise DamagedError(f"no block of a link at {physical}", where=where)
    if volume.bad_checksums(data, array, layout.SYMLINK_CRC, np.array([physical], np.int64)).any():
        raise DamagedError(f"bad checksum of the block of a link at {physical}", where=where)
    owner = int.from_bytes(data[layout.SYMLINK_OWNER : layout.SYMLINK_OWNER + 8], "big")
    place = int.from_bytes(data[4:8], "big")
    used = int.from_bytes(data[layout.SYMLINK_BYTES : layout.SYMLINK_BYTES + 4], "big")
    uuid = data[layout.SYMLINK_UUID : layout.SYMLINK_UUID + 16]
    room = len(data) - layout.SYMLINK_HEADER_V5
    if owner != number or place != offset or used > room or uuid != volume.superblock.meta_uuid:
        raise DamagedError(f"the block of a link at {physical} belongs elsewhere", where=where)
    return data[layout.SYMLINK_HEADER_V5 : layout.SYMLINK_HEADER_V5 + used]
