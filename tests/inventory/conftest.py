"""A small machine, for what is collected of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.inventory.collected_machine import DPKG_STATUS, write_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A small Debian with merged /usr; six belongs to an OS package, requests to nobody."""
    write_file(tmp_path, "usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\n')
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    (tmp_path / "lib").symlink_to("usr/lib")
    write_file(tmp_path, "var/lib/dpkg/status", DPKG_STATUS)
    six = "usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA"
    write_file(tmp_path, six, "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n")
    write_file(tmp_path, "var/lib/dpkg/info/python3-six.list", f"/.\n/usr\n/{six}\n/etc/motd\n")
    write_file(
        tmp_path,
        "opt/app/requests-2.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: requests\nVersion: 2.0\n",
    )
    return tmp_path
