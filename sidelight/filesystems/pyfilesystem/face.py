"""A read-only PyFilesystem2 face of a machine's tree, or of one filesystem.

Names that are not UTF-8 come as surrogates (as os.fsdecode gives them) and are taken back so.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, NoReturn, cast

from fs import errors
from fs.base import FS
from fs.enums import ResourceType
from fs.info import Info
from fs.mode import Mode
from fs.path import abspath, basename, normpath
from fs.permissions import Permissions

from sidelight.errors import PathError, SidelightError
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.pyfilesystem.stream import FileStream, translate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.machine.namespace import ResolvedPath
    from sidelight.filesystems.protocol import Filesystem, Inode

READ_AHEAD = 4 << 20  # bytes
_NEED_INODE = frozenset({"details", "access", "stat"})
_MORE_THAN_NAMES = _NEED_INODE | {"link"}
_PLAIN = frozenset(InodeKind) - {InodeKind.DIRECTORY, InodeKind.UNKNOWN}

_TYPES = {
    InodeKind.REGULAR: ResourceType.file,
    InodeKind.DIRECTORY: ResourceType.directory,
    InodeKind.SYMLINK: ResourceType.symlink,
    InodeKind.FIFO: ResourceType.fifo,
    InodeKind.SOCKET: ResourceType.socket,
    InodeKind.CHARACTER: ResourceType.character,
    InodeKind.BLOCK: ResourceType.block_special_file,
}


class MachineFS(FS):
    """Read-only files of a machine. Symbolic links resolve inside the machine's tree.

    Namespaces: basic, details, access, link; and lstat's `stat` with the plain numbers. Listing
    with no more than `basic` reads no inodes. Damage raises fs.errors.OperationFailed.
    """

    _meta: dict[str, str | int | bool | None] = {  # noqa: RUF012 -- as in the base class
        "case_insensitive": False,
        "invalid_path_chars": "\0",
        "network": False,
        "read_only": True,
        "supports_rename": False,
        "thread_safe": True,
        "unicode_paths": True,
        "virtual": False,
    }

    def __init__(self, tree: MachineTree | Filesystem, sources: Sequence[BlockSource] = ()) -> None:
        """`sources` are closed with this object, where they can be."""
        super().__init__()
        self.machine = tree if isinstance(tree, MachineTree) else MachineTree(tree)
        self._sources = sources

    def __repr__(self) -> str:
        return f"MachineFS({self.machine.root.source_name!r})"

    def close(self) -> None:
        """Close the sources that were given."""
        if not self.isclosed():
            for source in self._sources:
                close = getattr(source, "close", None)
                if close is not None:
                    close()
        super().close()

    # --- reading ---

    def getinfo(self, path: str, namespaces: Collection[str] | None = None) -> Info:
        """What is known of a path; a symbolic link is followed but for `link`, as in OSFS."""
        self.check()
        where = self._checked(path)
        name = basename(where)
        place = self._place(path, follow=False)
        wanted = frozenset(namespaces or ())
        target = place
        if place.kind == InodeKind.SYMLINK:
            try:
                target = self.machine.locate(_raw(where))
            except PathError:
                target = place  # a dangling link is described as itself
            except SidelightError as error:
                translate(error, path)
        inode: Inode | None = None
        if wanted & _NEED_INODE:
            inode = target.mount.fs.inodes([target.inode]).get(target.inode)
        raw: dict[str, dict[str, object]] = {
            "basic": {"name": name, "is_dir": target.kind == InodeKind.DIRECTORY}
        }
        if "link" in wanted:
            raw["link"] = {"target": self._target(place, path)}
        if inode is not None:
            raw.update(_numbers(inode, target.kind, wanted))
        return Info(raw)

    def listdir(self, path: str) -> list[str]:
        """Names in a directory."""
        self.check()
        return [_text(entry[0]) for entry in self._entries(path)]

    def scandir(
        self,
        path: str,
        namespaces: Collection[str] | None = None,
        page: tuple[int, int] | None = None,
    ) -> Iterator[Info]:
        """Infos of a directory's entries; inodes are read together, and only where needed.

        A symbolic link is described as itself and is not a directory, so that a walk of the tree
        ends; `getinfo`, `isdir` and all that opens follow it.
        """
        self.check()
        entries = self._entries(path)
        if page is not None:
            entries = entries[page[0] : page[1]]
        wanted = frozenset(namespaces or ())
        prefix = self._checked(path).rstrip("/") + "/"
        if not wanted & _MORE_THAN_NAMES:
            return (self._brief(prefix, entry) for entry in entries)
        fs = self._place(path, follow=True).mount.fs
        plain = [entry for entry in entries if entry[2] in _PLAIN]
        inodes = fs.inodes([entry[1] for entry in plain]) if wanted & _NEED_INODE else {}
        return (self._full(prefix, entry, inodes, wanted) for entry in entries)

    def _full(
        self,
        prefix: str,
        entry: tuple[bytes, int, int],
        inodes: dict[int, Inode],
        wanted: frozenset[str],
    ) -> Info:
        """One entry. A directory may be a mount point: only the others' inodes were read."""
        name, number, kind = entry
        path = prefix + _text(name)
        if kind not in _PLAIN:
            return self.getinfo(path, wanted)
        raw: dict[str, dict[str, object]] = {"basic": {"name": _text(name), "is_dir": False}}
        if "link" in wanted:
            raw["link"] = {"target": None}
            if kind == InodeKind.SYMLINK:
                raw["link"] = {"target": self._target(self._place(path, follow=False), path)}
        if number in inodes:
            raw.update(_numbers(inodes[number], InodeKind(kind), wanted))
        return Info(raw)

    def openbin(
        self,
        path: str,
        mode: str = "r",
        buffering: int = -1,
        **options: object,  # noqa: ARG002 -- the base class's signature
    ) -> BinaryIO:
        """A regular file, seekable; buffered with READ_AHEAD bytes unless `buffering` is 0."""
        parsed = Mode(mode)
        parsed.validate_bin()
        self.check()
        if parsed.writing:
            raise errors.ResourceReadOnly(path)
        place = self._place(path, follow=True)
        if place.kind == InodeKind.DIRECTORY:
            raise errors.FileExpected(path)
        if place.kind != InodeKind.REGULAR:
            raise errors.FileExpected(path)
        inode = place.mount.fs.inodes([place.inode]).get(place.inode)
        if inode is None:
            raise errors.OperationFailed(path, msg=f"inode {place.inode} cannot be read")
        raw = FileStream(place.mount.fs, place.inode, inode.size, path)
        if buffering == 0:
            return cast("BinaryIO", raw)
        size = buffering if buffering > 1 else READ_AHEAD
        return cast("BinaryIO", io.BufferedReader(raw, min(size, max(inode.size, 1))))

    def isdir(self, path: str) -> bool:
        """Whether the path leads to a directory."""
        return self._kind(path) == InodeKind.DIRECTORY

    def isfile(self, path: str) -> bool:
        """Whether the path leads to anything that is not a directory."""
        return self._kind(path) not in (None, InodeKind.DIRECTORY)

    def exists(self, path: str) -> bool:
        """Whether the path leads anywhere, or is a link."""
        return self._kind(path) is not None or self._kind(path, follow=False) is not None

    def islink(self, path: str) -> bool:
        """Whether the path itself is a symbolic link. Raises ResourceNotFound."""
        self.check()
        return self._place(path, follow=False).kind == InodeKind.SYMLINK

    def readbytes(self, path: str) -> bytes:
        """A whole file."""
        with self.openbin(path, buffering=0) as file:
            return file.read()

    # --- what a read-only filesystem refuses ---

    def makedir(
        self, path: str, permissions: Permissions | None = None, recreate: bool = False
    ) -> NoReturn:
        """Refused."""
        del permissions, recreate
        self._refuse(path)

    def remove(self, path: str) -> NoReturn:
        """Refused."""
        self._refuse(path)

    def removedir(self, path: str) -> NoReturn:
        """Refused."""
        self._refuse(path)

    def setinfo(self, path: str, info: object) -> NoReturn:
        """Refused."""
        del info
        self._refuse(path)

    def _refuse(self, path: str) -> NoReturn:
        self.check()
        self._checked(path)
        raise errors.ResourceReadOnly(path)

    # --- inside ---

    def _checked(self, path: str) -> str:
        """The path in normal form. Unlike validatepath, lone surrogates are let through."""
        if not isinstance(path, str):
            raise TypeError(f"paths are text, not {type(path).__name__}")
        if "\0" in path:
            raise errors.InvalidCharsInPath(path)
        return abspath(normpath(path))

    def _place(self, path: str, *, follow: bool) -> ResolvedPath:
        try:
            return self.machine.locate(_raw(self._checked(path)), follow=follow)
        except SidelightError as error:
            translate(error, path)

    def _kind(self, path: str, *, follow: bool = True) -> InodeKind | None:
        self.check()
        try:
            return self.machine.locate(_raw(self._checked(path)), follow=follow).kind
        except SidelightError:
            return None

    def _entries(self, path: str) -> list[tuple[bytes, int, int]]:
        try:
            return self.machine.listdir(_raw(self._checked(path)))
        except SidelightError as error:
            translate(error, path, listing=True)

    def _brief(self, prefix: str, entry: tuple[bytes, int, int]) -> Info:
        """What the directory entry alone says."""
        text = _text(entry[0])
        is_dir = entry[2] == InodeKind.DIRECTORY
        if entry[2] == InodeKind.UNKNOWN:
            is_dir = self._kind(prefix + text) == InodeKind.DIRECTORY
        return Info({"basic": {"name": text, "is_dir": is_dir}})

    def _target(self, place: ResolvedPath, path: str) -> str | None:
        if place.kind != InodeKind.SYMLINK:
            return None
        try:
            return _text(place.mount.fs.readlink(place.inode))
        except SidelightError as error:
            translate(error, path)


