"""One instance of the local cloud, as `sidelight scan i-…` reads it: its volumes by their ids."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from dispatcher.on_demand import inspect_instance
from sidelight.fleet.settings import Settings
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.services,
    pytest.mark.images,
    pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="needs mkfs.ext4"),
]

# As long as a volume's serial: EC2 gives the id when the disks are made already.
SERIAL = "vol" + "x" * 17
FSTAB = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{SERIAL} /srv ext4 defaults 0 2\n"
MODULE = '{"name":"%s","version":"1.0.0"}'


def _disk(path: Path, files: dict[str, str]) -> Path:
    tree = path.with_suffix(".tree")
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "srv").mkdir()
    with path.open("wb") as file:
        file.truncate(16 << 20)
    command = ["mkfs.ext4", "-q", "-d", str(tree), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def test_a_disk_that_fstab_names_by_its_volume_is_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = {"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/fstab": FSTAB}
    status = "Package: a\nVersion: 1\nStatus: x ok installed\n"
    root = _disk(tmp_path / "root.img", {**system, "var/lib/dpkg/status": status})
    disks = [
        _disk(tmp_path / f"{name}.img", {"node_modules/m/package.json": MODULE % name})
        for name in ("other", "served")
    ]
    cloud = LocalCloud(tmp_path / "cloud").start()
    try:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        instance = cloud.add_instance("web", [root, *disks])
        volume = sorted(cloud.volumes(instance).items())[2][1]
        data = root.read_bytes()
        assert data.count(SERIAL.encode()) == 1
        root.write_bytes(data.replace(SERIAL.encode(), volume.replace("-", "").encode()))
        settings = Settings.of(store_url=f"sqlite:///{tmp_path}/store.db")
        inventory, _ = inspect_instance(instance, settings)
    finally:
        cloud.stop()
    assert inventory.problems == ()
    assert [filesystem.mount for filesystem in inventory.filesystems] == ["/", "/srv", ""]
    served = next(package for package in inventory.packages if package.name == "served")
    assert served.path == "/srv/node_modules/m/package.json"
