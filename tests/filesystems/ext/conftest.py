"""What the ext tests share: skips with their reasons, and opened images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.filesystems.ext.reader import ExtFilesystem
from tests.images.ext import recipes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _tools(request: pytest.FixtureRequest) -> None:
    """Skip what cannot run here, and say why."""
    if request.node.get_closest_marker("mounts") and (reason := recipes.why_not_mountable()):
        pytest.skip(reason)
    if request.node.get_closest_marker("images") and (reason := recipes.missing()):
        pytest.skip(reason)


@pytest.fixture
def opened() -> Iterator[Callable[[Path], ExtFilesystem]]:
    """Open an image; its file is closed at the end."""
    files: list[ImageFile] = []

    def open_image(path: Path) -> ExtFilesystem:
        files.append(ImageFile(str(path)))
        return ExtFilesystem(files[-1])

    yield open_image
    for file in files:
        file.close()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample tree, made once."""
    top = tmp_path_factory.mktemp("tree") / "top"
    recipes.sample_tree(top)
    return top
