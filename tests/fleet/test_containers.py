"""What container runtimes keep is in a fleet's inventories where the settings say so."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.blocks import ImageFile
from sidelight.disk import Attachment
from sidelight.fleet import bootstrap
from sidelight.fleet.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.images

STATUS = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5\n"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A Debian machine with a layer of Docker's, in which an npm package is installed."""
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if mkfs is None:
        pytest.skip("mkfs.ext4 is absent")
    tree = tmp_path / "tree"
    module = tree / "var/lib/docker/overlay2/abc/diff/srv/node_modules/left-pad"
    for directory in (tree / "etc", tree / "var/lib/dpkg", module):
        directory.mkdir(parents=True)
    (tree / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    (tree / "var/lib/dpkg/status").write_text(STATUS)
    (module / "package.json").write_text(json.dumps({"name": "left-pad", "version": "1.3.0"}))
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run([mkfs, "-q", "-d", str(tree), str(disk)], check=True)
    return disk


@pytest.mark.parametrize(
    ("environment", "layers"),
    [({}, {"bash": ""}), ({"SIDELIGHT_CONTAINERS": "1"}, {"bash": "", "left-pad": "docker"})],
)
def test_a_worker_reads_container_storage_if_the_settings_say_so(
    image: Path, tmp_path: Path, environment: dict[str, str], layers: dict[str, str]
) -> None:
    settings = Settings.from_environment(
        environment | {"SIDELIGHT_STORE_URL": f"sqlite:///{tmp_path}/store.db"}
    )
    assert Settings.from_environment(settings.as_environment()) == settings
    context = bootstrap.make_context(settings)
    with ImageFile(str(image)) as source:
        inventory = context.inspect([source], (Attachment("/dev/xvda"),))
    context.store.close()
    assert {package.name: package.layer for package in inventory.packages} == layers
