"""Directories in which a name is found in any letter case.

ext4 has them by a flag of each directory (`chattr +F`, feature casefold), XFS as a whole filesystem
(`mkfs.xfs -n version=ci`). What asks for `lib/dpkg` finds `LIB/Dpkg` there, as programs do.
Sources: the kernel's Documentation/filesystems/ext4/overview.rst ("Case-insensitive file name
lookups") and fs/unicode; xfs's xfs_ascii_ci_hashname.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sidelight.filesystems.protocol import Entry, Filesystem

_Found = TypeVar("_Found")


@runtime_checkable
class IgnoresCase(Protocol):
    """A Filesystem that may have such directories."""

    def folding(self, number: int) -> Callable[[bytes], bytes] | None:
        """How names in a directory that was read are compared; None where they are as they are."""


def folding(fs: Filesystem, number: int) -> Callable[[bytes], bytes] | None:
    """How names in a directory that was read are compared; None where each is its own."""
    return fs.folding(number) if isinstance(fs, IgnoresCase) else None


def fold_unicode(name: bytes) -> bytes:
    """A name as ext4 compares it; by its bytes where these are not UTF-8."""
    if name.isascii():
        return name.lower()
    try:
        return normalize("NFD", normalize("NFD", name.decode()).casefold()).encode()
    except UnicodeDecodeError:
        return name


def fold_ascii(name: bytes) -> bytes:
    """A name as XFS compares it."""
    return name.lower()


def find(names: Mapping[bytes, _Found], name: bytes, fs: Filesystem, number: int) -> _Found | None:
    """What a directory, with its entries by name, gives for a name."""
    found = names.get(name)
    if found is not None or (fold := folding(fs, number)) is None:
        return found
    folded = fold(name)
    return next((item for other, item in names.items() if fold(other) == folded), None)


def renamed(
    entries: Iterable[Entry], names: Iterable[bytes], fold: Callable[[bytes], bytes]
) -> list[list[Entry]]:
    """Each entry under those of `names` by which it is found, or else under its own."""
    kept = list(entries)
    present = {entry[0] for entry in kept}
    wanted: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        wanted.setdefault(fold(name), []).append(name)
    found = []
    for own, inode, kind in kept:
        others = [name for name in wanted.get(fold(own), ()) if name not in present or name == own]
        found.append([(name, inode, kind) for name in others or [own]])
    return found
