"""A machine whose database rpm itself wrote: the collector and the disk give one answer."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.collected.reading import read_collected
from tests.fixtures.collected_trees import by_disk, comparable, metadata, write
from tests.fixtures.collectors import run_collector

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

RELEASE = 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nVERSION_ID="9.4"\nID_LIKE="fedora"\n'
PATHS = "/usr/lib:/usr/lib64:/usr/local/lib:/opt"
SPEC = """Name: {name}
Version: {version}
Release: 1.el9
Summary: built by a test
License: MIT
Vendor: {vendor}
BuildArch: noarch
%description
built by a test
%install
mkdir -p %{{buildroot}}
cp -a {files}/. %{{buildroot}}/
%files
{folder}
"""


def build(work: Path, root: Path, name: str, vendor: str, files: dict[str, str]) -> None:
    """Build a package of these files by rpmbuild, and install it by rpm."""
    files_folder = work / f"{name}-files"
    for path, text in files.items():
        write(files_folder / path, text)
    folder = "/" + "/".join(next(iter(files)).split("/")[:-1])
    spec = work / f"{name}.spec"
    spec.write_text(
        SPEC.format(name=name, version="1.0", vendor=vendor, files=files_folder, folder=folder)
    )
    subprocess.run(
        ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}", str(spec)],
        check=True, capture_output=True,
    )  # fmt: skip
    (package,) = (work / "RPMS/noarch").glob(f"{name}-*.rpm")
    subprocess.run(
        ["rpm", "--root", str(root), "-i", "--nodeps", "--noscripts", "--dbpath", "/var/lib/rpm",
         "--nosignature", str(package)],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild is absent")
    place, work = tmp_path / "machine", tmp_path / "work"
    place.mkdir()
    work.mkdir()
    write(place / "etc/os-release", RELEASE)
    site = "usr/lib/python3.9/site-packages"
    for name, vendor, files in (
        ("python3-requests", "Red Hat, Inc.",
         {f"{site}/requests-2.25.1.dist-info/METADATA": metadata("requests", "2.25.1")}),
        ("vendor-agent", "Vendor Incorporated",
         {"opt/agent/lib/flask-2.0.0.dist-info/METADATA": metadata("flask", "2.0.0")}),
    ):  # fmt: skip
        build(work, place, name, vendor, files)
    write(place / f"{site}/django-3.2.dist-info/METADATA", metadata("django", "3.2"))
    write(place / "usr/local/lib/node_modules/left-pad/package.json",
          '{"name": "left-pad", "version": "1.3.0"}')  # fmt: skip
    return place


@pytest.mark.parametrize("by", ["python", "python3.6", "dash", "bash"])
def test_files_of_the_distributions_packages_are_left_out_as_on_the_disk(
    root: Path, by: str
) -> None:
    on_disk = by_disk(root, PATHS)
    # Debian's rpm has another place for its database than RHEL's, Amazon's and SUSE's.
    rpm = shutil.which("rpm")
    write(
        root.parent / "programs/rpm", f'#!/bin/sh\nexec {rpm} --dbpath /var/lib/rpm "$@"\n', 0o755
    )

    found = read_collected(run_collector(root, by, PATHS, programs=root.parent / "programs"))

    assert comparable(found.packages) == on_disk
    assert {package.name for package in on_disk} == {"flask", "django", "left-pad"}
    # The shell's part says what it cannot look at.
    left = [item.what for item in found.problems if "no Python 3.6" not in item.what]
    assert left == []
