"""Partition tables made by sgdisk, sfdisk and fdisk; the kernel's own view where it can be had."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidelight.blocks import ImageFile
from sidelight.disk import gaps, volumes
from tests.fakes.sources import MemorySource, counted

if TYPE_CHECKING:
    from sidelight.disk import VolumeSlice
    from sidelight.model import Problem

SIZE = 64 << 20

pytestmark = [
    pytest.mark.images,
    pytest.mark.usefixtures("whole_system_sync"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("sgdisk", "sfdisk", "fdisk"))),
        reason="needs sgdisk, sfdisk and fdisk (apt: gdisk, fdisk)",
    ),
]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def run(*command: str | Path, text: str = "") -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        [str(word) for word in command],
        input=text,
        text=True,
        capture_output=True,
        check=True,
        env=environment,
    )
    return done.stdout


def put(image: Path, offset: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def slices(image: Path) -> tuple[list[VolumeSlice], list[Problem]]:
    problems: list[Problem] = []
    with ImageFile(str(image), "disk") as source:
        return volumes([source], problems), problems


def places(image: Path) -> list[tuple[int | None, int]]:
    return [(volume_slice.partition, volume_slice.source.size) for volume_slice in slices(image)[0]]


def start(volume_slice: VolumeSlice) -> int:
    return int(vars(volume_slice.source)["_offset"])


def gpt(image: Path) -> None:
    run(
        *("sgdisk", "-n1:2048:+8M", "-c1:Größe root", "-u1:11111111-2222-3333-4444-555555555555"),
        *("-n2:0:+1M", "-t2:ef02", "-n128:0:+8M", "-t128:8300", image),
    )


def test_gpt_gives_numbers_sizes_uuids_and_labels(image: Path) -> None:
    gpt(image)
    found, problems = slices(image)
    assert problems == []
    assert [(r.name, r.partition, start(r), r.source.size) for r in found] == [
        ("disk/p1", 1, 1 << 20, 8 << 20),
        ("disk/p2", 2, 9 << 20, 1 << 20),
        ("disk/p128", 128, 10 << 20, 8 << 20),
    ]
    assert found[0].partuuid == "11111111-2222-3333-4444-555555555555"
    assert found[0].partlabel == "Größe root"
    assert found[1].kind == "bios-boot"
    assert {"/dev/xvda1", "/dev/sda1", "/dev/nvme0n1p1"} <= set(found[0].device_names)


def test_a_table_of_more_and_larger_entries_is_read(image: Path) -> None:
    run("sgdisk", "-S", "256", image)
    run("sgdisk", "-n200:0:+8M", image)
    assert places(image) == [(200, 8 << 20)]
    assert slices(image)[1] == []


@pytest.mark.parametrize("where", [512, 512 + 72, 1024 + 40])
def test_a_damaged_primary_gives_the_backup_and_a_problem(image: Path, where: int) -> None:
    gpt(image)
    expected = places(image)
    before = image.read_bytes()
    put(image, where, bytes([before[where] ^ 0xFF]))
    assert places(image) == expected
    (problem,) = slices(image)[1]
    assert "GPT damaged" in problem.what
    assert problem.where == "disk"


def test_both_tables_damaged_are_still_read_with_a_problem(image: Path) -> None:
    gpt(image)
    expected = places(image)
    before = image.read_bytes()
    # The name of the first entry, in both tables.
    for offset in (1024 + 60, SIZE - 33 * 512 + 60):
        put(image, offset, bytes([before[offset] ^ 0xFF]))
    assert places(image) == expected
    (problem,) = slices(image)[1]
    assert "checksum" in problem.what


def test_a_grown_disk_finds_its_backup_where_the_primary_says(image: Path) -> None:
    gpt(image)
    expected = places(image)
    with image.open("r+b") as file:
        file.truncate(2 * SIZE)
    put(image, 1024 + 60, b"\xff")
    assert places(image) == expected
    assert "GPT damaged" in slices(image)[1][0].what


def test_a_truncated_disk_offers_its_partitions_with_a_problem(image: Path) -> None:
    gpt(image)
    with image.open("r+b") as file:
        file.truncate(14 << 20)
    found, problems = slices(image)
    assert [(r.partition, r.source.size) for r in found] == [
        (1, 8 << 20),
        (2, 1 << 20),
        (128, 8 << 20),
    ]
    assert [p.where for p in problems] == ["disk/p128"]
    assert "past the disk's" in problems[0].what


def test_sectors_of_4096_bytes(image: Path) -> None:
    run("fdisk", "-b", "4096", image, text="g\nn\n3\n\n+8M\nw\n")
    found, problems = slices(image)
    assert problems == []
    assert [(r.partition, r.source.size, start(r)) for r in found] == [(3, 8 << 20, 1 << 20)]


MBR = """label: dos
label-id: 0x1234abcd
size=4MiB, type=83
size=20MiB, type=5
size=4MiB, type=7
size=4MiB, type=83
size=2MiB, type=83
size=3MiB, type=82
size=4MiB, type=fd
"""


def test_mbr_numbers_logical_partitions_from_five(image: Path) -> None:
    run("sfdisk", "-q", image, text=MBR)
    found, _ = slices(image)
    oracle = {}
    for line in run("sfdisk", "-d", image).splitlines():
        if " : start=" in line:
            name, _, rest = line.partition(" : ")
            fields = dict(part.strip().split("=") for part in rest.split(",") if "=" in part)
            oracle[int(name.rpartition("img")[2])] = (
                int(fields["start"]) * 512,
                int(fields["size"]) * 512,
            )
    del oracle[2]  # the extended partition itself
    assert {r.partition: (start(r), r.source.size) for r in found} == oracle
    assert [r.partition for r in found] == [1, 3, 4, 5, 6, 7]
    assert {r.partition: r.partuuid for r in found}[6] == "1234abcd-06"


def test_a_circle_of_logical_partitions_ends(image: Path) -> None:
    run("sfdisk", "-q", image, text=MBR)
    data = bytearray(image.read_bytes())
    base = struct.unpack_from("<I", data, 446 + 16 + 8)[0]
    link = base * 512 + 446 + 16
    struct.pack_into("<I", data, link + 8, 0)
    problems: list[Problem] = []
    found = volumes([MemorySource(bytes(data))], problems)
    assert [r.partition for r in found] == [1, 3, 4, 5]
    assert any("circle" in p.what for p in problems)


def test_a_hybrid_mbr_yields_the_gpt(image: Path) -> None:
    gpt(image)
    run("sgdisk", "-h", "1", image)
    assert [number for number, _ in places(image)] == [1, 2, 128]


def test_a_stale_gpt_under_a_new_mbr_is_not_used(image: Path) -> None:
    gpt(image)
    run("sfdisk", "-q", "--wipe", "never", "--label-nested", "dos", image, text="size=4MiB\n")
    data = bytearray(image.read_bytes())
    fresh = bytearray(data[:512])
    fresh[446:510] = bytes(64)
    struct.pack_into("<B3sB3sII", fresh, 446, 0, b"", 0x83, b"", 4096, 8192)
    data[:512] = fresh
    found = volumes([MemorySource(bytes(data))], [])
    assert [(r.partition, r.source.size) for r in found] == [(1, 4 << 20)]


def test_a_gpt_without_its_mbr_is_used_with_a_problem(image: Path) -> None:
    gpt(image)
    put(image, 0, bytes(512))
    found, problems = slices(image)
    assert [r.partition for r in found] == [1, 2, 128]
    assert any("protective" in p.what for p in problems)


def test_a_disk_without_a_table_is_one_slice(image: Path) -> None:
    run("mkfs.ext4", "-q", "-L", "data", image)
    (volume_slice,), problems = slices(image)
    assert problems == []
    assert (volume_slice.partition, volume_slice.kind, volume_slice.label) == (None, "ext4", "data")
    assert volume_slice.name == "disk"
    assert "/dev/nvme0n1" in volume_slice.device_names


def test_reading_two_disks_takes_their_first_and_last_blocks_and_the_partitions(
    image: Path, tmp_path: Path
) -> None:
    gpt(image)
    run("mkfs.ext4", "-q", "-E", "offset=1048576", image, "8M")
    other = tmp_path / "other.img"
    shutil.copy(image, other)
    pairs = [counted(str(path), path.stem) for path in (image, other)]
    try:
        volumes([cache for cache, _ in pairs], [])
        for _, fetcher in pairs:
            # Table and backup; each partition's beginning. Those of partitions that hold nothing
            # known: their end too, where an md superblock may be. Each once.
            assert len(fetcher.fetched) == len(set(fetcher.fetched))
            block = fetcher.block_size
            assert set(fetcher.fetched) == {
                0,
                SIZE // block - 1,
                (1 << 20) // block,
                (9 << 20) // block,
                (10 << 20) // block - 1,
                (10 << 20) // block,
                (18 << 20) // block - 1,
                # Where nothing is known to lie, each MiB's beginning, to a bound: all blocks of
                # this fetcher count as written.
                *((at << 20) // block for at in range(10, 10 + gaps.NEAR)),
            }
    finally:
        for cache, fetcher in pairs:
            cache.close()
            fetcher.close()


@pytest.mark.mounts
@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("label", ["gpt", "mbr"])
def test_the_kernel_sees_the_same_partitions(image: Path, sector: int, label: str) -> None:
    if os.geteuid() != 0 or not shutil.which("losetup"):
        pytest.skip("needs root and losetup")
    first = "g\n" if label == "gpt" else "o\nn\ne\n4\n\n\n"
    run("fdisk", "-b", str(sector), image, text=f"{first}n\n\n\n+8M\nn\n\n\n+4M\nw\n")
    device = run("losetup", "-f", "--show", "-r", "-P", "-b", str(sector), image).strip()
    try:
        name = Path(device).name
        kernel = {}
        for part in Path(f"/sys/block/{name}").glob(f"{name}p*"):
            number = int((part / "partition").read_text())
            # sysfs counts 512-byte sectors whatever the disk's are.
            kernel[number] = (
                int((part / "start").read_text()) * 512,
                int((part / "size").read_text()) * 512,
            )
    finally:
        run("losetup", "-d", device)
    if not kernel:
        pytest.skip("the kernel shows no partitions of loop devices")
    if label == "mbr":
        del kernel[4]  # the extended partition
        # Which size the sectors have is known by what the partitions hold.
        first_start = kernel[min(kernel)][0]
        run("mkfs.ext4", "-q", "-F", "-E", f"offset={first_start}", image, "4M")
    found, _ = slices(image)
    assert {r.partition: (start(r), r.source.size) for r in found} == kernel


def test_a_header_with_impossible_sizes_is_a_problem(image: Path) -> None:
    gpt(image)
    data = bytearray(image.read_bytes())
    for offset in (512, SIZE - 512):
        struct.pack_into("<I", data, offset + 80, 0xFFFFFFFF)
        data[offset + 16 : offset + 20] = bytes(4)
        crc = zlib.crc32(data[offset : offset + 92])
        struct.pack_into("<I", data, offset + 16, crc)
    problems: list[Problem] = []
    volumes([MemorySource(bytes(data))], problems)
    assert any("entries" in p.what for p in problems)


@pytest.mark.skipif(not shutil.which("partx"), reason="needs partx (util-linux)")
@pytest.mark.parametrize("label", ["gpt", "mbr"])
def test_libblkid_sees_the_same_numbers_uuids_and_labels(image: Path, label: str) -> None:
    if label == "gpt":
        gpt(image)
    else:
        run("sfdisk", "-q", image, text=MBR)
    oracle = {}
    for line in run("partx", "-P", "-o", "NR,START,SECTORS,UUID,NAME", image).splitlines():
        fields = dict(part.partition("=")[::2] for part in line.split('" '))
        values = {key: value.strip('"') for key, value in fields.items()}
        number = int(values["NR"])
        size = int(values["SECTORS"]) * 512
        oracle[number] = (int(values["START"]) * 512, size, values["UUID"], values["NAME"])
    if label == "mbr":
        del oracle[2]
    found, _ = slices(image)
    partitions = {r.partition: (start(r), r.source.size, r.partuuid, r.partlabel) for r in found}
    # partx writes what is not ASCII in a manner of its own.
    assert {n: f[:3] for n, f in partitions.items()} == {n: f[:3] for n, f in oracle.items()}
    assert all(
        partitions[n][3] == f[3] for n, f in oracle.items() if f[3].isascii() and "\\" not in f[3]
    )


LAYOUT = st.lists(st.integers(1, 5), min_size=1, max_size=9)


@pytest.mark.skipif(not shutil.which("partx"), reason="needs partx (util-linux)")
@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("label", ["gpt", "dos"])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=LAYOUT, cut=st.integers(0, 3))
# In sectors of 512 bytes the third would begin where in those of 4096 the first one does.
@example(sizes=[2, 5, 1], cut=3)
def test_any_layout_is_read_as_libblkid_reads_it(
    image: Path, label: str, sector: int, sizes: list[int], cut: int
) -> None:
    """Any number of partitions; on an MBR all after the first `cut` are logical ones."""
    numbers = list(range(1, len(sizes) + 1))
    if label == "dos" and len(sizes) > cut:
        numbers = [*range(1, cut + 1), *range(5, 5 + len(sizes) - cut)]
    lines = [f"{image}{n} : size={size}MiB" for n, size in zip(numbers, sizes, strict=True)]
    if label == "dos" and len(sizes) > cut:
        lines.insert(cut, f"{image}{cut + 1} : type=5")
    with image.open("wb") as file:
        file.truncate(SIZE)
    script = image.with_suffix(".sfdisk")
    script.write_text(f"label: {label}\n" + "\n".join(lines) + "\n")
    run("fdisk", "-b", str(sector), image, text=f"I\n{script}\nw\n")
    oracle = {}
    columns = ("-P", "-o", "NR,START,SECTORS,TYPE")
    for line in run("partx", "-S", str(sector), *columns, image).splitlines():
        number, first, count, kind = (field.split('"')[1] for field in line.split('" '))
        if kind != "0x5":
            oracle[int(number)] = (int(first) * 512, int(count) * 512)
    assert len(oracle) == len(sizes)
    if label == "dos":
        # Which size the sectors have is known by what the partitions hold.
        for begin, _ in oracle.values():
            put(image, begin, b"XFSB".ljust(512, b"\0"))
    found, problems = slices(image)
    partitions = {r.partition: (start(r), r.source.size) for r in found if r.partition}
    assert partitions == oracle
    assert [p for p in problems if "table" in p.what or "GPT" in p.what] == []
