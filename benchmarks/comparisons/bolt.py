"""A bbolt file, written once: enough to give Trivy a database (go.etcd.io/bbolt, version 2).

A database is nested dicts: a dict is a bucket, bytes are a value. Pages are 4096 bytes, written in
the order in which they are filled; each bucket is a B+tree, or is inside its parent if small.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
Bucket: TypeAlias = "dict[bytes, Bucket | bytes]"
Item: TypeAlias = tuple[bytes, bytes, int]  # key, value, flags

PAGE = 4096
_HEADER = struct.Struct("<QHHI")  # id, flags, count, overflow
_LEAF = struct.Struct("<IIII")  # flags, where the key is from here, sizes of key and value
_BRANCH = struct.Struct("<IIQ")  # where the key is from here, its size, page
_BUCKET = struct.Struct("<QQ")  # root page, sequence
_META = struct.Struct("<IIIIQQQQQ")
_IS_BRANCH, _IS_LEAF, _IS_META, _IS_FREELIST = 1, 2, 4, 16
_IS_BUCKET = 1
_MAGIC = 0xED0CDAED
_INLINE = PAGE // 4  # bytes of the largest bucket that is inside its parent
_FIRST = 4  # two metas, the free list, and one page that is never used


def write(path: Path, root: Bucket) -> None:
    """Write the database."""
    pages = _Pages()
    top = pages.tree(pages.items(root))
    free = _HEADER.pack(2, _IS_FREELIST, 0, 0)
    unused = _HEADER.pack(3, _IS_LEAF, 0, 0)
    with path.open("wb") as out:
        for page in (_meta(0, top, pages.next), _meta(1, top, pages.next), free, unused):
            out.write(page.ljust(PAGE, b"\0"))
        out.writelines(pages.all)


def _fnv64a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & (1 << 64) - 1
    return value


def _meta(number: int, root: int, pages: int) -> bytes:
    body = _META.pack(_MAGIC, 2, PAGE, 0, root, 0, 2, pages, number)
    return _HEADER.pack(number, _IS_META, 0, 0) + body + struct.pack("<Q", _fnv64a(body))


def _leaf(number: int, items: list[Item], overflow: int = 0) -> bytes:
    at = _LEAF.size * len(items)
    heads, bodies = bytearray(), bytearray()
    for place, (key, value, flags) in enumerate(items):
        here = at + len(bodies) - _LEAF.size * place
        heads += _LEAF.pack(flags, here, len(key), len(value))
        bodies += key + value
    return _HEADER.pack(number, _IS_LEAF, len(items), overflow) + heads + bodies


def _branch(number: int, items: list[tuple[bytes, int]]) -> bytes:
    at = _BRANCH.size * len(items)
    heads, bodies = bytearray(), bytearray()
    for place, (key, page) in enumerate(items):
        heads += _BRANCH.pack(at + len(bodies) - _BRANCH.size * place, len(key), page)
        bodies += key
    return _HEADER.pack(number, _IS_BRANCH, len(items), 0) + heads + bodies


class _Pages:
    """The pages so far, and the number of the next."""

    def __init__(self) -> None:
        self.all: list[bytes] = []
        self.next = _FIRST

    def items(self, bucket: Bucket) -> list[Item]:
        """A bucket's items, its buckets written."""
        out: list[Item] = []
        for key, value in sorted(bucket.items()):
            if isinstance(value, bytes):
                out.append((key, value, 0))
                continue
            inner = self.items(value)
            leaf = _leaf(0, inner)
            if len(leaf) <= _INLINE and not any(flags for _key, _value, flags in inner):
                out.append((key, _BUCKET.pack(0, 0) + leaf, _IS_BUCKET))
            else:
                out.append((key, _BUCKET.pack(self.tree(inner), 0), _IS_BUCKET))
        return out

    def tree(self, items: list[Item]) -> int:
        """Write a bucket's pages, leaves first; the number of its root."""
        level = [
            (held[0][0] if held else b"", self._add_leaf(held))
            for held in _filled(items, lambda item: _LEAF.size + len(item[0]) + len(item[1]))
        ]
        while len(level) > 1:
            level = [
                (held[0][0], self._add(_branch(self.next, held)))
                for held in _filled(level, lambda item: _BRANCH.size + len(item[0]))
            ]
        return level[0][1]

    def _add_leaf(self, held: list[Item]) -> int:
        overflow = -(-len(_leaf(0, held)) // PAGE) - 1
        return self._add(_leaf(self.next, held, overflow))

    def _add(self, page: bytes) -> int:
        number, size = self.next, -(-len(page) // PAGE)
        self.all.append(page.ljust(size * PAGE, b"\0"))
        self.next += size
        return number


def _filled(items: list[T], need: Callable[[T], int]) -> list[list[T]]:
    """The items parted so that each part fills a page, a large item alone; one part if none."""
    parts: list[list[T]] = [[]]
    size = 0
    for item in items:
        if parts[-1] and size + need(item) > PAGE - _HEADER.size:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += need(item)
    return parts
