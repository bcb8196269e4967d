"""Storage of container runtimes in a machine's tree: left out, or labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import CollectOptions, collect
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.inventory.collected_machine import collect_root, package_names, write_file

if TYPE_CHECKING:
    from pathlib import Path


def _layer(root: Path) -> None:
    layer = root / "var/lib/docker/overlay2/abc/diff"
    write_file(layer, "etc/os-release", "ID=alpine\nVERSION_ID=3.20\n")
    write_file(layer, "lib/apk/db/installed", "P:musl\nV:1.2.5-r0\nA:x86_64\n")
    write_file(
        layer, "app/pip-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: pip\nVersion: 1\n"
    )


def test_runtime_paths_are_left_out(debian: Path) -> None:
    _layer(debian)
    assert package_names(collect_root(debian)) == ["bash", "python3-six", "requests"]


def test_runtime_paths_are_taken_in_with_a_label(debian: Path) -> None:
    _layer(debian)
    found = collect_root(debian, options=CollectOptions(include_containers=True))
    layered = {package.name: package for package in found.packages if package.layer}
    assert set(layered) == {"musl", "pip"}
    assert {package.layer for package in layered.values()} == {"docker"}
    assert layered["musl"].path == "/var/lib/docker/overlay2/abc/diff/lib/apk/db/installed"
    assert layered["musl"].purl.startswith("pkg:apk/alpine/musl@")
    assert "distro=alpine-3.20" in layered["musl"].purl
    assert found.os.id == "debian"


def _moved(root: Path) -> None:
    """The runtime's directory is a link to a larger disk's."""
    _layer(root)
    (root / "data/images").mkdir(parents=True)
    (root / "var/lib/docker").rename(root / "data/images/docker")
    (root / "var/lib/docker").symlink_to("/data/images/docker")
    write_file(
        root / "data", "pip-2.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 2\n"
    )


def test_runtime_paths_are_left_out_where_a_link_leads_to_them(debian: Path) -> None:
    _moved(debian)
    assert package_names(collect_root(debian)) == ["bash", "mine", "python3-six", "requests"]


def test_runtime_paths_behind_a_link_are_taken_in_with_a_label(debian: Path) -> None:
    _moved(debian)
    found = collect_root(debian, options=CollectOptions(include_containers=True))
    layered = {package.name: package for package in found.packages if package.layer}
    assert {name: package.layer for name, package in layered.items()} == {
        "musl": "docker",
        "pip": "docker",
    }
    assert layered["musl"].path == "/data/images/docker/overlay2/abc/diff/lib/apk/db/installed"


@pytest.mark.parametrize("target", ["usr", "data", "srv/shop"])
def test_a_runtime_s_link_to_what_is_not_its_own_hides_nothing(debian: Path, target: str) -> None:
    write_file(
        debian / target,
        "pip-2.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: mine\nVersion: 2\n",
    )
    (debian / "var/lib/containerd").symlink_to(f"/{target}")
    assert "mine" in package_names(collect_root(debian))


@pytest.mark.parametrize("containers", [False, True])
def test_a_bound_runtime_path_is_not_taken_for_the_machine_s_own(containers: bool) -> None:
    # As Bottlerocket has it: /var is bound to a directory of the data disk.
    metadata = b"Metadata-Version: 2.1\nName: %s\nVersion: 1\n"
    images = {"io.containerd.app": {"pip-1.dist-info": {"METADATA": metadata % b"pip"}}}
    own = {"own-1.dist-info": {"METADATA": metadata % b"own"}}
    data = MemoryFilesystem({"var": {"lib": {"containerd": images}}, "opt": own}, "data")
    tree = MachineTree(MemoryFilesystem({"etc": {}, "var": {}, "local": {}}))
    tree.mount("local", data)
    tree.bind("local/var", "var")
    found = collect(tree, CollectOptions(include_containers=containers))
    paths = {package.name: (package.path, package.layer) for package in found.packages}
    pip = ("/var/lib/containerd/io.containerd.app/pip-1.dist-info/METADATA", "containerd")
    assert paths == {
        "own": ("/local/opt/own-1.dist-info/METADATA", ""),
        **({"pip": pip} if containers else {}),
    }
