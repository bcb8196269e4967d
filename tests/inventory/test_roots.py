"""Roots below the machine's root: whose packages are they, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.mount_table import MachineTree
from sidelight.inventory import roots
from sidelight.inventory.collect import Collected, CollectOptions, collect
from tests.fakes.memory_filesystem import MemoryFilesystem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidelight.filesystems.protocol import Entry
    from sidelight.model import Package

DEBIAN = b'ID=debian\nVERSION_ID="12"\n'
UBUNTU = b'ID=ubuntu\nVERSION_ID="22.04"\n'
REQUESTS = {
    "requests-2.25.1.egg-info": {
        "PKG-INFO": b"Metadata-Version: 1.1\nName: requests\nVersion: 2.25.1\n"
    }
}


def _status(name: str, version: str) -> bytes:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
        f"Version: {version}\n\n"
    ).encode()


def _python(name: str) -> dict[str, object]:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode()
    return {f"{name}-1.dist-info": {"METADATA": metadata}}


def _system(
    release: bytes, name: str, lists: Mapping[str, bytes] | None = None
) -> dict[str, object]:
    return {
        "etc": {"os-release": release},
        "usr": {"lib": {"python3": {"dist-packages": dict(REQUESTS)}}},
        "var": {"lib": {"dpkg": {"status": _status(name, "1.0-1"), "info": dict(lists or {})}}},
    }


OWNED = {
    "python3-requests.list": b"/usr/lib/python3/dist-packages/requests-2.25.1.egg-info/PKG-INFO\n"
}


def _machine(**more: object) -> dict[str, object]:
    machine = _system(
        DEBIAN,
        "bash",
        {"bash.list": b"/usr/lib/python3/dist-packages/requests-2.25.1.egg-info/PKG-INFO\n"},
    )
    for path, content in more.items():
        here = machine
        *above, name = path.split("/")
        for part in above:
            here = here.setdefault(part, {})  # type: ignore[assignment]
        here[name] = content
    return machine


def _collect(files: Mapping[str, object], *, containers: bool = False) -> Collected:
    tree = MachineTree(MemoryFilesystem(files, "disk"))
    return collect(tree, CollectOptions(include_containers=containers))


def _named(found: Collected) -> dict[str, Package]:
    assert len({package.name for package in found.packages}) == len(found.packages)
    return {package.name: package for package in found.packages}


class _InParts(MemoryFilesystem):
    """One whose directories come in parts of one entry, those of all directories by turns."""

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        listings = list(super().directories(numbers))
        longest = max((len(entries) for _, entries in listings), default=0)
        for at in range(max(1, longest)):
            for number, entries in listings:
                if at < max(1, len(entries)):
                    yield number, entries[at : at + 1]


def test_directories_that_come_in_parts_are_roots_too(monkeypatch: pytest.MonkeyPatch) -> None:
    files = _machine(**{"srv/guest": _system(UBUNTU, "zsh"), "srv/app": _python("flask")})
    whole = _collect(files)
    names = sorted(package.name for package in whole.packages)
    assert {"bash", "zsh", "flask"} <= set(names)
    monkeypatch.setattr(roots, "LARGE", 1)
    tree = MachineTree(_InParts(files, "disk"))
    found = collect(tree, CollectOptions())
    assert sorted(found.packages, key=repr) == sorted(whole.packages, key=repr)
    assert found.problems == whole.problems
    one = MachineTree(MemoryFilesystem(files, "disk"))
    for path in (b"", b"srv", b"srv/guest"):
        assert sorted(tree.listdir(path)) == sorted(one.listdir(path))


@pytest.mark.parametrize(
    "place",
    [
        "srv/chroot/jammy",
        "chroot",
        "var/lib/lxc-old/rootfs",
        "home/user/[odd] name",
        "mnt/ami/root",
    ],
)
def test_a_root_below_the_root_is_inventoried_as_its_own_system(place: str) -> None:
    found = _collect(
        _machine(
            **{
                place: _system(
                    UBUNTU, "openssl", {"python3-requests.list": OWNED["python3-requests.list"]}
                )
            }
        )
    )
    packages = _named(found)
    assert packages["openssl"].layer == f"/{place}"
    assert packages["openssl"].path == f"/{place}/var/lib/dpkg/status"
    assert "distro=ubuntu-22.04" in packages["openssl"].purl
    assert "distro=debian-12" in packages["bash"].purl
    assert packages["bash"].layer == ""
    assert found.os.id == "debian"


def test_language_packages_of_a_nested_root_carry_its_label() -> None:
    root = _system(UBUNTU, "openssl")
    found = _collect(_machine(**{"srv/jammy": root}))
    requests = [package for package in found.packages if package.name == "requests"]
    assert [package.layer for package in requests] == ["/srv/jammy"]


def test_a_root_within_a_nested_root_is_one_too() -> None:
    inner = _system(b"ID=alpine\nVERSION_ID=3.20\n", "zlib")
    outer = _system(UBUNTU, "openssl")
    outer["srv"] = {"inner": inner}
    found = _collect(_machine(**{"srv/outer": outer}))
    labels = {package.name: package.layer for package in found.packages if package.type == "deb"}
    assert labels["zlib"] == "/srv/outer"
    assert any(p.path.startswith("/srv/outer/srv/inner/") for p in found.packages)
    zlib = next(package for package in found.packages if package.name == "zlib")
    assert "alpine" in zlib.purl


def test_what_only_looks_like_a_root_is_the_machine_s() -> None:
    found = _collect(
        _machine(**{"opt/app": {"etc": {}, "usr": {"lib": _python("mine")}, "var": {"x.txt": b""}}})
    )
    own = _named(found)["mine"]
    assert own.layer == ""
    assert own.path == "/opt/app/usr/lib/mine-1.dist-info/METADATA"
    assert found.problems == []


def test_a_database_outside_of_any_root_is_a_problem() -> None:
    found = _collect(_machine(**{"data/var/lib/dpkg": {"status": _status("openssl", "1")}}))
    (problem,) = found.problems
    assert problem.where == "/data/var/lib/dpkg"
    assert "openssl" not in _named(found)


def test_the_machine_s_own_directories_behind_links_are_no_root_of_their_own() -> None:
    files = _machine()
    moved = {name: files.pop(name) for name in ("usr", "var", "etc")}
    files["data"] = moved
    files |= {name: f"data/{name}" for name in moved}
    found = _collect(files)
    assert {package.layer for package in found.packages} == {""}
    assert _named(found)["bash"].path == "/var/lib/dpkg/status"
    assert found.os.id == "debian"
    assert found.problems == []


# --- container runtimes ---

DOCKER: dict[str, object] = {"image": {}, "containers": {}, "volumes": {}, "engine-id": b""}
LAYER = {"diff": _system(UBUNTU, "openssl")}
RUNTIMES: dict[str, dict[str, object]] = {
    "var/lib/docker": {**DOCKER, "overlay2": {"0a1b": LAYER}},
    "home/user/.local/share/docker": {**DOCKER, "overlay2": {"0a1b": LAYER}},
    "var/lib/containers/storage": {"overlay-layers": {}, "overlay": {"0a1b": LAYER}},
    "root/.local/share/containers/storage": {
        "overlay-layers": {},
        "overlay-images": {},
        "overlay": {"0a1b": LAYER},
    },
    "var/lib/containerd": {
        "io.containerd.metadata.v1.bolt": {},
        "io.containerd.snapshotter.v1.overlayfs": {
            "snapshots": {"1": {"fs": _system(UBUNTU, "openssl")}}
        },
    },
    "var/lib/lxc": {"web": {"config": b"", "rootfs": _system(UBUNTU, "openssl")}},
    "var/lib/machines": {"web": _system(UBUNTU, "openssl")},
}


@pytest.mark.parametrize("path", RUNTIMES)
def test_a_runtime_s_own_is_left_out_and_counted(path: str) -> None:
    found = _collect(_machine(**{path: RUNTIMES[path]}))
    assert set(_named(found)) == {"bash"}
    assert len(found.left_out) == 1
    assert found.left_out[0].startswith(f"/{path}")
    assert found.problems == []


@pytest.mark.parametrize("path", RUNTIMES)
def test_taken_in_a_layer_s_packages_are_of_its_own_system(path: str) -> None:
    found = _collect(_machine(**{path: RUNTIMES[path]}), containers=True)
    openssl = _named_by(found, "openssl")
    assert openssl.layer
    assert not openssl.layer.startswith("/")
    assert "distro=ubuntu-22.04" in openssl.purl
    assert found.left_out == []


def _named_by(found: Collected, name: str) -> Package:
    (package,) = [package for package in found.packages if package.name == name]
    return package


@pytest.mark.parametrize(
    "path", ["var/lib/docker", "var/lib/containerd", "var/lib/containers/storage"]
)
def test_what_is_not_the_runtime_s_in_its_directory_is_scanned(path: str) -> None:
    files = {**RUNTIMES[path], **_python("direct"), "lib": _python("other")}
    found = _collect(_machine(**{path: files}))
    assert set(_named(found)) == {"bash", "direct", "other"}


@pytest.mark.parametrize(
    "path",
    [
        "opt/.local/share/docker",
        "home/user/.local/share/docker",
        "home/user/.local/share/containers/storage",
        "home/user/.local/share/containerd",
        "home/user/var/lib/docker",
        "var/lib/docker",
        "var/lib/machines/mine",
        "var/lib/lxc/mine/rootfs",
        "var/lib/kubelet/plugins",
        "run/docker",
        "run/containerd",
        "proc/1",
        "sys/x",
        "dev/shm",
    ],
)
def test_a_name_alone_hides_nothing(path: str) -> None:
    found = _collect(_machine(**{path: {"lib": _python("mine")}}))
    assert set(_named(found)) == {"bash", "mine"}
    assert found.left_out == []


@pytest.mark.parametrize("target", ["/usr/db", "../../usr/db", "../../../../../../usr/db"])
def test_a_link_to_a_database_in_a_root_below_the_root_leads_within_that_root(target: str) -> None:
    """As after chroot(2): absolute links begin there, and no number of ".." leaves it."""
    root = _system(UBUNTU, "openssl")
    databases: dict[str, object] = root["var"]["lib"]  # type: ignore[index]
    root["usr"]["db"] = databases["dpkg"]  # type: ignore[index]
    databases["dpkg"] = target
    machine = _machine(**{"srv/jammy": root})
    machine["usr"]["db"] = {"status": _status("decoy", "1.0-1")}  # type: ignore[index]
    packages = {p.name: p for p in _collect(machine).packages if p.type == "deb"}
    assert set(packages) == {"bash", "openssl"}
    assert packages["openssl"].layer == "/srv/jammy"


def test_a_stray_database_of_opkg_is_a_problem() -> None:
    found = _collect(_machine(**{"home/u/usr/lib/opkg/status": _status("openssl", "1")}))
    (problem,) = found.problems
    assert problem.where == "/home/u/usr/lib/opkg"


def test_a_stray_database_of_pacman_is_a_problem_and_the_machine_s_own_is_none() -> None:
    database = "var/lib/pacman/local"
    (problem,) = _collect(_machine(**{f"mnt/old/{database}/ALPM_DB_VERSION": b"9"})).problems
    assert problem.where == f"/mnt/old/{database}"
    assert _collect(_machine(**{f"{database}/ALPM_DB_VERSION": b"9"})).problems == []


def test_entware_s_packages_are_listed() -> None:
    found = _collect(_machine(**{"opt/lib/opkg/status": _status("openssl", "3.0-1")}))
    assert ("opkg", "openssl", "3.0-1") in [(p.type, p.name, p.version) for p in found.packages]
    assert found.problems == []
