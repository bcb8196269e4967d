"""PyFilesystem2's own published suite, with every read answered by our face.

The suite writes, and the face is read-only: what it writes goes to a MemoryFS, and each read sees
a tree made of that at this moment. So all of the suite applies, and tests our reading alone.
"""

from __future__ import annotations

import unittest
from typing import TYPE_CHECKING, Any, BinaryIO

from fs.memoryfs import MemoryFS
from fs.mode import Mode
from fs.path import join
from fs.test import FSTestCases

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.filesystems.pyfilesystem.face import MachineFS
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fs.base import FS

    from sidelight.filesystems.protocol import Inode


class Frozen(MemoryFilesystem):
    """What a MemoryFS holds, with its times."""

    def __init__(self, written: FS) -> None:
        self._paths: dict[int, str] = {}
        self._written = written
        super().__init__(self._tree("/"))
        self._number("/", self.root)

    def _tree(self, path: str) -> dict[str, object]:
        found: dict[str, object] = {}
        for info in self._written.scandir(path, ["details"]):
            where = join(path, info.name)
            if info.is_dir:
                found[info.name] = self._tree(where)
                continue
            found[info.name] = self._written.readbytes(where)
            # Reading it set its time.
            details: Any = info.raw["details"]
            self._written.setinfo(where, {"details": {"accessed": details["accessed"]}})
        return found

    def _number(self, path: str, number: int) -> None:
        self._paths[number] = path
        for name, child, _ in self.listings.get(number, ()):
            self._number(join(path, name.decode()), child)

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        found = super().inodes(numbers)
        for number, inode in found.items():
            info = self._written.getinfo(self._paths[number], ["details"])
            details: Any = info.raw["details"]
            found[number] = inode._replace(
                mtime_ns=round(details["modified"] * 1e9),
                atime_ns=round(details["accessed"] * 1e9),
            )
        return found


class WrittenFS(MachineFS):
    """Reads as MachineFS, writes elsewhere."""

    def __init__(self) -> None:
        self.written = MemoryFS()
        super().__init__(MachineTree(Frozen(self.written)))
        self._meta = {**self._meta, "read_only": False}

    @property
    def machine(self) -> MachineTree:
        return MachineTree(Frozen(self.written))

    @machine.setter
    def machine(self, value: MachineTree) -> None:
        del value

    def openbin(self, path: str, mode: str = "r", buffering: int = -1, **options: Any) -> BinaryIO:
        if Mode(mode).writing:
            self.check()
            return self.written.openbin(path, mode, buffering, **options)
        return super().openbin(path, mode, buffering, **options)

    def makedir(self, path: str, permissions: Any = None, recreate: bool = False) -> Any:
        self.check()
        self.written.makedir(path, permissions, recreate)
        return self.opendir(path)

    def remove(self, path: str) -> Any:
        self.check()
        return self.written.remove(path)

    def removedir(self, path: str) -> Any:
        self.check()
        return self.written.removedir(path)

    def setinfo(self, path: str, info: Any) -> Any:
        self.check()
        return self.written.setinfo(path, info)


class TestFace(FSTestCases, unittest.TestCase):
    """All of it."""

    # fs 2.4.16 evaluates this name, which Python 3.12 removed, as a default that it doesn't use.
    assertRaisesRegexp = unittest.TestCase.assertRaisesRegex  # noqa: N815 - unittest's old name

    def make_fs(self) -> FS:
        return WrittenFS()
