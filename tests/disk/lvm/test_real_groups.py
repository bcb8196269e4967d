"""Volume groups that lvm2 itself made; where the bytes must lie is its own account."""

from __future__ import annotations

import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.errors import SourceError
from tests.fakes.sources import counted
from tests.images.disk import lvm
from tests.images.disk.lvm import EXTENT, PE_START, linear, volume

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.disk import VolumeSlice
    from sidelight.model import Problem

pytestmark = [
    pytest.mark.images,
    pytest.mark.mounts,
    pytest.mark.skipif(bool(lvm.unavailable()), reason=lvm.unavailable() or "available"),
]

EXTENTS = 24
BLOCK = 4096


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two disks; every 4 KiB block of their extents names its disk and its offset."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for number, path in enumerate(paths):
        with path.open("wb") as file:
            file.truncate(PE_START + EXTENTS * EXTENT + (4 << 20))
            for extent in range(EXTENTS):
                file.seek(PE_START + extent * EXTENT)
                file.write(b"".join(stamp(number, extent, n) for n in range(EXTENT // BLOCK)))
    return paths


def stamp(disk: int, extent: int, block: int) -> bytes:
    # Far from every magic number.
    return struct.pack("<4I", 0x51DE, disk, extent, block) * (BLOCK // 16)


def read(paths: Sequence[Path]) -> tuple[dict[str, VolumeSlice], list[Problem]]:
    problems: list[Problem] = []
    found = volumes([ImageFile(str(path), path.name) for path in paths], problems)
    # The stamps are not a filesystem, and each volume says so.
    left = [p for p in problems if p.what != "no known filesystem"]
    return {volume_slice.lv: volume_slice for volume_slice in found}, left


def at(volume_slice: VolumeSlice, offset: int) -> tuple[int, ...]:
    """Disk, extent and block that the volume shows at an offset."""
    data = volume_slice.source.read_at(offset, 16)
    magic, *place = struct.unpack("<4I", data)
    assert magic == 0x51DE
    return tuple(place)


def test_linear_and_striped_volumes_lie_where_lvm2_says(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg-0")
        lab.volume("vg-0", "root", 5)
        lab.volume("vg-0", "str", 6, "-i", "2", "-I", "64k")
        lab.run("lvextend", "-l", "+15", "vg-0/root")
        lab.run("lvrename", "vg-0", "root", "my-root")
        ranges = lab.ranges("vg-0")
    found, problems = read(images)
    assert problems == []
    assert set(found) == {"vg-0/my-root", "vg-0/str"}
    root = found["vg-0/my-root"]
    assert "/dev/mapper/vg--0-my--root" in root.device_names
    extents = [(d, e) for d, a, b in ranges["my-root"] for e in range(a, b + 1)]
    assert root.source.size == 20 * EXTENT == len(extents) * EXTENT
    for index, (disk, extent) in enumerate(extents):
        assert at(root, index * EXTENT) == (disk, extent, 0)
        assert at(root, (index + 1) * EXTENT - BLOCK) == (disk, extent, EXTENT // BLOCK - 1)
    (first, a, _), (second, b, _) = ranges["str"]
    striped = found["vg-0/str"]
    assert striped.disk == -1
    for stripe in range(0, 6 * EXTENT // 65536, 7):
        disk, base = ((first, a), (second, b))[stripe % 2]
        row = stripe // 2 * 65536
        expected = (disk, base + row // EXTENT, row % EXTENT // BLOCK)
        assert at(striped, stripe * 65536) == expected
    whole = striped.source.read_at(60000, 200000)
    assert whole == b"".join(
        striped.source.read_at(60000 + n, 1000) for n in range(0, 200000, 1000)
    )


MIRRORED = "start_extent = 0\nextent_count = 1\ntype = "


def mixed() -> str:
    parts = []
    mirror = '"mirror"\nmirror_count = 2\nregion_size = 1024\n'
    mirror += 'mirrors = [ "m_mimage_0", 0, "m_mimage_1", 0 ]'
    raid = (
        '"raid1"\ndevice_count = 2\nregion_size = 1024\n'
        'raids = [ "r_rmeta_0", "r_rimage_0", "r_rmeta_1", "r_rimage_1" ]'
    )
    parts.append(volume("m", [MIRRORED + mirror]))
    parts.append(volume("r", [MIRRORED + raid]))
    for n in (0, 1):
        parts.append(volume(f"m_mimage_{n}", [linear(f"pv{n}", 0, 1)], visible=False))
        parts.append(volume(f"r_rmeta_{n}", [linear(f"pv{n}", 1, 1)], visible=False))
        parts.append(volume(f"r_rimage_{n}", [linear(f"pv{n}", 2, 1)], visible=False))
    snapshot = 'start_extent = 0\nextent_count = 1\ntype = "snapshot"\nchunk_size = 8\n'
    parts.append(volume("origin", [linear("pv0", 3, 1)]))
    parts.append(volume("copy", [linear("pv0", 4, 1)]))
    parts.append(
        volume("snapshot0", [snapshot + 'origin = "origin"\ncow_store = "copy"'], visible=False)
    )
    parts.append(volume("span", [linear("pv1", 5, 1), linear("pv0", 5, 1, start=1)]))
    parts.append(volume("far", [linear("pv1", 8, 2)]))
    return "".join(parts)


def superblock(position: int, events: int, failed: int = 0) -> bytes:
    return struct.pack("<4sIIIQQQ", b"DmRd", 1, 2, position, events, failed, 2**64 - 1)


def put(path: Path, extent: int, data: bytes, offset: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(PE_START + extent * EXTENT + offset)
        file.write(data)


def test_mirrors_give_one_leg_and_snapshots_their_origin(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0")
        lab.restore("vg0", mixed())
    found, problems = read(images)
    assert set(found) == {"vg0/m", "vg0/r", "vg0/origin", "vg0/span", "vg0/far"}
    assert at(found["vg0/m"], 0) == (0, 0, 0)
    assert at(found["vg0/r"], 0) == (0, 2, 0)
    assert at(found["vg0/origin"], BLOCK) == (0, 3, 1)
    assert [at(found["vg0/span"], n * EXTENT) for n in (0, 1)] == [(1, 5, 0), (0, 5, 0)]
    assert [p.where for p in problems] == ["vg0/copy"]
    assert "snapshot" in problems[0].what


def test_a_raid1_leg_that_fell_behind_is_not_read(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0")
        lab.restore("vg0", mixed())
    put(images[0], 1, superblock(0, 5))
    put(images[1], 1, superblock(1, 9, failed=1))
    found, _ = read(images)
    assert at(found["vg0/r"], 0) == (1, 2, 0)
    put(images[0], 1, superblock(0, 9))
    put(images[1], 1, superblock(1, 9))
    found, _ = read(images)
    assert at(found["vg0/r"], 0) == (0, 2, 0)


@pytest.mark.parametrize("present", [0, 1])
def test_a_missing_member_is_a_problem_and_the_rest_is_read(
    images: list[Path], present: int
) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0")
        lab.restore("vg0", mixed())
    found, problems = read([images[present]])
    assert at(found["vg0/m"], 0) == (present, 0, 0)
    assert at(found["vg0/r"], 0) == (present, 2, 0)
    assert any("is missing" in p.what and p.where == "vg0" for p in problems)
    if present == 1:
        span = found["vg0/span"]
        assert at(span, 0) == (1, 5, 0)
        with pytest.raises(SourceError, match="vg0/span: its member pv0 is missing"):
            span.source.read_at(EXTENT - 10, 20)
        assert "vg0/far" in found
    else:
        assert "vg0/far" not in found
        assert any(p.where == "vg0/far" for p in problems)


@pytest.mark.parametrize("how", ["no copies", "none in use"])
def test_a_member_that_no_disk_at_hand_describes_is_a_problem(images: list[Path], how: str) -> None:
    with lvm.lab(images) as lab:
        copies = ("--metadatacopies", "0") if how == "no copies" else ()
        lab.run("pvcreate", "-qq", "-y", lab.devices[0])
        lab.run("pvcreate", "-qq", "-y", *copies, lab.devices[1])
        lab.run("vgcreate", "-qq", "--vgmetadatacopies", "1", "vg0", *lab.devices)
        lab.volume("vg0", "root", EXTENTS + 2)
        held = lab.run("pvs", "--noheadings", "-o", "pv_mda_used_count").split()
    alone = images[held.index("0")]
    assert read(images)[1] == []
    found, problems = read([alone])
    assert found == {}
    assert [p.where for p in problems] == [alone.name]
    assert "no disk at hand describes" in problems[0].what


def test_a_member_of_no_group_holds_nothing(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.run("pvcreate", "-qq", "-y", lab.devices[0])
    assert read(images[:1]) == ({}, [])


def test_a_group_within_a_volume_of_another_is_read(images: list[Path]) -> None:
    with lvm.lab(images[1:]) as lab:
        lab.group("inner")
        lab.volume("inner", "root", 5)
    with lvm.lab(images[:1]) as lab:
        lab.group("outer")
        lab.volume("outer", "guest", 12)
        ((_, first, _),) = lab.ranges("outer")["guest"]
    put(images[0], first, images[1].read_bytes()[: 12 * EXTENT])
    found, problems = read(images[:1])
    assert problems == []
    assert set(found) == {"inner/root"}
    assert at(found["inner/root"], 4 * EXTENT) == (1, 4, 0)
    assert found["inner/root"].disk == 0


def test_the_newest_text_of_all_members_counts(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0")
        lab.volume("vg0", "old", 2)
    before = images[0].read_bytes()[: 1 << 20]
    with lvm.lab(images) as lab:
        lab.run("lvrename", "vg0", "old", "new")
    assert set(read(images)[0]) == {"vg0/new"}
    with images[0].open("r+b") as file:
        file.write(before)
    assert set(read(images)[0]) == {"vg0/new"}
    assert set(read([images[0]])[0]) == {"vg0/old"}


def test_a_damaged_text_gives_the_other_members_and_a_problem(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0")
        lab.volume("vg0", "root", 2)
    data = images[0].read_bytes()[: 1 << 20]
    with images[0].open("r+b") as file:
        file.seek(data.rindex(b"seqno"))
        file.write(b"X")
    found, problems = read(images)
    assert set(found) == {"vg0/root"}
    assert [p.what for p in problems] == ["the metadata text fails its checksum"]


def test_the_ring_of_texts_wraps(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0", "--metadatasize", "8k", "--dataalignment", "1m")
        lab.volume("vg0", "v0", 1)
        for turn in range(40):
            lab.run("lvrename", "vg0", f"v{turn}", f"v{turn + 1}")
            if turn % 4 == 0:
                found, problems = read(images)
                assert (set(found), problems) == ({f"vg0/v{turn + 1}"}, [])


THIN = """start_extent = 0
extent_count = 10
type = "thin"
thin_pool = "pool"
transaction_id = 0
device_id = {}
"""
POOL = """start_extent = 0
extent_count = 4
type = "thin-pool"
metadata = "pool_tmeta"
pool = "pool_tdata"
transaction_id = 7
chunk_size = 128
discards = "passdown"
zero_new_blocks = 1
"""
CHUNK = 65536


def thin_group(lab: lvm.Lab, images: list[Path], xml: str, tmp_path: Path) -> None:
    lab.group("vg0")
    text = volume("pool", [POOL])
    text += volume("pool_tdata", [linear("pv1", 5, 4)], visible=False)
    text += volume("pool_tmeta", [linear("pv0", 7, 1)], visible=False)
    text += volume("ext", [linear("pv0", 9, 1)])
    text += volume("t1", [THIN.format(1)]) + volume("t2", [THIN.format(2)])
    text += volume("t3", [THIN.format(3) + 'external_origin = "ext"\n'])
    lab.restore("vg0", text)
    (tmp_path / "thin.xml").write_text(xml)
    with (tmp_path / "tmeta").open("wb") as file:
        file.truncate(EXTENT)
    command = ["thin_restore", "-i", str(tmp_path / "thin.xml"), "-o", str(tmp_path / "tmeta")]
    subprocess.run(command, check=True, capture_output=True)
    put(images[0], 7, (tmp_path / "tmeta").read_bytes())


def thin_xml(devices: dict[int, dict[int, int]]) -> str:
    head = '<superblock uuid="" time="1" transaction="7" version="2" data_block_size="128" '
    parts = [head + 'nr_data_blocks="256">']
    for device, mapping in devices.items():
        parts.append(
            f'<device dev_id="{device}" mapped_blocks="{len(mapping)}" transaction="0" '
            'creation_time="0" snap_time="1">'
        )
        parts += [
            f'<single_mapping origin_block="{k}" data_block="{v}" time="0"/>'
            for k, v in sorted(mapping.items())
        ]
        parts.append("</device>")
    return "\n".join([*parts, "</superblock>"])


@pytest.mark.skipif(not shutil.which("thin_restore"), reason="needs thin-provisioning-tools")
def test_thin_volumes_follow_the_pools_trees(images: list[Path], tmp_path: Path) -> None:
    # Enough scattered mappings for a tree of several levels of nodes.
    mapping = {n: (n * 37) % 256 for n in range(0, 640, 2)}
    devices = {1: mapping, 2: {0: 3, 639: 4}, 3: {1: 9}}
    with lvm.lab(images) as lab:
        thin_group(lab, images, thin_xml(devices), tmp_path)
    found, problems = read(images)
    assert problems == []
    assert set(found) == {"vg0/t1", "vg0/t2", "vg0/t3", "vg0/ext"}
    thin = found["vg0/t1"]
    assert thin.source.size == 10 * EXTENT
    for chunk in range(640):
        if chunk in mapping:
            place = mapping[chunk] * CHUNK
            assert at(thin, chunk * CHUNK) == (1, 5 + place // EXTENT, place % EXTENT // BLOCK)
        else:
            assert thin.source.read_at(chunk * CHUNK, CHUNK) == bytes(CHUNK)
    assert at(found["vg0/t2"], 639 * CHUNK)[2] == 4 * CHUNK // BLOCK
    # An external origin is seen through what was never written, to its own end.
    over = found["vg0/t3"]
    assert at(over, 0) == (0, 9, 0)
    assert at(over, CHUNK) == (1, 5, 9 * CHUNK // BLOCK)
    assert over.source.read_at(EXTENT, CHUNK) == bytes(CHUNK)


@pytest.mark.skipif(not shutil.which("thin_restore"), reason="needs thin-provisioning-tools")
def test_a_damaged_node_raises_where_it_is_needed(images: list[Path], tmp_path: Path) -> None:
    with lvm.lab(images) as lab:
        thin_group(lab, images, thin_xml({1: {0: 1}, 2: {0: 3}, 3: {1: 9}}), tmp_path)
    dump = bytearray((tmp_path / "tmeta").read_bytes())
    for number in range(1, len(dump) // 4096):
        dump[number * 4096 + 100] ^= 0xFF
    put(images[0], 7, bytes(dump))
    found, problems = read(images)
    assert set(found) == {"vg0/ext"}
    assert {p.where for p in problems} >= {"vg0/t1", "vg0/t2", "vg0/t3"} or any(
        "checksum" in p.what for p in problems
    )


def test_a_whole_group_costs_few_blocks(images: list[Path]) -> None:
    with lvm.lab(images) as lab:
        lab.group("vg0")
        lab.volume("vg0", "a", 3)
        lab.volume("vg0", "b", 30)
    pairs = [counted(str(path), path.name) for path in images]
    try:
        volumes([cache for cache, _ in pairs], [])
        fetched = [block for _, fetcher in pairs for block in fetcher.fetched]
        # A disk: first, last, and the part of the ring that holds the text. A volume of unknown
        # contents: its beginning and its end.
        assert len(fetched) <= 3 * 2 + 2 * 2 + 1
        for _, fetcher in pairs:
            assert len(fetcher.fetched) == len(set(fetcher.fetched))
    finally:
        for cache, fetcher in pairs:
            cache.close()
            fetcher.close()
