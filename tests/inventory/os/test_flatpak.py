"""Flatpak applications by their metainfo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, FormatError
from sidelight.inventory.os.flatpak import FlatpakDeployments, FlatpakMetainfo
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

_PATH = (
    "var/lib/flatpak/app/org.gimp.GIMP/x86_64/stable/0abc/files"
    "/share/metainfo/org.gimp.GIMP.metainfo.xml"
)


def _extract(data: bytes) -> Extraction:
    return FlatpakMetainfo().extract(MemoryFile(data, _PATH), Machine(OperatingSystem()))


@pytest.mark.conformance
def test_a_real_file(shared_data: Path) -> None:
    data = (shared_data / "manifests/osv-scalibr/os/flatpak/testdata/valid.xml").read_bytes()
    (package,) = _extract(data).packages
    assert (package.name, package.version) == ("org.gimp.GIMP", "2.10.38")
    assert package.purl == "pkg:flatpak/org.gimp.GIMP@2.10.38?arch=x86_64"


@pytest.mark.conformance
@pytest.mark.parametrize("name", ["bad.xml", "empty.xml", "noversion.xml"])
def test_real_files_that_name_nothing_are_damaged(shared_data: Path, name: str) -> None:
    data = (shared_data / "manifests/osv-scalibr/os/flatpak/testdata" / name).read_bytes()
    with pytest.raises(DamagedError):
        _extract(data)


_BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<component><id>&b;</id><releases><release version="1"/></releases></component>"""


@pytest.mark.parametrize(
    "data", [_BOMB, b"<a>" * 100_000, b"\0", b'<?xml version="1.0" encoding="x"?><a/>']
)
def test_hostile_documents_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        _extract(data)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(_PATH, True), ("usr/share/metainfo/a.metainfo.xml", False), ("flatpak/app/x.xml", False)],
)
def test_only_installations_of_flatpak_are_wanted(path: str, wanted: bool) -> None:
    confirm = FlatpakMetainfo().wants.confirm
    assert confirm is not None
    assert confirm(path) is wanted


_RUNTIME = "var/lib/flatpak/runtime/org.freedesktop.Platform/x86_64/22.08/0abc/metadata"


def test_a_runtime_without_metainfo_has_the_version_of_its_branch() -> None:
    file = MemoryFile(b"[Runtime]\n", _RUNTIME)
    (package,) = FlatpakDeployments().extract(file, Machine(OperatingSystem())).packages
    assert package.purl == "pkg:flatpak/org.freedesktop.Platform@22.08?arch=x86_64"


def test_an_application_with_metainfo_and_a_part_of_a_runtime_are_not_repeated() -> None:
    application = "flatpak/app/org.gimp.GIMP/x86_64/stable/0abc/metadata"
    metainfo = {"files/share/metainfo/org.gimp.GIMP.metainfo.xml": b"<component/>"}
    part = _RUNTIME.replace("Platform/", "Platform.Locale/")
    for file in (MemoryFile(b"", application, siblings=metainfo), MemoryFile(b"", part)):
        assert FlatpakDeployments().extract(file, Machine(OperatingSystem())).packages == []
