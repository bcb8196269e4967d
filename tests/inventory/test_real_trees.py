"""Real trees and databases: equal to dpkg-query and rpm, and every package a canonical purl."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packageurl import PackageURL

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import Collected, collect
from tests.fakes.host_directory import HostDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Package

# Where the purl specification's list of types has a namespace, it is the vendor's.
SYSTEMS = {
    "rpm-sqlite": ("mariner", "2.0", "sqlite/cbl-mariner-2.0.rpmdb.sqlite", "rpmdb.sqlite"),
    "rpm-ndb": ("sles", "15.4", "ndb/sle15-bci.Packages.db", "Packages.db"),
    "rpm-berkeley": ("fedora", "27", "bdb/fedora-27.Packages.xz", "Packages"),
}
NAMESPACES = {"mariner": "mariner", "sles": "suse", "fedora": "fedora"}
BACKENDS = {"rpm-sqlite": "sqlite", "rpm-ndb": "ndb", "rpm-berkeley": "bdb_ro"}


def _check_purls(packages: Iterable[Package]) -> None:
    for package in packages:
        purl = PackageURL.from_string(package.purl)
        assert purl.to_string() == package.purl
        assert purl.type == package.type
        version = package.version
        if package.type == "rpm":
            epoch, _, version = version.rpartition(":")
            assert isinstance(purl.qualifiers, dict)
            assert purl.qualifiers.get("epoch", "") == epoch
        assert purl.version == version


def _system(top: Path, identity: str, version: str) -> None:
    (top / "etc").mkdir(parents=True)
    (top / "etc/os-release").write_text(f'ID={identity}\nVERSION_ID="{version}"\n')


def _collected(top: Path) -> Collected:
    found = collect(MachineTree(HostDirectory(top)))
    assert found.problems == []
    _check_purls(found.packages)
    return found


def _rpm_qa(database: Path, backend: str) -> set[str]:
    """What rpm itself lists: name, epoch, version, release, architecture, without imported keys."""
    if shutil.which("rpm") is None:
        pytest.skip("no rpm")
    form = "%{NAME}|%{EPOCH}|%{VERSION}-%{RELEASE}|%{ARCH}\\n"
    done = subprocess.run(
        [
            "rpm",
            "--dbpath",
            str(database),
            "--define",
            f"_db_backend {backend}",
            "-qa",
            "--qf",
            form,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        pytest.skip(f"this rpm cannot read {backend}: {done.stderr.strip()[:100]}")
    return {line for line in done.stdout.splitlines() if not line.startswith("gpg-pubkey|")}


def _as_rpm(package: Package) -> str:
    epoch, _, version = package.version.rpartition(":")
    return f"{package.name}|{epoch or '(none)'}|{version}|{package.arch or '(none)'}"


@pytest.mark.conformance
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_real_rpm_database_in_a_tree_equals_rpm_qa(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    identity, version, source, base = SYSTEMS[name]
    _system(tmp_path, identity, version)
    data = (shared_data / "rpmdb" / source).read_bytes()
    database = tmp_path / "var/lib/rpm"
    database.mkdir(parents=True)
    (database / base).write_bytes(lzma.decompress(data) if source.endswith(".xz") else data)
    found = _collected(tmp_path)
    for package in found.packages:
        purl = PackageURL.from_string(package.purl)
        assert purl.namespace == NAMESPACES[identity]
        assert isinstance(purl.qualifiers, dict)
        assert purl.qualifiers["distro"] == f"{identity}-{version}"
    copy = tmp_path / "copy"  # rpm may write beside a database that it reads
    shutil.copytree(database, copy)
    listed = _rpm_qa(copy, BACKENDS[name])
    # An epoch of 0 is not an epoch.
    assert {_as_rpm(package) for package in found.packages} == {
        line.replace("|0|", "|(none)|", 1) for line in listed
    }


@pytest.mark.conformance
def test_a_real_alpine_database_gives_canonical_purls(shared_data: Path, tmp_path: Path) -> None:
    _system(tmp_path, "alpine", "3.18.0")
    source = shared_data / "manifests/osv-scalibr/os/apk/testdata/installed"
    (tmp_path / "lib/apk/db").mkdir(parents=True)
    shutil.copy(source, tmp_path / "lib/apk/db/installed")
    found = _collected(tmp_path)
    names = {line[2:] for line in source.read_text().splitlines() if line.startswith("P:")}
    assert {package.name for package in found.packages} == names
    assert all(
        package.purl.startswith("pkg:apk/alpine/") and "distro=alpine-3.18.0" in package.purl
        for package in found.packages
    )


@pytest.mark.conformance
def test_this_machine_s_own_tree_equals_dpkg_query(tmp_path: Path) -> None:
    status = Path("/var/lib/dpkg/status")
    if shutil.which("dpkg-query") is None or not status.is_file():
        pytest.skip("this machine has no dpkg")
    (tmp_path / "etc").mkdir()
    shutil.copy("/etc/os-release", tmp_path / "etc/os-release")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    shutil.copy(status, tmp_path / "var/lib/dpkg/status")
    shutil.copytree("/var/lib/dpkg/info", tmp_path / "var/lib/dpkg/info")
    form = "${Package}|${Version}|${Architecture}|${db:Status-Status}\\n"
    command = ["dpkg-query", f"--admindir={tmp_path}/var/lib/dpkg", "-W", "-f", form]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = {
        line.rpartition("|")[0]
        for line in shown.splitlines()
        if line.rpartition("|")[2] not in {"config-files", "not-installed"}
    }
    found = _collected(tmp_path)
    assert {f"{p.name}|{p.version}|{p.arch}" for p in found.packages} == expected
