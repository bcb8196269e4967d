"""Logs written by hand over a clean image: what recovery does with each."""

from __future__ import annotations

import struct

import pytest

from sidelight.filesystems.protocol import InodeKind
from sidelight.filesystems.xfs.reader import XfsFilesystem
from tests.fixtures.xfs_images import directory_block, file_of, paths, place
from tests.images.xfs import fixtures, log_writer
from tests.images.xfs.log_writer import LogWriter

pytest.importorskip("zstandard")

DATA = 0x002
CORE = 0x001
SIZE = 56


@pytest.fixture
def image() -> fixtures.SparseImage:
    return fixtures.load("tiny")


def changed_size(image: fixtures.SparseImage, number: int, size: int) -> list[bytes]:
    """An inode item that gives a file another size."""
    at = place(image, number)
    core = bytearray(image.read_at(at, 176 if image.read_at(at + 4, 1) == b"\3" else 100))
    core[SIZE : SIZE + 8] = struct.pack(">Q", size)
    return log_writer.inode_item(number, at, bytes(core), b"", CORE)


def size_of(image: fixtures.SparseImage, number: int) -> int:
    return XfsFilesystem(image).inodes([number])[number].size


@pytest.mark.parametrize("start", [100, 3, 8000])
def test_a_committed_inode_is_replayed_wherever_the_log_begins(
    image: fixtures.SparseImage, start: int
) -> None:
    number = file_of(image)
    log = LogWriter(image, start)
    log.transaction([changed_size(image, number, 11)])
    log.transaction([changed_size(image, number, 12)])
    filesystem = XfsFilesystem(log.finish())
    assert (filesystem.journal, filesystem.problems) == ("replayed", [])
    assert filesystem.inodes([number])[number].size == 12
    assert len(filesystem.read(number, 0, 100)) == 12


