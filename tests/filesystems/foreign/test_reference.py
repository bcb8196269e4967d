"""The second opinion agrees with our readers where it can, and refuses where it is known wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.errors import NotRecognisedError, UnsupportedError, UsageError
from sidelight.filesystems.foreign import reference
from sidelight.filesystems.foreign.reference import why_not_ext4
from sidelight.filesystems.open import open_filesystem
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.pyfilesystem.face import MachineFS
from sidelight.filesystems.walk import walk
from tests.fakes.sources import MemorySource

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.protocol import Filesystem

images = pytest.mark.images


def disk_image(tmp_path: Path, *command: str, size: int = 32 << 20) -> Path:
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([*command, str(image)], check=True, capture_output=True)
    return image


def seen(fs: Filesystem) -> object:
    listing = [
        (path, number, sorted((name, child, int(kind)) for name, child, kind in entries))
        for level in walk(fs)
        for path, number, entries in level
    ]
    numbers = sorted({child for _, _, entries in listing for _, child, _ in entries})
    inodes = {n: i._replace(crtime_ns=None) for n, i in fs.inodes(numbers).items()}
    files = [n for n, inode in inodes.items() if inode.kind == InodeKind.REGULAR]
    links = {n: fs.readlink(n) for n, inode in inodes.items() if inode.kind == InodeKind.SYMLINK}
    identity = (fs.kind, fs.uuid, fs.label, fs.root, fs.block_size)
    return identity, sorted(listing), inodes, links, dict(fs.contents(files, 1 << 30))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "file").write_bytes(bytes(range(256)) * 300)
    (root / "etc" / "long").symlink_to("x/" * 100)
    (root / "etc" / "short").symlink_to("file")
    for number in range(300):
        (root / "many" / f"directory-{number}").mkdir(parents=True)
    return root


@pytest.fixture
def ext4_library() -> None:
    if why := why_not_ext4():
        pytest.skip(why)


@images
@pytest.mark.usefixtures("ext4_library")
def test_ext4_agrees(tmp_path: Path, tree: Path) -> None:
    image = disk_image(tmp_path, "mkfs.ext4", "-q", "-L", "lab", "-d", str(tree))
    with ImageFile(str(image)) as source:
        other = open_filesystem(source, "reference")
        assert seen(other) == seen(open_filesystem(source))
        assert other.problems == []


@images
def test_xfs_agrees(tmp_path: Path) -> None:
    proto = tmp_path / "proto"
    proto.write_text(
        f"/\n0 0\nd--755 0 0\nfile ---644 3 4 {__file__}\nlink l--777 0 0 dir/x\ndir d--700 1 1\n"
        + "".join(f"entry-with-a-name-{n} d--755 0 0\n$\n" for n in range(40))
        + "$\n$\n"
    )
    image = disk_image(
        tmp_path, "mkfs.xfs", "-q", "-L", "lab", "-n", "size=4096", "-p", str(proto), size=320 << 20
    )
    with ImageFile(str(image)) as source:
        other = open_filesystem(source, "reference")
        assert seen(other) == seen(open_filesystem(source))
        assert other.problems == []


@images
@pytest.mark.usefixtures("ext4_library")
def test_the_face_is_the_same_over_both_readers(tmp_path: Path, tree: Path) -> None:
    image = disk_image(tmp_path, "mkfs.ext4", "-q", "-d", str(tree))
    namespaces = ["basic", "details", "access", "link", "stat"]
    found = []
    with ImageFile(str(image)) as source:
        for reader in ("own", "reference"):
            face = MachineFS(open_filesystem(source, reader))
            infos = {}
            for path, info in face.walk.info(namespaces=namespaces):
                details = dict(info.raw["details"], created=None)  # the library does not report it
                infos[path] = {**info.raw, "details": details}
            found.append((infos, face.readbytes("/etc/short"), face.listdir("/many")))
    assert found[0] == found[1]
    assert len(found[0][0]) > 300


@images
@pytest.mark.parametrize(
    "command",
    [
        ("mkfs.ext2", "-q"),
        ("mkfs.ext3", "-q"),
        ("mkfs.ext4", "-q", "-I", "256", "-O", "inline_data"),
        ("mkfs.ext4", "-q", "-O", "meta_bg,^resize_inode"),
        ("mkfs.ext4", "-q", "-O", "bigalloc"),
        ("mkfs.xfs", "-q", "-n", "size=16384"),
        ("mkfs.xfs", "-q", "-b", "size=1024"),
    ],
    ids=" ".join,
)
def test_what_it_would_get_wrong_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    image = disk_image(tmp_path, *command, size=320 << 20)
    with ImageFile(str(image)) as source, pytest.raises(UnsupportedError):
        open_filesystem(source, "reference")


def test_an_unknown_reader_and_an_absent_library_are_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no reader is called"):
        open_filesystem(MemorySource(bytes(9999)), "other")
    image = disk_image(tmp_path, "mkfs.ext4", "-q")
    monkeypatch.setattr(reference, "why_not_ext4", why_not_ext4.__wrapped__)
    monkeypatch.setitem(sys.modules, "ext4", None)
    with (
        ImageFile(str(image)) as source,
        pytest.raises(UsageError, match="the reference reader needs ext4"),
    ):
        open_filesystem(source, "reference")


@pytest.mark.parametrize(
    ("trial", "error", "text"),
    [
        ("import os; os.kill(os.getpid(), 11)", UnsupportedError, "crashes this Python .*l 11"),
        ("raise ImportError", UsageError, "needs ext4"),
        ("", UsageError, "needs ext4"),
    ],
    ids=["it crashes", "it is broken otherwise", "it works"],
)
def test_a_compiled_library_that_crashes_this_python_is_never_loaded(
    monkeypatch: pytest.MonkeyPatch, trial: str, error: type[Exception], text: str
) -> None:
    compiled = ModuleSpec("ext4", ExtensionFileLoader("ext4", "ext4.so"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: compiled)
    monkeypatch.setattr(reference, "EXT_TRIAL", trial)
    monkeypatch.setattr(reference, "why_not_ext4", why_not_ext4.__wrapped__)
    monkeypatch.setitem(sys.modules, "ext4", None)
    # Loading it here is a UsageError, as of an absent one.
    with pytest.raises(error, match=text):
        reference.ExtReference(MemorySource(bytes(9999)), "ext4")


@pytest.mark.parametrize("reader", ["own", "reference"])
def test_nothing_known_is_not_recognised(reader: str) -> None:
    with pytest.raises(NotRecognisedError):
        open_filesystem(MemorySource(bytes(9999)), reader)


def test_known_formats_without_a_reader_are_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="crypto_LUKS"):
        open_filesystem(MemorySource(b"LUKS\xba\xbe".ljust(9999, b"\0")))
