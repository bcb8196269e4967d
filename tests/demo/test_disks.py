"""The demo's disks hold the trees of their recipes, as our own readers see them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import build
import filesystems
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.filesystems.machine.mount_table import open_slices
from sidelight.filesystems.protocol import InodeKind
from tests.images.kernel import sidelight_view

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.model import Problem

RECIPES = [pytest.param(recipe, id=recipe.name) for recipe in build.RECIPES]
Content = dict[str, tuple[InodeKind, int, bytes]]


def in_archive(archive: Path) -> Content:
    """Path -> kind, permissions and hash or target, of a recipe's tree."""
    found: Content = {}
    with tarfile.open(archive) as file:
        for member in file:
            path = "/" + member.name.removeprefix(".").strip("/")
            if member.issym():
                found[path] = (InodeKind.SYMLINK, 0o777, member.linkname.encode())
            elif member.isdir():
                found[path] = (InodeKind.DIRECTORY, member.mode, b"")
            else:
                data = file.extractfile(member)
                assert data is not None, path
                found[path] = (InodeKind.REGULAR, member.mode, hashlib.sha256(data.read()).digest())
    del found["/"]
    return found


def in_image(image: Path) -> Content:
    """The same of a disk image with one filesystem, which is read without a problem."""
    problems: list[Problem] = []
    source = ImageFile(str(image))
    slices = volumes([source], problems)
    ((_, fs),) = open_slices(slices, problems)
    found = {
        path.decode(): (facts.kind, facts.mode & 0o777, facts.content)
        for path, facts in sidelight_view(fs).items()
        if path != b"/" and not path.startswith(b"/lost+found")
    }
    assert problems == []
    assert fs.problems == []
    source.close()
    return found


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_disk_holds_the_tree_of_its_recipe(recipe: build.Recipe, tmp_path: Path) -> None:
    image = build.build(recipe, tmp_path)
    assert image.stat().st_size == recipe.size << 20
    assert in_image(image) == in_archive(recipe.tree)


@pytest.mark.images
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipe_makes_a_filesystem_of_the_same_tree(
    recipe: build.Recipe, tmp_path: Path
) -> None:
    program = f"mkfs.{recipe.filesystem}"
    if shutil.which(program) is None:
        pytest.skip(f"{program} is absent")
    packed = filesystems.make(recipe, tmp_path)
    image = tmp_path / "image"
    image.touch()
    build.unpack(packed.read_bytes(), image)
    with image.open("r+b") as file:
        file.truncate(recipe.filesystem_size << 20)
    assert in_image(image) == in_archive(recipe.tree)


@pytest.mark.images
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_filesystem_is_clean_for_its_own_checker(recipe: build.Recipe, tmp_path: Path) -> None:
    checkers = {"xfs": ["xfs_repair", "-n"]}
    command = checkers.get(recipe.filesystem, ["e2fsck", "-fn"])
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is absent")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(recipe.filesystem_size << 20)
    build.unpack(recipe.packed.read_bytes(), image)
    done = subprocess.run([*command, image], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_disk_is_built_again_where_its_filesystem_is_newer(tmp_path: Path) -> None:
    (recipe,) = (recipe for recipe in build.RECIPES if recipe.name == "edge-1")
    image = build.build(recipe, tmp_path)
    first = image.read_bytes()
    image.write_bytes(b"of an older version")
    newer = recipe.packed.stat().st_mtime_ns
    os.utime(image, ns=(newer - 1, newer - 1))
    assert build.build(recipe, tmp_path).read_bytes() == first


@given(st.lists(st.sampled_from([b"\0", b"x"]), max_size=12), st.integers(0, 4095))
def test_what_is_packed_comes_back(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[bytes], rest: int
) -> None:
    data = b"".join(block * build.BLOCK for block in blocks) + b"y" * rest
    directory = tmp_path_factory.mktemp("packed")
    (directory / "image").write_bytes(data)
    packed = build.pack(directory / "image")
    with (directory / "copy").open("wb") as file:
        file.truncate(100 + len(data))
    build.unpack(packed, directory / "copy", 100)
    assert (directory / "copy").read_bytes() == bytes(100) + data
