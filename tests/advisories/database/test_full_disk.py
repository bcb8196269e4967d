"""A build on a disk that is full names the file, and leaves nothing behind."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import build
from sidelight.errors import DatabaseError
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [4_096, 20_000, 90_000])
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    feeds, out = tmp_path / "feeds", tmp_path / "data" / "advisories.db"
    feeds.mkdir()
    out.parent.mkdir()
    (feeds / "osv-npm.zip").write_bytes(osv_zip(*range(600)))
    with files_of_at_most(size), pytest.raises(DatabaseError, match=r"advisories\.db: cannot be"):
        build([feeds], out)
    assert list(out.parent.iterdir()) == []
