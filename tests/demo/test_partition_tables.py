"""The demo's partition tables, read by our own parsers and by sfdisk."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partition_tables import BIOS_BOOT, LINUX, GptPartition, write_gpt, write_mbr

from sidelight.blocks import ImageFile
from sidelight.disk.partition_tables import partitions

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.disk.volume_slice import Partition
    from sidelight.model import Problem

MIB = 1 << 20
DISK = UUID("5d0a1c1e-0001-4b5e-9d6e-000000000000")
MOST_MIB = 200


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Up to four partitions without overlap: (start, size) in MiB, the first MiB left free."""
    edges = draw(st.lists(st.integers(1, MOST_MIB - 1), min_size=2, max_size=8, unique=True))
    edges.sort()
    return [(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=False)]


def disk(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(MOST_MIB * MIB)
    return path


def read(image: Path) -> list[Partition]:
    problems: list[Problem] = []
    source = ImageFile(str(image))
    found = partitions(source, problems)
    source.close()
    assert problems == []
    return found


def gpt(layout: list[tuple[int, int]]) -> list[GptPartition]:
    kinds = (LINUX, BIOS_BOOT)
    return [
        GptPartition(start, size, UUID(int=number + 1), kinds[number % 2], f"part é {number}")
        for number, (start, size) in enumerate(layout)
    ]


@given(layouts())
def test_a_gpt_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, layout: list[tuple[int, int]]
) -> None:
    image = disk(tmp_path_factory.mktemp("gpt") / "disk.img")
    write_gpt(image, DISK, gpt(layout))
    found = read(image)
    assert [
        (entry.start // MIB, entry.size // MIB, entry.uuid, entry.type, entry.label)
        for entry in found
    ] == [
        (part.start, part.size, str(part.uuid), str(part.type), part.name) for part in gpt(layout)
    ]


def test_the_backup_is_read_where_the_first_table_is_lost(tmp_path: Path) -> None:
    image = disk(tmp_path / "disk.img")
    write_gpt(image, DISK, gpt([(2, 100)]))
    with image.open("r+b") as file:
        file.seek(512)
        file.write(bytes(34 * 512))
    problems: list[Problem] = []
    source = ImageFile(str(image))
    (found,) = partitions(source, problems)
    source.close()
    assert (found.start, found.size) == (2 * MIB, 100 * MIB)
    assert problems != []


@given(layouts())
def test_an_mbr_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, layout: list[tuple[int, int]]
) -> None:
    image = disk(tmp_path_factory.mktemp("mbr") / "disk.img")
    write_mbr(image, 0x5D0A1C1E, layout)
    assert [(entry.start // MIB, entry.size // MIB, entry.type) for entry in read(image)] == [
        (start, size, "83") for start, size in layout
    ]


@pytest.mark.images
@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_sfdisk_reads_the_same_and_finds_no_fault(tmp_path: Path, label: str) -> None:
    if shutil.which("sfdisk") is None:
        pytest.skip("sfdisk is absent")
    image = disk(tmp_path / "disk.img")
    if label == "gpt":
        write_gpt(image, DISK, gpt([(1, 1), (2, 150)]))
    else:
        write_mbr(image, 0x5D0A1C1E, [(1, 1), (2, 150)])
    shown = subprocess.run(["sfdisk", "--json", image], capture_output=True, text=True, check=True)
    table = json.loads(shown.stdout)["partitiontable"]
    assert table["label"] == label
    assert [(part["start"], part["size"]) for part in table["partitions"]] == [
        (2048, 2048), (4096, 150 * 2048),
    ]  # fmt: skip
    checked = subprocess.run(
        ["sfdisk", "--verify", image], capture_output=True, text=True, check=True
    )
    assert shown.stderr == ""
    assert "No errors detected" in checked.stdout
    if label == "gpt":
        assert table["partitions"][1]["uuid"] == str(UUID(int=2)).upper()
        assert table["partitions"][1]["name"] == "part é 1"
        assert table["partitions"][1]["type"] == str(BIOS_BOOT).upper()
    else:
        assert (table["id"], table["partitions"][0]["type"]) == ("0x5d0a1c1e", "83")
