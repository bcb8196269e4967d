"""A part of a disk that cannot be read is either not needed, or is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import SidelightError, SourceError
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.walk import walk
from tests.fakes.sources import MemorySource
from tests.images.ext import tiny
from tests.images.xfs import fixtures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.blocks import BlockSource


class _Unreadable:
    """A BlockSource of which `length` bytes at `offset` fail."""

    def __init__(self, source: BlockSource, offset: int, length: int) -> None:
        self._source = source
        self._begin, self._end = offset, offset + length
        self.name = source.name
        self.size = source.size

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < self._end and offset + length > self._begin:
            raise SourceError("cannot be read", where=self.name)
        return self._source.read_at(offset, length)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        list(ranges)


def _seen(source: BlockSource) -> tuple[dict[object, object], list[str]]:
    """All that is on a filesystem, and what it says that it could not read."""
    fs = open_filesystem(source)
    found: dict[object, object] = {}
    faults = []
    files = []
    for level in walk(fs):
        for path, _, entries in level:
            for name, number, kind in entries:
                found[path, name] = number, kind
                if kind == InodeKind.REGULAR:
                    files.append(number)
                elif kind == InodeKind.SYMLINK:
                    try:
                        found["link", number] = fs.readlink(number)
                    except SidelightError as error:
                        faults.append(str(error))
    for number, data in fs.contents(files, 1 << 20):
        if isinstance(data, bytes):
            found["contents", number] = data
        else:
            faults.append(str(data))
    found |= {("inode", number): inode for number, inode in fs.inodes(files).items()}
    return found, faults + [problem.what for problem in fs.problems]


@pytest.mark.parametrize(
    "name",
    [*tiny.NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in ("tiny", "tiny-dirty"))],
)
@pytest.mark.slow
def test_no_unreadable_piece_is_passed_over(name: str) -> None:
    source: BlockSource
    if name in tiny.NAMES:
        source, step = MemorySource(tiny.load(name), name), 1024
    else:
        pytest.importorskip("zstandard")
        source, step = fixtures.load(name), 4096
    whole = _seen(source)
    lost = []
    for offset in range(0, source.size, step):
        if not source.read_at(offset, step).strip(b"\0"):
            continue
        try:
            found, faults = _seen(_Unreadable(source, offset, step))
        except SidelightError:
            continue
        if faults == whole[1] and found != whole[0]:
            lost.append(offset)
    assert lost == []
