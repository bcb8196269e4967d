"""What is read before a machine is assembled: fewer rounds of calls, and no call in vain."""

from __future__ import annotations

import random
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from sidelight.fleet.error_recording_source import ErrorRecordingSource
from sidelight.inventory import early_reads, wanted_files
from sidelight.inventory.containers import RUNTIME_PATHS
from sidelight.inventory.language import javaarchive
from sidelight.scan import inspect
from tests.fakes.sources import CountingFetcher, RoundsCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sidelight.blocks import BlockSource
    from sidelight.model import Inventory

pytestmark = [pytest.mark.images, pytest.mark.slow]

STATUS = "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\n\n"


def _fill(top: Path, folders: int) -> None:
    """A Debian of one package, with many directories and files between them."""
    chance = random.Random(11)
    for path, text in {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
        "etc/fstab": "# nothing\n",
        "var/lib/dpkg/status": STATUS,
        "usr/lib/systemd/systemd": "",
        "srv/app/package-lock.json": '{"name": "app", "lockfileVersion": 3, "packages": {}}',
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    for number in range(folders):
        folder = top / f"usr/share/d{number % 40}/e{number}"
        folder.mkdir(parents=True)
        for index in range(6):
            (folder / f"file{index}").write_bytes(bytes(chance.choice([10, 5_000, 60_000])))


def _image(tmp_path: Path, tree: Path, name: str) -> Path:
    if shutil.which("mke2fs") is None:
        pytest.skip("needs mke2fs")
    image = tmp_path / name
    with image.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image], check=True)
    return image


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("tree")
    _fill(top, 1500)
    yield top
    shutil.rmtree(top)


def _inspected(
    image: Path, wrapped: Callable[[BlockSource], BlockSource] = lambda source: source
) -> tuple[Inventory, list[int], int]:
    fetcher = CountingFetcher(str(image), "snapshot")
    cache = RoundsCache(fetcher)
    found = inspect([wrapped(cache)])
    cache.close()
    fetcher.close()
    return found, sorted(fetcher.fetched), cache.rounds


def test_a_whole_inventory_takes_few_rounds_and_the_same_blocks(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image(tmp_path, tree, "disk.img")
    found, blocks, rounds = _inspected(image)
    monkeypatch.setattr(early_reads, "MOST_INODES", 0)
    later, blocks_later, rounds_later = _inspected(image)
    assert found == later
    assert blocks == blocks_later == sorted(set(blocks))
    assert len(blocks) > 15
    assert rounds <= 10
    assert rounds < rounds_later


def _jar(path: Path, number: int, chance: random.Random, nested: Sequence[Path] = ()) -> None:
    """An archive whose manifest, Maven file and directory are in three places."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Implementation-Version: 1.{number}\n")
        archive.writestr("a.class", chance.randbytes(600_000))
        pom = f"groupId=org.example\nartifactId=part{number}\nversion=1.{number}\n"
        archive.writestr(f"META-INF/maven/org.example/part{number}/pom.properties", pom)
        for inner in nested:
            archive.write(inner, f"lib/{inner.name}")
        archive.writestr("b.class", chance.randbytes(600_000))


def test_many_archives_and_those_in_one_take_few_rounds_and_the_same_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    top = tmp_path / "tree"
    _fill(top, 1)
    folder = top / "opt/app"
    folder.mkdir(parents=True)
    jars = [folder / f"part{number}.jar" for number in range(40)]
    for number, path in enumerate(jars):
        _jar(path, number, chance)
    _jar(top / "opt/whole.jar", 100, chance, jars[:20])
    image = _image(tmp_path, top, "jars.img")
    found, blocks, rounds = _inspected(image)
    assert sum(package.type == "maven" for package in found.packages) == 61
    assert blocks == sorted(set(blocks))
    assert rounds <= 15
    monkeypatch.setattr(wanted_files, "_FILES_AT_ONCE", 1)
    monkeypatch.setattr(javaarchive, "KEPT_LIMIT", 0)
    alone, blocks_alone, rounds_alone = _inspected(image)
    assert (found.packages, blocks) == (alone.packages, blocks_alone)
    assert rounds_alone > 4 * rounds


def test_a_fleet_reads_in_as_few_rounds_and_blocks_as_one_scan(tmp_path: Path, tree: Path) -> None:
    image = _image(tmp_path, tree, "disk.img")
    assert _inspected(image, ErrorRecordingSource) == _inspected(image)


@pytest.mark.parametrize("runtime", ["var/lib/docker", "var/lib/containers/storage"])
def test_a_hosts_containers_are_not_read_ahead(tmp_path: Path, tree: Path, runtime: str) -> None:
    host = tmp_path / "host"
    shutil.copytree(tree, host)
    assert runtime.encode() in RUNTIME_PATHS
    for number in range(1000):
        layer = host / runtime / "overlay" / f"layer{number}" / "diff/usr/share"
        layer.mkdir(parents=True)
        for index in range(4):
            (layer / f"file{index}").write_bytes(bytes(40_000))
    image = _image(tmp_path, host, "host.img")
    _, plain, _ = _inspected(_image(tmp_path, tree, "plain.img"))
    found, blocks, _ = _inspected(image)
    assert found.left_out == (f"/{runtime}",)
    # Inodes lie in tables: more of these, and not the layers' directories.
    assert len(blocks) - len(plain) < 12
