"""`skip_dirs`: which directories a walk leaves out, what is read all the same, what is reported."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.blocks.cache import BlockCache
from sidelight.errors import UsageError
from sidelight.filesystems.machine.mount_table import MachineTree
from sidelight.inventory.collect import CollectOptions, collect
from sidelight.inventory.directory_globs import DirectoryGlob, SkippedDirectories, split_globs
from sidelight.scan import ScanOptions, inspect
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import CountingFetcher

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.inventory.collect import Collected

STATUS = b"Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\n\n"


def package(name: str) -> dict[str, object]:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode()
    return {f"{name}-1.dist-info": {"METADATA": metadata}}


MACHINE: dict[str, object] = {
    "etc": {"os-release": b"ID=debian\nVERSION_ID=12\n"},
    "var": {"lib": {"dpkg": {"status": STATUS} | package("beside"), "app": package("app")}},
    "opt": {
        "shop": {"node_modules": package("first"), "src": {"node_modules": package("second")}},
        "own": package("own"),
    },
    "usr": {"lib": {"python3": package("usual")}},
}


def collected(*globs: str) -> Collected:
    return collect(MachineTree(MemoryFilesystem(MACHINE)), CollectOptions(skip_dirs=globs))


def names(found: Collected) -> list[str]:
    return sorted(item.name for item in found.packages)


@pytest.mark.parametrize(
    ("glob", "path", "is_matched"),
    [
        ("/opt/data", "opt/data", True),
        ("opt/data/", "opt/data", True),
        ("/opt/data", "opt/data/below", False),
        ("/opt/data", "srv/opt/data", False),
        ("/opt/*", "opt/data", True),
        ("/opt/*", "opt/data/below", False),
        ("/opt/**", "opt", False),
        ("/opt/**", "opt/data/below", True),
        ("/opt/**/node_modules", "opt/node_modules", True),
        ("/opt/**/node_modules", "opt/a/b/node_modules", True),
        ("/opt/**/node_modules", "opt/a/node_modules/b", False),
        ("**/node_modules", "node_modules", True),
        ("**/a/**/b", "x/a/y/a/z/b", True),
        ("**/a/**/b", "a/x", False),
        ("/**", "opt", True),
        ("/srv/app-?.[0-9]", "srv/app-1.2", True),
        ("/srv/app-?.[0-9]", "srv/app-12", False),
        ("/srv/Ünïcode*", "srv/Ünïcode 2", True),
        ("/srv/a.b", "srv/aXb", False),
    ],
)
def test_which_paths_a_glob_is_about(glob: str, path: str, is_matched: bool) -> None:
    assert DirectoryGlob(glob).matches(path.encode().split(b"/")) is is_matched


def test_a_glob_of_many_stars_takes_no_exponential_time() -> None:
    glob = DirectoryGlob("/**/a" * 100 + "/b")
    assert not glob.matches([b"a"] * 1000)
    glob = DirectoryGlob("*a" * 500 + "b")
    assert not glob.matches([b"a" * 255])


@given(st.text(max_size=30), st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=4))
def test_any_text_is_a_glob_or_refused(text: str, path: list[bytes]) -> None:
    try:
        globs = split_globs(text)
    except UsageError:
        return
    for glob in globs:
        assert DirectoryGlob(glob).matches(path) in {True, False}


@pytest.mark.parametrize(
    "text", ["/", "a//b", "../a", "/opt/./x", "x" * 2000, ":".join(map(str, range(101)))]
)
def test_what_is_no_path_from_the_root_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        split_globs(text)


def test_language_packages_below_are_left_out_and_that_is_reported() -> None:
    assert names(collected()) == ["app", "bash", "beside", "first", "own", "second", "usual"]
    found = collected("/opt/**/node_modules", "/var/lib/app", "/nowhere")
    assert names(found) == ["bash", "beside", "own", "usual"]
    assert found.skipped == ["/var/lib/app: 1 directory", "/opt/**/node_modules: 2 directories"]
    assert found.problems == []


@pytest.mark.parametrize("globs", [("/**",), ("/var", "/etc", "/usr", "/opt"), ("/var/lib/dpkg",)])
def test_the_system_s_databases_are_read_in_any_case(globs: tuple[str, ...]) -> None:
    found = collected(*globs)
    assert "bash" in names(found)
    assert "beside" not in names(found)
    assert found.os.id == "debian"
    assert found.skipped
    assert found.problems == []


def test_databases_of_a_directory_a_package_are_read_in_any_case() -> None:
    skipped = SkippedDirectories(["/var/**"], [])
    for path in (
        b"var",
        b"var/db",
        b"var/db/pkg",
        b"var/db/pkg/sys-apps",
        b"var/db/pkg/sys-apps/a",
    ):
        assert not skipped.skips(path)
    assert skipped.skips(b"var/db/other")


@pytest.mark.images
@pytest.mark.slow
def test_no_block_below_a_directory_that_is_left_out_is_read(tmp_path: Path) -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("needs mke2fs")
    top = tmp_path / "tree"
    for path, data in {"etc/os-release": b"ID=debian\n", "var/lib/dpkg/status": STATUS}.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
    for number in range(40):
        folder = top / f"opt/shop/node_modules/p{number}"
        folder.mkdir(parents=True)
        text = f'{{"name": "p{number}", "version": "1.0.0"}}'
        (folder / "package.json").write_text(text.ljust(2_000_000))
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", top, image], check=True)
    names_with, blocks = read(image)
    names_without, fewer = read(image, "/opt/**/node_modules")
    assert names_with - names_without == {f"p{number}" for number in range(40)}
    assert names_without == {"bash"}
    padding = {block for block in blocks if is_padding(image, block)}
    assert len(padding) >= 40
    assert not padding & fewer
    assert len(fewer) < 10


def read(image: Path, *globs: str) -> tuple[set[str], set[int]]:
    """Names of packages, and the blocks that were read."""
    fetcher = CountingFetcher(str(image), "snapshot")
    cache = BlockCache(fetcher)
    options = ScanOptions(collecting=CollectOptions(skip_dirs=globs))
    found = inspect([cache], options)
    cache.close()
    fetcher.close()
    return {item.name for item in found.packages}, set(fetcher.fetched)


def is_padding(image: Path, block: int) -> bool:
    with image.open("rb") as file:
        file.seek(block * CountingFetcher.block_size)
        return not file.read(CountingFetcher.block_size).strip(b" ")
