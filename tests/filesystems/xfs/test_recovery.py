"""Log recovery: images with a dirty log, as the kernel sees them after its own replay."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from hashlib import md5
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images import kernel
from tests.images.xfs import images
from tests.torture import run_xfs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.conformance
def test_the_shared_dirty_image_reads_as_after_the_kernels_replay(
    shared_data: Path, tmp_path: Path
) -> None:
    packed = shared_data / "dirty-journals/dirty-xfs.img.zst"
    image = tmp_path / "dirty.img"
    subprocess.run(["zstd", "-dqf", "--sparse", packed, "-o", image], check=True)
    expected = json.loads((shared_data / "dirty-journals/dirty-xfs-replay.json").read_text())
    with ImageFile(str(image)) as source:
        filesystem = XfsFilesystem(source)
        view = kernel.sidelight_view(filesystem)
        assert (filesystem.journal, filesystem.problems) == ("replayed", [])
        assert set(expected) == {path.decode() for path in view} - {"/"}
        digests = {}
        level = [(b"", filesystem.root)]
        while level:
            parent, number = level.pop()
            for name, child, kind in dict(filesystem.directories([number]))[number]:
                path = parent + b"/" + name
                if kind == 2:
                    level.append((path, child))
                elif kind == 1:
                    content = filesystem.read(child, 0, 1 << 30)
                    digests[path.decode()] = [
                        "f",
                        len(content),
                        md5(content, usedforsecurity=False).hexdigest(),
                    ]
        assert digests == {path: facts for path, facts in expected.items() if facts[0] == "f"}


@pytest.mark.slow
@pytest.mark.mounts
@pytest.mark.parametrize("shape", run_xfs.SHAPES[:6], ids=lambda shape: shape.name)
def test_copies_taken_under_load_read_as_after_the_kernels_replay(
    shape: run_xfs.Shape, tmp_path: Path
) -> None:
    if images.missing_mounts():
        pytest.skip(images.missing_mounts())
    replayed = 0
    # A copy can happen upon a clean log where the load was starved: the next one is taken then.
    with (
        kernel.reflinks(tmp_path, run_xfs.HOST_SIZE) as place,
        closing(run_xfs.copies(shape, 8, 7, place)) as copies,
    ):
        for copy in copies:
            outcome = run_xfs.compare(copy)
            assert outcome.differences == []
            replayed += outcome.journal == "replayed"
            copy.unlink()
            if replayed == 2:
                break
    assert replayed == 2


@pytest.mark.mounts
@pytest.mark.parametrize("flags", ["-f", ""], ids=["log flushed", "log as it was"])
@pytest.mark.parametrize(
    "options",
    [(), ("-b", "size=1024", "-n", "size=16384"), ("-i", "size=1024"), ("-l", "su=32k")],
    ids=["default", "directory blocks unlike", "large inodes", "striped log"],
)
def test_a_filesystem_shut_down_hard_reads_as_after_the_kernels_replay(
    tmp_path: Path, flags: str, options: tuple[str, ...]
) -> None:
    if images.missing_mounts():
        pytest.skip(images.missing_mounts())
    image = images.make_dirty(tmp_path / "xfs.img", flags, *options)
    with ImageFile(str(image)) as source:
        filesystem = XfsFilesystem(source)
        view = kernel.sidelight_view(filesystem)
    assert kernel.differences(view, kernel.kernel_view(image, "xfs", replay=True)) == []
    assert filesystem.problems == []
    if flags:
        assert filesystem.journal == "replayed"
        # The proof proves something: without the log the kernel sees another tree.
        assert kernel.kernel_view(image, "xfs").keys() != view.keys()
