"""Programs and archives on a real ext4: every block once, many asked for together."""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import BlockCache
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.executables import HEAD, sections_of
from sidelight.inventory.registry import EXTRACTORS
from tests.fakes.sources import CountingFetcher, counted
from tests.images.ext import recipes
from tests.images.ext.recipes import Case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sidelight.inventory.collect import Collected
    from sidelight.inventory.protocol import Extractor

BLOCK = 512 << 10
PROGRAMS = 60
MODULES = 2400


class _Recorder(BlockCache):
    """A cache that notes how many blocks each prefetch asked for."""

    def __init__(self, fetcher: CountingFetcher, budget: int) -> None:
        super().__init__(fetcher, budget)
        self.together: list[int] = []

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        listed = list(ranges)
        self.together.append(
            len(
                {n for at, length in listed for n in range(at // BLOCK, (at + length) // BLOCK + 1)}
            )
        )
        super().prefetch(listed)


def _elf(size: int) -> bytes:
    """A 64-bit program whose section headers are at its end: one, with a name of no use."""
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<2HL3QL6H", 2, 62, 1, 0, 0, size - 64, 0, 64, 0, 0, 64, 1, 0)
    return header.ljust(size, b"\x55")  # zeros would be holes


def _system(top: Path) -> Path:
    """What makes a tree a Debian with one package, which owns one program."""
    (top / "etc").mkdir(parents=True)
    (top / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    (top / "var/lib/dpkg/info").mkdir(parents=True)
    (top / "var/lib/dpkg/status").write_text("Package: a\nVersion: 1\nStatus: x ok installed\n")
    (top / "var/lib/dpkg/info/a.list").write_text("/usr/bin/owned\n")
    return top


def _tree(top: Path) -> Path:
    _system(top)
    (top / "usr/bin").mkdir(parents=True)
    (top / "srv").mkdir()
    for number in range(PROGRAMS):
        program = top / f"srv/program-{number}"
        program.write_bytes(_elf(BLOCK + 9000 * (number % 70)))
        program.chmod(0o755)
        with zipfile.ZipFile(top / f"srv/j{number}-1.{number}.jar", "w") as archive:
            archive.writestr("data", b"\x55" * (300 << 10))
            pom = f"groupId=g\nartifactId=j{number}\nversion=1.{number}\n"
            archive.writestr("META-INF/maven/g/j/pom.properties", pom)
    (top / "usr/bin/owned").write_bytes(_elf(20 * BLOCK))
    (top / "usr/bin/owned").chmod(0o755)
    return top


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if recipes.missing():
        pytest.skip(recipes.missing())
    directory = tmp_path_factory.mktemp("programs")
    case = Case("ext4", ("-t", "ext4"), size=192)
    return recipes.make(directory / "image", case, _tree(directory / "tree"))


@pytest.fixture
def cache(image: Path) -> Iterator[tuple[_Recorder, CountingFetcher]]:
    fetcher = CountingFetcher(str(image), "disk")
    source = _Recorder(fetcher, 64 << 20)
    yield source, fetcher
    source.close()
    fetcher.close()


@pytest.mark.images
def test_every_block_is_fetched_once_and_many_together(
    cache: tuple[_Recorder, CountingFetcher],
) -> None:
    source, fetcher = cache
    found = collect(MachineTree(ExtFilesystem(source)))
    assert sum(package.type == "maven" for package in found.packages) == PROGRAMS
    assert [problem.what for problem in found.problems] == []
    assert len(fetcher.fetched) == len(set(fetcher.fetched))
    assert 50 <= max(source.together) <= 64  # blocks: as many as calls under way at once


@pytest.mark.images
def test_a_program_that_the_system_owns_is_not_opened(
    cache: tuple[_Recorder, CountingFetcher],
) -> None:
    source, fetcher = cache
    fs = ExtFilesystem(source)
    tree = MachineTree(fs)
    place = tree.locate(b"usr/bin/owned")
    size = fs.inodes([place.inode])[place.inode].size
    collect(tree)
    read = set(fetcher.fetched)
    before = len(fetcher.fetched)
    fs.read(place.inode, 2 * BLOCK, size - 4 * BLOCK)
    inner = set(fetcher.fetched[before:])
    assert len(inner) >= 15
    assert not inner & read


@pytest.mark.images
@pytest.mark.slow
def test_the_default_cache_fetches_no_block_of_a_whole_machine_twice(tmp_path: Path) -> None:
    if recipes.missing():
        pytest.skip(recipes.missing())
    tree = _system(tmp_path / "tree")
    for number in range(MODULES):
        module = tree / f"opt/app-{number % 240}/node_modules/m{number}"
        module.mkdir(parents=True)
        (module / "package.json").write_text(f'{{"name":"m{number}","version":"1.{number}.0"}}')
    # A table of 32 inodes in every MiB: the walk needs as many blocks as that of a Debian 12.
    spread = ("-b", "4096", "-g", "256", "-N", "9600", "-O", "^flex_bg,^has_journal,^resize_inode")
    image = recipes.make(tmp_path / "image", Case("ext4", ("-t", "ext4", *spread), size=300), tree)
    walked, _ = _collected(image, extractors=())
    fetched, found = _collected(image)
    assert sum(package.type == "npm" for package in found.packages) == MODULES
    assert 150 <= len(walked) <= 180
    assert [index for index, count in fetched.items() if count > 1] == []


def _collected(
    image: Path, extractors: Sequence[Extractor] = EXTRACTORS
) -> tuple[Counter[int], Collected]:
    """How often each block was fetched with a cache of the default budget, and what was found."""
    source, fetcher = counted(str(image), "disk")
    found = collect(MachineTree(ExtFilesystem(source)), extractors=extractors)
    source.close()
    fetcher.close()
    return Counter(fetcher.fetched), found


def test_the_section_headers_are_where_the_header_says() -> None:
    assert sections_of(_elf(9000)[:HEAD]) == (9000 - 64 - 1024, 1024 + 64)
    wide = bytearray(_elf(9000)[:HEAD])
    wide[40:48] = b"\xff" * 8
    for head in (bytes(wide), b"\x7fELF", b"\x7fELF" + b"\xff" * 60):
        assert sections_of(head) == (0, HEAD)
