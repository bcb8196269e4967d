"""Each reader's walk of one image, listing only or with every inode read, timed in its own process.

`python readers.py READER MODE IMAGE` prints `{"paths", "first", "cpu"}` as JSON. A `listing`
gives every path's name, inode and type; `metadata` also every path's size, mode and time of
modification. Opening the filesystem counts, importing does not. Only what a mode asks is imported:
the others run in the comparison's environment, without this project.
"""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = 2
# Walks of one process, of which the least CPU time counts; none more after so many seconds.
ROUNDS = 4
ENOUGH = 6
DOTS = {".", "..", b".", b"..", None}


def sidelight(image: str, metadata: bool) -> Callable[[], int]:
    """Ours, a level at a time, straight from the file."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from sidelight.blocks import ImageFile
    from sidelight.filesystems.open import open_filesystem

    def walk() -> int:
        with ImageFile(image) as source:
            fs = open_filesystem(source)
            level, paths = [fs.root], 0
            while level:
                below: list[int] = []
                listed: list[int] = []
                for _, entries in fs.directories(level):
                    paths += len(entries)
                    below += [number for _, number, kind in entries if kind == DIRECTORY]
                    if metadata:
                        listed += [number for _, number, _ in entries]
                if metadata:
                    assert fs.inodes(listed) or not listed
                level = below
            assert not fs.problems, fs.problems[:3]
            return paths

    return walk


def ext4(image: str, metadata: bool) -> Callable[[], int]:
    """The package `ext4`."""
    import ext4 as package

    def walk() -> int:
        paths = 0
        with Path(image).open("rb") as file:
            volume = package.Volume(file)
            waiting = [volume.root]
            while waiting:
                for entry, kind in waiting.pop().opendir():
                    if entry.name_str in DOTS:
                        continue
                    paths += 1
                    if metadata or kind == package.EXT4_FT.DIR:
                        inode = volume.inodes[entry.inode]
                        if metadata:
                            _ = (inode.i_size, inode.i_mode, inode.i_mtime)
                        if kind == package.EXT4_FT.DIR:
                            waiting.append(inode)
        return paths

    return walk


def dissect_extfs(image: str, metadata: bool) -> Callable[[], int]:
    """The package `dissect.extfs`."""
    from dissect.extfs import ExtFS

    return _dissect(ExtFS, image, metadata)


def dissect_xfs(image: str, metadata: bool) -> Callable[[], int]:
    """The package `dissect.xfs`."""
    from dissect.xfs.xfs import XFS

    return _dissect(XFS, image, metadata)


def _dissect(reader: Any, image: str, metadata: bool) -> Callable[[], int]:
    def walk() -> int:
        with Path(image).open("rb") as file:
            paths, stack = 0, [reader(file).root]
            while stack:
                for name, inode in stack.pop().listdir().items():
                    if name in DOTS:
                        continue
                    paths += 1
                    if metadata:
                        _ = (inode.size, inode.inode, inode.mtime_ns)
                    if inode.filetype == stat.S_IFDIR:
                        stack.append(inode)
            return paths

    return walk


def ext2py(image: str, metadata: bool) -> Callable[[], int]:
    """The package `ext2py`."""
    import ext2py as package

    def walk() -> int:
        volume = package.open_fs(image)
        paths, waiting = 0, ["/"]
        while waiting:
            top = waiting.pop()
            for entry in volume.scandir(top):
                paths += 1
                if metadata:
                    inode = volume.inode(entry.inode)
                    _ = (inode.size, inode.mode, inode.mtime)
                if entry.is_dir:
                    waiting.append(f"{top}{entry.name}/")
        volume.close()
        return paths

    return walk


def libfsext(image: str, metadata: bool) -> Callable[[], int]:
    """Libyal's libfsext, in C."""
    import pyfsext

    return _libyal(pyfsext.volume, image, metadata)


def libfsxfs(image: str, metadata: bool) -> Callable[[], int]:
    """Libyal's libfsxfs, in C."""
    import pyfsxfs

    return _libyal(pyfsxfs.volume, image, metadata)


def _libyal(volume_type: Any, image: str, metadata: bool) -> Callable[[], int]:
    # Its entries read their inode when they are made, whatever is asked of them.
    def walk() -> int:
        volume = volume_type()
        volume.open(image)
        paths, waiting = 0, [volume.get_root_directory()]
        while waiting:
            for entry in waiting.pop().sub_file_entries:
                paths += 1
                mode = entry.file_mode
                if metadata:
                    _ = (entry.name, entry.size, entry.get_modification_time_as_integer())
                if stat.S_ISDIR(mode):
                    waiting.append(entry)
        return paths

    return walk


def pytsk3(image: str, metadata: bool) -> Callable[[], int]:
    """The Sleuth Kit, in C."""
    import pytsk3 as package

    def walk() -> int:
        volume = package.FS_Info(package.Img_Info(image))
        paths, waiting = 0, [volume.open_dir(path="/")]
        orphans = volume.info.last_inum
        while waiting:
            for entry in waiting.pop():
                name = entry.info.name
                if name.name in DOTS or name.flags != package.TSK_FS_NAME_FLAG_ALLOC:
                    continue
                # Its own folder of orphans is on no disk.
                if name.meta_addr == orphans:
                    continue
                paths += 1
                if metadata:
                    meta = entry.info.meta
                    _ = (meta.size, meta.mode, meta.mtime)
                if name.type == package.TSK_FS_NAME_TYPE_DIR:
                    waiting.append(entry.as_directory())
        return paths

    return walk


READERS: dict[str, Callable[[str, bool], Callable[[], int]]] = {
    "sidelight": sidelight,
    "ext4": ext4,
    "dissect.extfs": dissect_extfs,
    "dissect.xfs": dissect_xfs,
    "ext2py": ext2py,
    "libfsext": libfsext,
    "libfsxfs": libfsxfs,
    "pytsk3": pytsk3,
}


def main() -> None:
    """One walk."""
    reader, mode, image = sys.argv[1:]
    walk = READERS[reader](image, mode == "metadata")
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < ENOUGH:
        begin = time.process_time()
        paths = walk()
        times.append(time.process_time() - begin)
    print(json.dumps({"paths": paths, "first": times[0], "cpu": min(times)}))


if __name__ == "__main__":
    main()
