"""Parts of many files, read together: each is the slice of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.errors import SidelightError
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images.ext import recipes
from tests.images.ext.recipes import Case
from tests.images.xfs import fixtures

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.filesystems.protocol import Filesystem, Piece

SPANS = (
    (0, 10),
    (0, 64 << 10),
    (59, 2),
    (4095, 2),
    (5000, 9000),
    (69_999, 5),
    (1 << 40, 1),
    (7, 0),
)


def _check(fs: Filesystem) -> None:
    entries = dict(fs.directories([fs.root]))[fs.root]
    files = [number for _, number, kind in entries if kind == InodeKind.REGULAR]
    contents = {n: c for n, c in fs.contents(files, 128 << 20) if isinstance(c, bytes)}
    assert len(contents) >= 5
    wanted: list[Piece] = [(n, offset, length) for n in contents for offset, length in SPANS]
    found = dict(fs.pieces(wanted))
    assert len(found) == len(wanted)
    for (number, offset, length), data in found.items():
        assert data == contents[number][offset:][:length]


@pytest.mark.images
@pytest.mark.skipif(bool(recipes.missing()), reason=recipes.missing() or "-")
@pytest.mark.parametrize(
    "options",
    [("-t", "ext2"), ("-t", "ext4", "-b", "1024"), ("-t", "ext4", "-O", "inline_data")],
    ids=str,
)
def test_of_ext(options: tuple[str, ...], tmp_path: Path) -> None:
    recipes.sample_tree(tmp_path / "tree")
    image = recipes.make(tmp_path / "image", Case("ext", options), tmp_path / "tree")
    with ImageFile(str(image)) as source:
        _check(ExtFilesystem(source))


def test_of_xfs() -> None:
    pytest.importorskip("zstandard")
    _check(XfsFilesystem(fixtures.load("clean")))


def test_what_is_no_file_yields_an_error() -> None:
    pytest.importorskip("zstandard")
    fs = XfsFilesystem(fixtures.load("clean"))
    for _, data in fs.pieces([(fs.root, 0, 10), (1 << 60, 0, 10)]):
        assert isinstance(data, SidelightError)
