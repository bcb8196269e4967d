"""Two cells with nothing in common but the advisory file, of which one is lost and rebuilt."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from benchmarks.cells import MACHINES, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.services,
    pytest.mark.images,
    pytest.mark.slow,
    pytest.mark.enable_socket,
]


def test_a_lost_cell_is_rebuilt_and_changes_no_other(tmp_path: Path) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if shutil.which("mkfs.ext4", path=path) is None:
        pytest.skip("mkfs.ext4 is absent (Debian package: e2fsprogs)")
    done = run(2, 2, tmp_path)
    assert done.scans == 2 * MACHINES
    # EC2 may list one of them later.
    assert done.adopted >= done.left_by_the_lost > 0
    assert done.others_unchanged
    assert done.rebuilt_alike
    assert done.left_at_the_end == 0
