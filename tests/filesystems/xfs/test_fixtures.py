"""The committed images, where nothing can be mounted: what is read is what the kernel saw."""

from __future__ import annotations

import pytest

from sidelight.errors import NotRecognisedError, UnsupportedError
from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.images import kernel
from tests.images.xfs import fixtures

pytest.importorskip("zstandard")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "journal"),
    [
        ("clean", "clean"),
        ("dirty", "replayed"),
        ("version4", "clean"),
        ("tiny", "clean"),
        ("tiny-dirty", "replayed"),
        ("parent", "clean"),
        ("metadir", "clean"),
        ("metadir-dirty", "replayed"),
        ("realtime", "clean"),
    ],
)
def test_an_image_reads_as_the_kernel_saw_it(name: str, journal: str) -> None:
    filesystem = XfsFilesystem(fixtures.load(name))
    found = fixtures.facts(kernel.sidelight_view(filesystem))
    expected = fixtures.expected(name)
    if name in {"version4", "realtime"}:
        # Directories' sizes differ from the twin's: headers and types, other inode numbers.
        for facts in (*found.values(), *expected.values()):
            facts[1] = 0 if int(str(facts[0])) & 0xF000 == 0x4000 else facts[1]
    assert found == expected
    assert filesystem.problems == []
    assert filesystem.journal == journal


def test_reading_a_piece_is_a_slice_of_the_whole() -> None:
    filesystem = XfsFilesystem(fixtures.load("clean"))
    entries = dict(filesystem.directories([filesystem.root]))[filesystem.root]
    files = [number for _, number, kind in entries if kind == InodeKind.REGULAR]
    for number, content in filesystem.contents(files, 1 << 20):
        if not isinstance(content, bytes):
            continue
        for offset, length in ((0, 10), (5000, 9000), (len(content) - 3, 100), (1 << 40, 1)):
            assert filesystem.read(number, offset, length) == content[offset:][:length]


def test_each_directory_asked_for_comes_exactly_once_even_if_it_is_none() -> None:
    filesystem = XfsFilesystem(fixtures.load("clean"))
    entries = dict(filesystem.directories([filesystem.root]))[filesystem.root]
    numbers = [number for _, number, _ in entries]
    requests = [*numbers, filesystem.root, 1 << 60, 0, numbers[0]]
    found = [number for number, _ in filesystem.directories(requests)]
    assert sorted(found) == sorted(set(requests))
    assert any("not a directory" in problem.what for problem in filesystem.problems)


def test_something_else_is_not_recognised() -> None:
    with pytest.raises(NotRecognisedError):
        XfsFilesystem(fixtures.SparseImage("zeros", 1 << 20, {}))
    with pytest.raises(NotRecognisedError):
        XfsFilesystem(fixtures.SparseImage("short", 100, {}))


def test_unknown_incompatible_features_are_named() -> None:
    changed = fixtures.load("clean").changed(216, (0x8000_0003).to_bytes(4, "big"))
    with pytest.raises(UnsupportedError, match="0x80000000"):
        XfsFilesystem(changed)
