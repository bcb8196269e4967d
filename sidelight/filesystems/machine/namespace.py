"""The mounts of one machine, and where a path leads through them.

As in the kernel, a mount covers a directory of one mount, not of a filesystem: what a bind mount
shows a second time has no mounts below it of its own.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.errors import (
    LimitError,
    LinkLoopError,
    NoSuchPathError,
    NotADirectoryInTreeError,
)
from sidelight.filesystems.letter_case import find
from sidelight.filesystems.machine.directory_cache import Listings
from sidelight.filesystems.protocol import Filesystem, InodeKind
from sidelight.filesystems.walk import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINKS = 40  # as the kernel
# Of one machine; the kernel allows 100,000 (fs.mount-max). A recursive bind can double them.
MAX_MOUNTS = 10_000
# Path components followed and names read to find what one machine mounts. A real machine needs
# some thousands; links through directories of 100,000 names could need billions.
MAX_LOOK_UPS = 3_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """One filesystem, or a directory of it, at one place. `path` has no leading slash."""

    fs: Filesystem
    root: int
    path: bytes
    bind: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """A path's end: an inode as seen through a mount."""

    mount: Mount
    inode: int
    kind: InodeKind


class Namespace:
    """Filesystems mounted into each other, and paths through them.

    Paths are bytes, or text in which undecodable bytes are surrogates; slashes at either end are
    ignored.
    """

    def __init__(self, root: Filesystem, directory: int | None = None) -> None:
        """`root` is the filesystem at `/`, or that whose `directory` is."""
        self._root = Mount(root, root.root if directory is None else directory, b"")
        self._extra: dict[bytes, Mount] = {}
        self._covered: dict[tuple[int, int], Mount] = {}
        self.mounts: list[Mount] = [self._root]
        self._listings = Listings()
        # What mounts hide: the directory, by the path of the mount that hides it.
        self._hidden: list[tuple[bytes, ResolvedPath]] = []
        self._names_of_extra: Counter[bytes] = Counter()
        self._look_ups_left: int | None = None

    @contextmanager
    def limited_look_ups(self) -> Iterator[None]:
        """Within, paths cost at most MAX_LOOK_UPS; beyond, each raises LimitError."""
        self._look_ups_left = MAX_LOOK_UPS
        try:
            yield
        finally:
            self._look_ups_left = None

    def _spend(self, look_ups: int) -> None:
        if self._look_ups_left is None:
            return
        self._look_ups_left -= look_ups
        if self._look_ups_left < 0:
            what = f"mounts need more than {MAX_LOOK_UPS} look-ups: the rest is left out"
            raise LimitError(what, where="/")

    @property
    def extra(self) -> dict[bytes, Mount]:
        """Filesystems that nothing mounts, by the name under which `/` shows them."""
        return dict(self._extra)

    def mount(self, path: bytes | str, fs: Filesystem, directory: int | None = None) -> Mount:
        """Show `fs` (or one directory of it) at the directory `path`.

        Raises PathError where there is none, and FormatError (LimitError past MAX_MOUNTS).
        """
        place = self.locate(path)
        if place.kind != InodeKind.DIRECTORY:
            raise NotADirectoryInTreeError(
                "a mount point must be a directory", where=shown_path(path)
            )
        mount = Mount(fs, fs.root if directory is None else directory, as_bytes(path))
        self._cover(place, mount)
        return mount

    def bind(self, source: bytes | str, path: bytes | str, *, recursive: bool = False) -> Mount:
        """Show the directory `source` of the tree at `path` too.

        Raises PathError, FormatError (LimitError past MAX_MOUNTS).
        """
        origin, place = self.locate(source), self.locate(path)
        if origin.kind != InodeKind.DIRECTORY or place.kind != InodeKind.DIRECTORY:
            raise NotADirectoryInTreeError(
                "only directories are bound to directories", where=shown_path(path)
            )
        mount = Mount(origin.mount.fs, origin.inode, as_bytes(path), bind=True)
        self._check_room(mount)
        self._spend(len(self.mounts) if recursive else 0)
        below = as_bytes(source) + b"/" if as_bytes(source) else b""
        copies = [
            (other.path[len(below) :], other)
            for other in self.mounts[1:]
            if recursive and other.path.startswith(below) and other.path not in self._extra
        ]
        self._cover(place, mount)
        for relative, other in copies:
            target = mount.path + b"/" + relative
            copy = Mount(other.fs, other.root, target, bind=True)
            self._cover(self.locate(target), copy)
        return mount

    def add_extra(self, name: bytes, fs: Filesystem, directory: int | None = None) -> None:
        """Show a filesystem that nothing mounts (or a directory of it) as `[name]` of `/`.

        A name that is taken gets a number: `[name#2]`.
        """
        plain = name
        name = b"[%s]" % plain
        while name in self._extra:
            self._names_of_extra[plain] += 1
            name = b"[%s#%d]" % (plain, self._names_of_extra[plain] + 1)
        mount = Mount(fs, fs.root if directory is None else directory, name)
        self._extra[name] = mount
        self.mounts.append(mount)

    def _check_room(self, mount: Mount) -> None:
        if len(self.mounts) >= MAX_MOUNTS:
            what = f"more than {MAX_MOUNTS} mounts: the rest is left out"
            raise LimitError(what, where=shown_path(mount.path))

    def _cover(self, place: ResolvedPath, mount: Mount) -> None:
        self._check_room(mount)
        self._covered[id(place.mount), place.inode] = mount
        self._hidden.append((mount.path, place))
        self.mounts.append(mount)

    def show_hidden(self) -> None:
        """Show what lies under mounts as `[covered:path]` of `/`, where a directory is not empty.

        A mount that a machine fails to make hides nothing of it, and none can be known to succeed.
        """
        by_filesystem: dict[int, list[tuple[bytes, ResolvedPath]]] = {}
        for path, place in self._hidden:
            # The top of a mount that another is stacked on is that filesystem's own matter.
            by_filesystem.setdefault(id(place.mount.fs), []).append((path, place))
        for group in by_filesystem.values():
            fs = group[0][1].mount.fs
            numbers = list(dict.fromkeys(place.inode for _, place in group))
            filled = {n for n, entries in listing(fs, numbers, fs.problems) if entries}
            shown = set()
            for path, place in group:
                if place.inode in filled and place.inode not in shown:
                    shown.add(place.inode)
                    self.add_extra(b"covered:" + path.replace(b"/", b":"), fs, place.inode)
        self._hidden.clear()

    def locate(self, path: bytes | str, *, follow: bool = True, root: bytes = b"") -> ResolvedPath:
        """Where a path leads, through symbolic links; the last one only if `follow`.

        Absolute links start at the machine's root (those in a filesystem that nothing mounts, at
        its own), and ".." does not leave it. With the directory `root`, as after chroot(2): the
        path and absolute links start there. Raises NoSuchPathError, NotADirectoryInTreeError,
        LinkLoopError, and FormatError or SourceError where a directory cannot be read.
        """
        raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
        stack = self._stack_of(root)
        base = len(stack)
        parts = [part for part in reversed(raw.split(b"/")) if part not in (b"", b".")]
        must_be_directory = raw.endswith((b"/", b"/.")) and bool(parts)
        links = 0
        while parts:
            part = parts.pop()
            self._spend(1)
            if part == b"..":
                if len(stack) > base:
                    stack.pop()
                continue
            if len(stack) == 1 and part in self._extra and links == 0:
                inner, _ = self._uncover_root(self._extra[part])
                stack.append(ResolvedPath(inner, inner.root, InodeKind.DIRECTORY))
                base = 2
                continue
            found = self._child(stack[-1], part, path)
            if found.kind == InodeKind.SYMLINK and (parts or follow or must_be_directory):
                links += 1
                if links > MAX_LINKS:
                    raise LinkLoopError(f"more than {MAX_LINKS} links", where=shown_path(path))
                target = found.mount.fs.readlink(found.inode)
                if not target:
                    raise NoSuchPathError("an empty link", where=shown_path(path))
                if target.startswith(b"/"):
                    del stack[base:]
                parts += [p for p in reversed(target.split(b"/")) if p not in (b"", b".")]
                continue
            if found.kind != InodeKind.DIRECTORY and (parts or must_be_directory):
                raise NotADirectoryInTreeError("not a directory", where=shown_path(path))
            stack.append(found)
        return stack[-1]

    def _stack_of(self, root: bytes) -> list[ResolvedPath]:
        """The directories on the way to one that is reached without links."""
        top, _ = self._uncover_root(self._root)
        stack = [ResolvedPath(top, top.root, InodeKind.DIRECTORY)]
        for part in root.split(b"/"):
            if len(stack) == 1 and part in self._extra:
                inner, _ = self._uncover_root(self._extra[part])
                stack.append(ResolvedPath(inner, inner.root, InodeKind.DIRECTORY))
            elif part:
                stack.append(self._child(stack[-1], part, root))
        return stack

    def _child(self, parent: ResolvedPath, name: bytes, path: bytes | str) -> ResolvedPath:
        kept = self._listings.names_read
        names = self._listings.names(parent.mount.fs, parent.inode)
        found = find(names, name, parent.mount.fs, parent.inode)
        self._spend(self._listings.names_read - kept)
        if found is None:
            raise NoSuchPathError("no such file or directory", where=shown_path(path))
        number, kind = found
        if kind == InodeKind.UNKNOWN:
            inode = parent.mount.fs.inodes([number]).get(number)
            kind = InodeKind.UNKNOWN if inode is None else inode.kind
        if kind == InodeKind.DIRECTORY:
            mount, number = self._uncover(parent.mount, number)
            return ResolvedPath(mount, number, InodeKind.DIRECTORY)
        return ResolvedPath(
            parent.mount, number, InodeKind(kind) if 0 <= kind <= 7 else InodeKind.UNKNOWN
        )

    def _uncover(self, mount: Mount, number: int) -> tuple[Mount, int]:
        """What is on top of a directory: mounts may be stacked."""
        while (above := self._covered.get((id(mount), number))) is not None:
            mount, number = above, above.root
        return mount, number

    def _uncover_root(self, mount: Mount) -> tuple[Mount, int]:
        return self._uncover(mount, mount.root)


def as_bytes(path: bytes | str) -> bytes:
    """A path without slashes at its ends, and without doubled ones and dots."""
    raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    return b"/".join(part for part in raw.split(b"/") if part not in (b"", b"."))


def as_text(path: bytes) -> str:
    """Undecodable bytes as surrogates."""
    return path.decode("utf-8", "surrogateescape")


def shown_path(path: bytes | str) -> str:
    """For Problems and errors: absolute, undecodable bytes escaped."""
    return "/" + as_bytes(path).decode("utf-8", "backslashreplace")
