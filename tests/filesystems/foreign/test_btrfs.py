"""btrfs through the optional library, beside the kernel's mount; and machines of subvolumes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.errors import SidelightError, UnsupportedError
from sidelight.filesystems.machine.mount_table import assemble, open_slices
from sidelight.filesystems.open import open_filesystem
from sidelight.model import Status
from sidelight.scan import inspect
from tests.fakes.sources import MemorySource
from tests.images import kernel
from tests.images.ext.recipes import sample_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.filesystems.machine.tree import MachineTree
    from sidelight.model import Problem

pytest.importorskip("dissect.btrfs", reason="needs sidelight[reference]")


def kernel_has_btrfs() -> bool:
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "btrfs"], check=False, capture_output=True)
    return "\tbtrfs" in Path("/proc/filesystems").read_text(encoding="ascii")


pytestmark = [
    pytest.mark.images,
    pytest.mark.mounts,
    pytest.mark.skipif(bool(kernel.unmountable()), reason=kernel.unmountable() or "mountable"),
    pytest.mark.skipif(not shutil.which("mkfs.btrfs"), reason="needs mkfs.btrfs"),
    pytest.mark.skipif(not kernel_has_btrfs(), reason="needs a kernel with btrfs"),
]

MIB = 1 << 20


def btrfs(*words: str) -> str:
    done = subprocess.run(["btrfs", *words], check=True, capture_output=True, text=True)
    return done.stdout


def btrfs_image(
    path: Path, work: Callable[[Path], None], mount: str = "rw", words: tuple[str, ...] = ()
) -> Path:
    with path.open("wb") as file:
        file.truncate(128 * MIB)
    subprocess.run(["mkfs.btrfs", "-q", *words, str(path)], check=True, capture_output=True)
    with kernel.mounted(path, "btrfs", mount) as top:
        work(top)
    return path


def subvolumes(top: Path) -> None:
    sample_tree(top / "files")
    btrfs("subvolume", "create", str(top / "@home"))
    (top / "@home/file").write_bytes(b"compressible " * 60_000 + os.urandom(5000))
    btrfs("subvolume", "create", str(top / "@home/nested"))
    (top / "@home/nested/inner").write_text("inner")
    btrfs("subvolume", "snapshot", "-r", str(top / "@home"), str(top / "snapshot"))
    (top / "@home/file").write_text("changed after the snapshot")


def without_made_up_times(view: dict[bytes, kernel.PathFacts]) -> dict[bytes, kernel.PathFacts]:
    """The kernel makes the place of a subvolume that is not in a snapshot up when it is asked."""
    del view[b"/snapshot/nested"]
    return view


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("rw", ()),
        ("rw,compress-force=zlib", ("--csum", "sha256")),
        ("rw,compress-force=lzo", ("--csum", "blake2", "--mixed")),
        ("rw,compress-force=zstd", ("-O", "^no-holes", "-n", "4096")),
    ],
    ids=["plain", "zlib", "lzo", "zstd"],
)
def test_the_tree_is_the_kernels(tmp_path: Path, mount: str, words: tuple[str, ...]) -> None:
    image = btrfs_image(tmp_path / "image", subvolumes, mount, words)
    with ImageFile(str(image)) as source:
        fs = open_filesystem(source)
        view = without_made_up_times(kernel.sidelight_view(fs))
    kernels = without_made_up_times(kernel.kernel_view(image, "btrfs"))
    assert kernel.differences(view, kernels) == []
    assert (fs.kind, fs.journal, fs.problems) == ("btrfs", "clean", [])


def test_the_default_subvolume_is_the_root(tmp_path: Path) -> None:
    def work(top: Path) -> None:
        subvolumes(top)
        listing = btrfs("subvolume", "list", str(top)).splitlines()
        number = next(line.split()[1] for line in listing if line.endswith(" @home"))
        btrfs("subvolume", "set-default", number, str(top))

    image = btrfs_image(tmp_path / "image", work)
    with ImageFile(str(image)) as source:
        view = kernel.sidelight_view(open_filesystem(source))
    assert kernel.differences(view, kernel.kernel_view(image, "btrfs")) == []
    assert b"/nested/inner" in view


FSTAB = """
LABEL=system / btrfs subvol=@,compress=zstd:1 0 0
LABEL=system /home btrfs subvol=/@home 0 0
LABEL=system /srv btrfs subvolid={srv} 0 0
LABEL=system /gone btrfs subvol=@gone 0 0
"""


def a_machine(top: Path) -> None:
    for name in ("@", "@home", "@srv", "@other"):
        btrfs("subvolume", "create", str(top / name))
        (top / name / f"in-{name[1:] or 'root'}").touch()
    listing = btrfs("subvolume", "list", str(top)).splitlines()
    srv = next(line.split()[1] for line in listing if line.endswith(" @srv"))
    for name in ("etc", "home", "srv", "gone"):
        (top / "@" / name).mkdir()
    (top / "@/etc/os-release").write_text("ID=test\n")
    (top / "@/etc/fstab").write_text(FSTAB.format(srv=srv))
    btrfs("subvolume", "snapshot", str(top / "@"), str(top / "@before"))
    btrfs("subvolume", "snapshot", "-r", str(top / "@"), str(top / "@snapshot"))
    (top / "@/later").touch()


def machine(image: Path) -> MachineTree:
    problems: list[Problem] = []
    slices = volumes([ImageFile(str(image))], problems)
    tree = assemble(slices, open_slices(slices, problems))
    assert problems == []
    return tree


def names(tree: MachineTree, path: str) -> set[str]:
    return {name.decode() for name, _, _ in tree.listdir(path)}


def test_subvolumes_are_mounted_where_fstab_says(tmp_path: Path) -> None:
    image = btrfs_image(tmp_path / "disk", a_machine, words=("-L", "system"))
    tree = machine(image)
    shown = {f"[{image}:{name}]".replace("/", ":") for name in ("@before", "@other")}
    own = {"etc", "home", "srv", "gone", "in-root", "later"}
    assert names(tree, "/") == own | shown
    assert names(tree, "/home") == {"in-home"}
    assert names(tree, "/srv") == {"in-srv"}
    (problem,) = tree.problems
    assert problem.what == "there is no subvolume @gone"


SNAPPER = """
LABEL=system / btrfs defaults 0 0
LABEL=system /.snapshots btrfs subvol=@/.snapshots 0 0
"""


def a_snapper_machine(top: Path) -> None:
    """As SLES is installed, and updated once: the root is a snapshot that may be written to."""
    btrfs("subvolume", "create", str(top / "@"))
    btrfs("subvolume", "create", str(top / "@/.snapshots"))
    (top / "@/.snapshots/1").mkdir()
    root = top / "@/.snapshots/1/snapshot"
    btrfs("subvolume", "create", str(root))
    for name in ("etc", ".snapshots", "opt"):
        (root / name).mkdir()
    (root / "etc/os-release").write_text("ID=sles\n")
    (root / "etc/fstab").write_text(SNAPPER)
    (root / "old").touch()
    for number, words in ((2, ("-r",)), (3, ())):
        (top / f"@/.snapshots/{number}").mkdir()
        copy = str(top / f"@/.snapshots/{number}/snapshot")
        btrfs("subvolume", "snapshot", *words, str(root), copy)
    (root / "old").unlink()
    (root / "new").touch()
    # Read-only, but no copy of anything: live.
    btrfs("subvolume", "create", str(root / "opt/app"))
    (root / "opt/app/live").touch()
    btrfs("property", "set", str(root / "opt/app"), "ro", "true")
    listing = btrfs("subvolume", "list", str(top)).splitlines()
    root_id = next(line.split()[1] for line in listing if line.endswith("1/snapshot"))
    btrfs("subvolume", "set-default", root_id, str(top))


def test_snapshots_are_named_and_not_walked(tmp_path: Path) -> None:
    image = btrfs_image(tmp_path / "disk", a_snapper_machine, words=("-L", "system"))
    tree = machine(image)
    files = [
        path + b"/" + name
        for level in tree.walk()
        for path, _, _, entries in level
        for name, _, _ in entries
    ]
    assert sorted(path for path in files if path.endswith((b"/new", b"/old"))) == [b"/new"]
    assert b"opt/app/live" in files
    assert tree.problems == []
    assert [name.rpartition(" ")[2] for name in tree.left_out] == [
        "@/.snapshots/2/snapshot",
        "@/.snapshots/3/snapshot",
    ]
    # A path still leads to one.
    assert "old" in names(tree, "/.snapshots/2/snapshot")


def test_without_its_library_btrfs_is_named_and_the_machine_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = btrfs_image(tmp_path / "disk", a_machine)
    for name in [name for name in sys.modules if name.startswith("dissect.btrfs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dissect.btrfs.btrfs", None)
    with ImageFile(str(image)) as source:
        with pytest.raises(UnsupportedError, match=r"btrfs, unless sidelight\[reference\]"):
            open_filesystem(source)
        inventory = inspect([source])
    assert inventory.status is Status.FAILED
    assert inventory.problems[0].what.startswith("unsupported: btrfs")


def test_several_devices_are_unsupported(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(128 * MIB)
    command = ["mkfs.btrfs", "-q", "-d", "raid1", "-m", "raid1", *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True)
    with (
        ImageFile(str(paths[0])) as source,
        pytest.raises(UnsupportedError, match="on 2 devices"),
    ):
        open_filesystem(source)


def test_what_was_synchronised_after_the_last_commit_is_a_problem(tmp_path: Path) -> None:
    copy = tmp_path / "copy"

    def work(top: Path) -> None:
        subprocess.run(["btrfs", "filesystem", "sync", str(top)], check=True)
        with (top / "late").open("wb") as file:
            file.write(b"late" * 1000)
            os.fsync(file.fileno())
        subprocess.run(["cp", str(tmp_path / "image"), str(copy)], check=True)

    btrfs_image(tmp_path / "image", work, "rw,commit=300")
    with ImageFile(str(copy)) as source:
        fs = open_filesystem(source)
    assert fs.journal == "unreplayed"
    assert ["not replayed" in problem.what for problem in fs.problems] == [True]


def test_a_damaged_node_is_met_by_its_checksum(tmp_path: Path) -> None:
    image = btrfs_image(tmp_path / "image", lambda top: sample_tree(top / "files"))
    # Both copies, and whatever else holds the name.
    data = image.read_bytes().replace(b"latin-\xe9\xff", b"matin-\xe9\xff")
    found: list[str]
    try:
        fs = open_filesystem(MemorySource(data))
        kernel.sidelight_view(fs)
        found = [problem.what for problem in fs.problems]
    except SidelightError as error:
        found = [error.what]
    assert any("wrong checksum" in what for what in found)