def test_a_log_that_wraps_is_replayed_in_its_order(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    probe = LogWriter(image, 100)
    for before in range(2, 9):
        log = LogWriter(image, probe.blocks - before)
        for size in range(20, 25):
            log.transaction([changed_size(image, number, size)])
        filesystem = XfsFilesystem(log.finish())
        assert (filesystem.journal, filesystem.problems) == ("replayed", [])
        assert filesystem.inodes([number])[number].size == 24


def test_an_unmount_record_means_clean(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    log = LogWriter(image, 100)
    log.transaction([changed_size(image, number, 11)])
    log.record([(9, log_writer.UNMOUNT, struct.pack("<HHI", 0x556E, 0, 0))])
    filesystem = XfsFilesystem(log.finish())
    assert filesystem.journal == "clean"
    assert filesystem.inodes([number])[number].size != 11


def test_a_torn_last_record_ends_recovery_before_it(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    log = LogWriter(image, 100)
    log.transaction([changed_size(image, number, 11)])
    log.transaction([changed_size(image, number, 12)], torn=True)
    log.transaction([changed_size(image, number, 13)])
    filesystem = XfsFilesystem(log.finish())
    assert (filesystem.journal, filesystem.problems) == ("replayed", [])
    assert filesystem.inodes([number])[number].size == 11


def test_a_damaged_record_far_from_the_head_is_no_torn_write(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    log = LogWriter(image, 100)
    log.transaction([changed_size(image, number, 11)], torn=True)
    for size in range(20, 40):
        log.transaction([changed_size(image, number, size)])
    filesystem = XfsFilesystem(log.finish())
    assert filesystem.journal == "unreplayed"
    assert "checksum of a record" in filesystem.problems[0].what


def test_an_uncommitted_transaction_is_not_applied(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    log = LogWriter(image, 100)
    log.transaction([changed_size(image, number, 11)])
    log.record(
        [
            (5, log_writer.START, b""),
            (5, 0, struct.pack("<4sIII", b"NART", 1, 1, 1)),
            *[(5, 0, region) for region in changed_size(image, number, 12)],
        ]
    )
    assert size_of(log.finish(), number) == 11


def test_regions_cut_over_two_records_are_joined(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    head, core = changed_size(image, number, 11)
    log = LogWriter(image, 100)
    log.record(
        [
            (5, log_writer.START, b""),
            (5, 0, struct.pack("<4sIII", b"NART", 1, 1, 1)),
            (5, 0, head),
            (5, 0x04, core[:40]),
        ]
    )
    log.record([(5, 0x08 | 0x10, core[40:]), (5, log_writer.COMMIT, b"")])
    assert size_of(log.finish(), number) == 11


def test_an_inode_newer_on_the_disk_than_in_the_log_stays(image: fixtures.SparseImage) -> None:
    number = file_of(image)
    before = size_of(image, number)
    newer = image.changed(place(image, number) + 112, struct.pack(">Q", 9 << 32))
    log = LogWriter(newer, 100)
    log.transaction([changed_size(image, number, 11)])
    filesystem = XfsFilesystem(log.finish())
    # The test broke the inode's checksum, which only counts where the log did not touch it.
    assert filesystem.inodes([number]) == {}
    assert [problem.what for problem in filesystem.problems] == ["bad checksum of the inode"]
    assert size_of(image, number) == before


def names(image: fixtures.SparseImage) -> set[bytes]:
    filesystem = XfsFilesystem(image)
    assert filesystem.problems == []
    number = paths(filesystem)["block"][0]
    return {name for name, _, _ in dict(filesystem.directories([number]))[number]}


def test_a_logged_directory_block_is_read_from_the_log(image: fixtures.SparseImage) -> None:
    address, data = directory_block(image)
    log = LogWriter(image, 100)
    log.transaction([log_writer.buffer_item(address, data.replace(b"n0", b"N0"), 10)])
    assert {name for name in names(log.finish()) if b"N" in name}
    assert not {name for name in names(image) if b"N" in name}


def test_a_cancelled_buffer_is_not_replayed(image: fixtures.SparseImage) -> None:
    address, data = directory_block(image)
    log = LogWriter(image, 100)
    log.transaction([log_writer.buffer_item(address, data.replace(b"n0", b"N0"), 10)])
    log.transaction([log_writer.cancel_item(address, 8)])
    assert names(log.finish()) == names(image)


def test_a_buffer_made_again_after_its_cancellation_is_replayed(
    image: fixtures.SparseImage,
) -> None:
    address, data = directory_block(image)
    log = LogWriter(image, 100)
    log.transaction([log_writer.cancel_item(address, 8)])
    log.transaction([log_writer.buffer_item(address, data.replace(b"n0", b"N0"), 10)])
    assert names(log.finish()) != names(image)


def test_a_buffer_newer_on_the_disk_than_in_the_log_stays(image: fixtures.SparseImage) -> None:
    address, data = directory_block(image)
    log = LogWriter(image, 100)
    log.transaction([log_writer.buffer_item(address, data.replace(b"n0", b"N0"), 10)])
    newer = log.finish().changed(address * 512 + 16, struct.pack(">Q", 9 << 32))
    filesystem = XfsFilesystem(newer)
    number = paths(filesystem)["block"][0]
    found = {name for name, _, _ in dict(filesystem.directories([number]))[number]}
    assert found == names(image)


def extent_of(image: fixtures.SparseImage, number: int) -> tuple[int, int]:
    """Block and count of a file's only extent."""
    low = struct.unpack(">QQ", image.read_at(place(image, number) + 176, 16))[1]
    return low >> 21, low & ((1 << 21) - 1)


@pytest.mark.parametrize("done", [False, True])
def test_a_promised_change_of_a_map_counts_unless_it_was_done(
    image: fixtures.SparseImage, done: bool
) -> None:
    filesystem = XfsFilesystem(image)
    found = paths(filesystem)
    number, other = found["hard"][0], found["allocated-ahead"][0]
    block, _ = extent_of(image, other)
    before = filesystem.read(number, 0, 100)
    log = LogWriter(image, 100)
    log.transaction(
        [
            [log_writer.intent_item(0x1244, 77, [(number, 0, 0, 1, 2)])],
            [log_writer.intent_item(0x1244, 78, [(number, block, 0, 1, 1)])],
        ]
    )
    if done:
        log.transaction([[struct.pack("<HHIQ", 0x1245, 1, 0, ident)] for ident in (77, 78)])
    filesystem = XfsFilesystem(log.finish())
    assert (filesystem.journal, filesystem.problems) == ("replayed", [])
    assert filesystem.read(number, 0, 100) == (before if done else b"q" * 100)
    assert dict(filesystem.contents([number], 1 << 20))[number][:100] == (  # type: ignore[index] # bytes
        before if done else b"q" * 100
    )


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (struct.pack("<HHI", 0x12FF, 1, 0), "unknown item 0x12ff"),
        (struct.pack("<HHIQQQ", 0x1248, 1, 0, 5, 131, 132), "exchange between inodes 131 and 132"),
        (struct.pack("<HHI", 0x123B, 1, 0), "impossible length"),
        # An exchange without its inodes, a buffer longer than any.
        (struct.pack("<HHIQ", 0x1248, 1, 0, 5), "unfinished change of a map"),
        (struct.pack("<HHHHqI", 0x123C, 1, 0, 129, 800, 1) + bytes(4), "impossible buffer"),
    ],
)
def test_what_cannot_be_replayed_is_reported(
    image: fixtures.SparseImage, item: bytes, what: str
) -> None:
    number = file_of(image)
    log = LogWriter(image, 100)
    log.transaction([[item], changed_size(image, number, 11)])
    filesystem = XfsFilesystem(log.finish())
    assert filesystem.journal == "unreplayed"
    assert what in filesystem.problems[0].what
    assert filesystem.inodes([number])[number].size == 11


@pytest.mark.parametrize("kind", [0x1236, 0x1240, 0x1242, 0x1246, 0x123D])
def test_intents_about_space_and_attributes_change_nothing_that_is_read(
    image: fixtures.SparseImage, kind: int
) -> None:
    log = LogWriter(image, 100)
    log.transaction([[struct.pack("<HHIQ", kind, 1, 0, 7) + bytes(16)]])
    filesystem = XfsFilesystem(log.finish())
    assert (filesystem.journal, filesystem.problems) == ("replayed", [])


def test_version_4_inodes_are_replayed_too() -> None:
    image = fixtures.load("version4")
    number, kind = paths(XfsFilesystem(image))["file"]
    assert kind == InodeKind.REGULAR
    log = LogWriter(image, 100)
    log.transaction([changed_size(image, number, 21)])
    filesystem = XfsFilesystem(log.finish())
    assert (filesystem.journal, filesystem.problems) == ("replayed", [])
    assert filesystem.read(number, 0, 100) == b"a file of version 4\na"


def test_an_external_log_is_a_problem(image: fixtures.SparseImage) -> None:
    filesystem = XfsFilesystem(image.changed(48, bytes(8)))
    assert filesystem.journal == "unreplayed"
    assert any("another device" in problem.what for problem in filesystem.problems)


def test_a_log_that_makes_more_inodes_than_memory_should_hold_is_refused(
    image: fixtures.SparseImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidelight.filesystems.xfs.log_replay.BLOCK_CAP", 100)
    item = struct.pack("<HH", 0x123F, 1) + struct.pack(">IIIIII", 0, 1024, 64, 512, 8, 1)
    log = LogWriter(image, 100)
    log.transaction([[item]])
    assert XfsFilesystem(log.finish()).journal == "replayed"
    again = struct.pack("<HH", 0x123F, 1) + struct.pack(">IIIIII", 0, 1040, 64, 512, 8, 1)
    log.transaction([[again]])
    filesystem = XfsFilesystem(log.finish())
    assert filesystem.journal == "unreplayed"
    assert "too much" in filesystem.problems[0].what