def _numbers(
    inode: Inode, own_kind: InodeKind, wanted: frozenset[str]
) -> dict[str, dict[str, object]]:
    """The namespaces that an inode gives."""
    raw: dict[str, dict[str, object]] = {}
    if "details" in wanted:
        created = inode.crtime_ns
        raw["details"] = {
            "_write": [],
            "type": int(_TYPES.get(own_kind, ResourceType.unknown)),
            "size": inode.size,
            "accessed": inode.atime_ns / 1e9,
            "modified": inode.mtime_ns / 1e9,
            "metadata_changed": inode.ctime_ns / 1e9,
            "created": None if created is None else created / 1e9,
        }
    if "access" in wanted:
        raw["access"] = {
            "permissions": Permissions(mode=inode.mode & 0o7777).dump(),
            "uid": inode.uid,
            "gid": inode.gid,
            "user": None,
            "group": None,
        }
    if "stat" in wanted:
        raw["stat"] = {
            "st_mode": inode.mode,
            "st_ino": inode.number,
            "st_nlink": inode.links,
            "st_uid": inode.uid,
            "st_gid": inode.gid,
            "st_size": inode.size,
            "st_mtime_ns": inode.mtime_ns,
            "st_ctime_ns": inode.ctime_ns,
            "st_atime_ns": inode.atime_ns,
        }
    return raw


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
