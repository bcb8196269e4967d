"""Reading many files of one machine: planned together, in the order in which they lie on the disk.

Whole files are read in windows of blocks. Of a file that is read at offsets, the part that is
looked at first is fetched with those of its neighbours, so that many calls are under way at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sidelight.errors import SidelightError
    from sidelight.filesystems.protocol import Filesystem
    from sidelight.inventory.treefile import Tree, WantedFileRef

# An inode of a machine of several filesystems.
FileKey = tuple[int, int]


def file_key(place: WantedFileRef) -> FileKey:
    """What all places of one file share."""
    return id(place.fs), place.inode


def by_file(places: Iterable[WantedFileRef]) -> dict[FileKey, list[WantedFileRef]]:
    """Places grouped by the file that they are of."""
    found: dict[FileKey, list[WantedFileRef]] = {}
    for place in places:
        found.setdefault(file_key(place), []).append(place)
    return found


def whole(
    tree: Tree, places: Sequence[WantedFileRef], limit: int
) -> Iterator[tuple[WantedFileRef, bytes | SidelightError]]:
    """Each file's contents, read once, for every place that it has."""
    groups = by_file(places)
    wanted = [(group[0].fs, group[0].inode) for group in groups.values()]
    for (fs, inode), data in tree.contents(wanted, limit):
        for place in groups.get((id(fs), inode), ()):
            yield place, data


def parts(
    tree: Tree, places: Sequence[WantedFileRef], part: Callable[[WantedFileRef], tuple[int, int]]
) -> Iterator[tuple[WantedFileRef, bytes | SidelightError]]:
    """The `(offset, length)` of each file that `part` names, read once, for all of its places.

    Use each before asking for the next: its block, and the file's others near by, are in the cache.
    """
    groups = by_file(places)
    wanted = [(group[0].fs, (group[0].inode, *part(group[0]))) for group in groups.values()]
    for (fs, piece), data in tree.pieces(wanted):
        for place in groups.get((id(fs), piece[0]), ()):
            yield place, data


def sizes(places: Iterable[WantedFileRef]) -> dict[FileKey, int]:
    """The files' sizes in bytes; one whose inode cannot be read is missing."""
    groups: dict[int, tuple[Filesystem, set[int]]] = {}
    for place in places:
        groups.setdefault(id(place.fs), (place.fs, set()))[1].add(place.inode)
    return {
        (key, number): inode.size
        for key, (fs, numbers) in groups.items()
        for number, inode in fs.inodes(sorted(numbers)).items()
    }
