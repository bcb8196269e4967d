"""Files that the distribution's packages own are left out, as on the disk; a vendor's are not."""

from __future__ import annotations

import tarfile
from io import BytesIO

import pytest

from sidelight.inventory.collected.reading import read_collected
from tests.fixtures.collector_outputs import FLASK, output, tar

PATH = b"/" + FLASK[0].encode()
RHEL = ("etc/os-release", b'ID=rhel\nVERSION_ID="9.4"\n')
DEBIAN = ("etc/os-release", b'ID=debian\nVERSION_ID="12"\n')
STATUS = (
    b"Package: python3-flask\nStatus: install ok %s\nVersion: 2.0.0-1\nArchitecture: all\n"
    b"Maintainer: %s\n"
)
DEBIANS = b"Debian Python Team <team+python@tracker.debian.org>"
VENDORS = b"Docker <support@docker.com>"


def names(system: tuple[str, bytes], **sections: bytes) -> set[str]:
    found = read_collected(output(tar(system, FLASK), **sections))
    assert found.problems == ()
    return {package.name for package in found.packages}


@pytest.mark.parametrize(
    ("vendor", "release", "reported"),
    [
        (b"Red Hat, Inc.", b"2.0.0-1.el9", set()),
        (b"(none)", b"2.0.0-1.el9", set()),
        (b"Remi's RPM repository", b"2.0.0-1.el9.remi", {"flask"}),
        (b"Datadog, Inc.", b"2.0.0-1", {"flask"}),
    ],
)
def test_a_file_of_an_rpm_package_is_reported_by_who_ships_it(
    vendor: bytes, release: bytes, reported: set[str]
) -> None:
    line = b"\t".join((b"rpm", b"python3-flask", release, vendor, PATH))

    assert names(RHEL, owners=line + b"\n") == reported


@pytest.mark.parametrize(
    ("state", "maintainer", "reported"),
    [(b"installed", DEBIANS, set()), (b"installed", VENDORS, {"flask"}),
     (b"config-files", DEBIANS, {"flask"})],
)  # fmt: skip
def test_a_file_of_a_deb_package_is_reported_by_who_ships_it_and_whether_it_is_installed(
    state: bytes, maintainer: bytes, reported: set[str]
) -> None:
    line = b"dpkg\tpython3-flask\t" + PATH + b"\n"

    assert names(DEBIAN, owners=line, dpkg_status=STATUS % (state, maintainer)) == reported


def test_a_merged_directory_is_owned_under_both_names() -> None:
    line = b"dpkg\tpython3-flask\t" + PATH.replace(b"/usr/lib/", b"/lib/") + b"\n"
    status = STATUS % (b"installed", DEBIANS)

    found = read_collected(output(_with_link(tar(DEBIAN, FLASK)), owners=line, dpkg_status=status))

    assert found.packages == ()


def _with_link(archive: bytes) -> bytes:
    """The archive with /lib as a link to usr/lib, as another archive before it."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        info = tarfile.TarInfo("lib")
        info.type, info.linkname = tarfile.SYMTYPE, "usr/lib"
        file.addfile(info)
    return out.getvalue() + archive


@pytest.mark.parametrize("line", [b"dpkg\t../../etc/x\t/a", b"rpm\tshort", b"\t\t", b"apk\ta\t/b"])
def test_lines_of_another_form_own_nothing(line: bytes) -> None:
    assert names(DEBIAN, owners=line + b"\n") == {"flask"}
