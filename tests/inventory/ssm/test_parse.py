"""What SSM's agent lists of a machine gives the inventory that a read of its disk gives."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.os import rpm as rpm_on_disk
from sidelight.inventory.os.dpkg import parse_status
from sidelight.inventory.os.rpm_header import RpmHeader
from sidelight.inventory.purl import distro_of, namespace_of
from sidelight.inventory.ssm import items, known_sources, parse, rpm
from sidelight.inventory.ssm.items import InventoryItem
from sidelight.inventory.ssm.parse import SsmReading, read
from sidelight.inventory.ssm.platforms import Platform, system_of
from sidelight.model import OperatingSystem, Status

if TYPE_CHECKING:
    from sidelight.inventory.ssm.known_sources import KnownSources

UBUNTU = Platform("Ubuntu", "22.04", "Linux")
AMAZON = Platform("Amazon Linux", "2023", "Linux")
SERVER = Platform("Microsoft Windows Server 2022 Datacenter", "10.0.20348", "Windows")
MAC = Platform("macOS", "14.5", "MacOS")
WINDOWS_KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion"


def reading(
    platform: Platform = UBUNTU, known: KnownSources | None = None, **types: object
) -> SsmReading:
    """Parse items by keyword: `Application=[…]` is AWS:Application."""
    by_type = {
        f"AWS:{name}": InventoryItem(f"AWS:{name}", entries)  # type: ignore[arg-type]
        for name, entries in types.items()
    }
    return read(by_type, platform, known)


def deb(name: str, version: str, arch: str = "x86_64") -> dict[str, str]:
    """An entry as the agent writes it for a dpkg package."""
    package_id = f"{name}_{version}_{arch}.deb"
    publisher = "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>"
    return {"Name": name, "Version": version, "Architecture": arch, "PackageId": package_id,
            "Publisher": publisher, "ApplicationType": "utils"}  # fmt: skip


def rpm_entry(name: str, **fields: str) -> dict[str, str]:
    """An entry as the agent writes it for an rpm package."""
    own = {"Name": name, "Version": "1.2", "Release": "3.amzn2023", "Architecture": "x86_64",
           "Publisher": "Amazon Linux", "PackageId": f"{name}-1.2-3.amzn2023.src.rpm"}  # fmt: skip
    return {**own, **fields}


def problems(result: SsmReading) -> str:
    return "\n".join(f"{item.where}: {item.what}" for item in result.inventory.problems)


@given(
    name=st.from_regex(r"[a-z][a-z0-9+.-]{0,20}", fullmatch=True),
    version=st.from_regex(r"[0-9][0-9a-z.~^]{0,12}", fullmatch=True),
    epoch=st.none() | st.integers(0, 1 << 31),
)
def test_an_rpm_package_is_the_one_that_its_database_gives(
    name: str, version: str, epoch: int | None
) -> None:
    system = system_of(AMAZON)
    source = f"{name}-src-{version}-3.amzn2023.src.rpm"
    header = RpmHeader(
        name, epoch, version, "3.amzn2023", "x86_64", source, "Amazon Linux", licence="MIT"
    )
    path, namespace = rpm.database_path(system), namespace_of(system, "rpm")
    on_disk = rpm_on_disk.package(header, path, namespace, distro_of(system))

    entry = rpm_entry(name, Version=version, PackageId=source)
    entry |= {} if epoch is None else {"Epoch": str(epoch)}

    assert rpm.package(entry, system) == replace(on_disk, licence="")


STATUS = b"""Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.2-0ubuntu1.15
Source: openssl
Maintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.11.dfsg-2ubuntu9.2
Source: zlib
Maintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>

Package: gcc
Status: install ok installed
Architecture: amd64
Version: 4:11.2.0-1ubuntu1
Source: gcc-defaults (1.193ubuntu1)
Maintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>
"""
ON_DISK = parse_status(STATUS, "/var/lib/dpkg/status", system_of(UBUNTU)).packages


def test_a_dpkg_package_is_the_one_of_the_status_file_where_its_source_is_known() -> None:
    listed = [deb(package.name, package.version) for package in ON_DISK]

    result = reading(known=known_sources.of_packages(ON_DISK), Application=listed)

    assert list(result.inventory.packages) == sorted(ON_DISK, key=lambda package: package.name)
    assert result.inventory.status is Status.COMPLETE


def test_a_newer_version_has_the_source_that_the_binary_has_in_all_known_versions() -> None:
    known = known_sources.of_packages(ON_DISK)

    result = reading(known=known, Application=[deb("libssl3", "3.0.2-0ubuntu1.18+b2")])

    (package,) = result.inventory.packages
    assert (package.source_name, package.source_version) == ("openssl", "3.0.2-0ubuntu1.18")


def test_a_binary_with_versions_of_its_own_has_no_guessed_source() -> None:
    known = known_sources.of_packages(ON_DISK)

    result = reading(known=known, Application=[deb("gcc", "4:11.4.0-1")])

    assert "1 packages whose source package is not known" in problems(result)
    assert result.inventory.status is Status.PARTIAL


def test_a_removed_package_is_left_out_where_the_disk_showed_it() -> None:
    known = known_sources.of_packages(ON_DISK, removed=[("libssl3", "3.0.2-0ubuntu1.15", "amd64")])

    result = reading(known=known, Application=[deb("libssl3", "3.0.2-0ubuntu1.15")])

    assert not result.inventory.packages


def test_what_dpkg_cannot_show_is_a_remark() -> None:
    known = known_sources.of_packages(ON_DISK)

    result = reading(known=known, Application=[deb("zlib1g", "1:1.2.11.dfsg-2ubuntu9.2")])

    assert any("removed with configuration" in remark for remark in result.remarks)


def test_the_running_kernel_is_marked_by_the_kernel_version() -> None:
    kernel = [
        rpm_entry("kernel", Version="6.1.102", Release="1.amzn2023"),
        rpm_entry("kernel", Version="6.1.90", Release="1.amzn2023"),
    ]
    details = [{"KernelVersion": "6.1.90-1.amzn2023.x86_64"}]

    result = reading(AMAZON, Application=kernel, InstanceDetailedInformation=details)

    assert {package.version: package.running_kernel for package in result.inventory.packages} == {
        "6.1.102-1.amzn2023": False,
        "6.1.90-1.amzn2023": True,
    }


def test_an_epoch_that_is_not_a_number_is_a_problem_and_not_used() -> None:
    result = reading(AMAZON, Application=[rpm_entry("a-b", Epoch="b")])

    assert result.inventory.packages[0].version == "1.2-3.amzn2023"
    assert "the epoch 'b' is not a number" in problems(result)


def test_imported_keys_are_no_packages() -> None:
    key = {"Name": "gpg-pubkey", "Version": "1", "Release": "2", "PackageId": "(none)"}

    result = reading(AMAZON, Application=[key, rpm_entry("bash")])

    assert [package.name for package in result.inventory.packages] == ["bash"]


def test_snaps_are_beside_debs() -> None:
    snap = {"Name": "core22", "Version": "20240111", "Architecture": "amd64",
            "PackageId": "pkg:snap/canonical*/core22@20240111"}  # fmt: skip
    known = known_sources.of_packages(ON_DISK)

    result = reading(known=known, Application=[snap, deb("libssl3", "3.0.2-0ubuntu1.15")])

    assert [package.type for package in result.inventory.packages] == ["deb", "snap"]


def test_bottlerockets_list_gives_rpm_packages_of_its_own_namespace() -> None:
    entry = {"Name": "kernel-6.1", "Version": "6.1.109", "Release": "1.1726.br1",
             "Architecture": "x86_64", "Publisher": "Bottlerocket", "Epoch": "0"}  # fmt: skip

    result = reading(Platform("Bottlerocket", "1.22.0", "Linux"), Application=[entry])

    (package,) = result.inventory.packages
    assert package.purl.startswith("pkg:rpm/bottlerocket/kernel-6.1@6.1.109-1.1726.br1")


def test_windows_has_its_build_from_the_registry() -> None:
    registry = [
        {"KeyPath": WINDOWS_KEY, "ValueName": "CurrentBuild", "Value": "20348"},
        {"KeyPath": WINDOWS_KEY, "ValueName": "UBR", "Value": "2700", "ValueType": "REG_DWORD"},
    ]
    updates = [{"HotFixId": "KB5041160"}, {"HotFixId": "File 1"}]

    result = reading(SERVER, Application=[], WindowsRegistry=registry, WindowsUpdate=updates)

    (package,) = result.inventory.packages
    assert (package.type, package.name, package.version) == (
        "windows", "Windows Server 2022", "10.0.20348.2700"
    )  # fmt: skip
    assert package.purl.endswith("?kb=5041160")


def test_windows_has_its_build_from_the_kernels_file_where_the_registry_is_not_collected() -> None:
    file = {"Name": "ntoskrnl.exe", "InstalledDir": r"C:\Windows\System32",
            "FileVersion": "10.0.20348.2655 (WinBuild.160101.0800)"}  # fmt: skip

    result = reading(SERVER, Application=[], File=[file])

    assert result.inventory.packages[0].version == "10.0.20348.2655"


@pytest.mark.parametrize("types", [{}, {"WindowsUpdate": []}], ids=["not collected", "empty"])
def test_absent_updates_of_windows_are_never_nothing_installed(types: dict[str, Any]) -> None:
    result = reading(SERVER, Application=[{"Name": "7-Zip", "Version": "24.08"}], **types)

    assert result.inventory.status is Status.PARTIAL
    assert "vulnerabilities of Windows cannot be judged" in problems(result)


def test_a_mac_has_its_version_from_the_agent() -> None:
    result = reading(MAC, Application=[{"Name": "Safari", "Version": "17.5"}])

    assert [(package.type, package.version) for package in result.inventory.packages] == [
        ("macos", "14.5"),
        ("macos-application", "17.5"),
    ]


def test_no_application_data_is_a_failure_and_not_an_empty_machine() -> None:
    result = reading(AMAZON)

    assert result.inventory.status is Status.FAILED
    assert "not collected" in problems(result)


def test_an_unknown_system_is_a_problem() -> None:
    result = reading(Platform("TempleOS", "5", "Linux"), Application=[rpm_entry("bash")])

    assert "the operating system 'TempleOS' is not known" in problems(result)


HOSTILE: list[tuple[str, object]] = [
    ("an entry that is a list", []),
    ("an entry that is null", None),
    ("a name that is a number", {"Name": 7, "Version": "1"}),
    ("a nested object", {"Name": {"Name": "a"}, "Version": "1"}),
    ("a name of 5,000 characters", {"Name": "a" * 5000, "Version": "1"}),
    ("a name of 2,000 characters", {"Name": "a" * 2000, "Version": "1", "Release": "1"}),
    ("51 attributes", {str(number): "x" for number in range(51)}),
    ("no name", {"Version": "1", "Release": "1"}),
    ("a terminal's control characters", {"Name": "a\x1b[2J", "Version": "1", "Release": "1"}),
    ("a line break in the version", {"Name": "a", "Version": "1\n2", "Release": "1"}),
]


@pytest.mark.parametrize("entry", [entry for _name, entry in HOSTILE], ids=[n for n, _e in HOSTILE])
@pytest.mark.parametrize("platform", [UBUNTU, AMAZON, SERVER, MAC])
def test_a_hostile_entry_is_a_problem_and_the_others_are_evaluated(
    platform: Platform, entry: object
) -> None:
    good = rpm_entry("bash")

    result = reading(platform, Application=[entry, good, entry])

    names = [package.name for package in result.inventory.packages]
    assert "bash" in names
    assert result.inventory.status is Status.PARTIAL
    assert all(name.isprintable() and len(name) <= 1024 for name in names)


@pytest.mark.parametrize("platform", [UBUNTU, AMAZON])
def test_a_package_without_a_version_is_a_problem(platform: Platform) -> None:
    entry = {"Name": "a", "Version": "", "Release": "1"}

    result = reading(platform, Application=[entry, rpm_entry("bash")])

    assert "'a' has no name or no version" in problems(result)


def test_more_entries_than_an_item_may_have_are_a_problem() -> None:
    result = reading(AMAZON, Application=[rpm_entry("bash")] * (items.MAX_ENTRIES + 1))

    assert f"the first {items.MAX_ENTRIES} are read" in problems(result)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    types=st.dictionaries(st.sampled_from(items.WANTED_TYPES), st.lists(json_values, max_size=4)),
    platform=st.sampled_from([UBUNTU, AMAZON, SERVER, MAC, Platform("Bottlerocket", "1", "Linux")]),
)
def test_no_item_raises(types: dict[str, list[object]], platform: Platform) -> None:
    by_type = {name: InventoryItem(name, entries) for name, entries in types.items()}

    result = read(by_type, platform)

    assert result.inventory.status is not Status.COMPLETE or result.inventory.packages


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("Amazon Linux", "2", ("amzn", "2")),
        ("Amazon Linux AMI", "2018.03", ("amzn", "2018.03")),
        ("Red Hat Enterprise Linux Server", "7.5", ("rhel", "7.5")),
        ("Debian GNU/Linux", "12.5", ("debian", "12")),
        ("SLES", "15.5", ("sles", "15.5")),
        ("openSUSE Leap", "15.6", ("opensuse-leap", "15.6")),
        ("Oracle Linux Server", "9.4", ("ol", "9.4")),
        ("Rocky Linux", "9.4", ("rocky", "9.4")),
        ("CentOS Linux", "7", ("centos", "7")),
        ("Microsoft Windows Server 2012 R2 Standard", "6.3.9600", ("windows-server", "2012 R2")),
        ("Microsoft Windows Server 23H2 Datacenter", "10.0.25398", ("windows-server", "23H2")),
        ("Microsoft Windows 11 Pro", "10.0.22631", ("windows", "11")),
        ("Mac OS X", "10.15.7", ("macos", "10.15.7")),
        ("\x1b[31mUbuntu", "22.04", ("", "")),
    ],
)
def test_a_platform_is_the_system_that_os_release_names(
    name: str, version: str, expected: tuple[str, str]
) -> None:
    system = system_of(Platform(name, version))

    assert (system.id, system.version_id) == expected


@pytest.mark.parametrize(
    ("system", "path"),
    [
        (OperatingSystem("rhel", "8.9"), "/var/lib/rpm/Packages"),
        (OperatingSystem("rocky", "9.4"), "/var/lib/rpm/rpmdb.sqlite"),
        (OperatingSystem("rhel", "10.0"), "/usr/lib/sysimage/rpm/rpmdb.sqlite"),
        (OperatingSystem("amzn", "2"), "/var/lib/rpm/Packages"),
        (OperatingSystem("amzn", "2018.03"), "/var/lib/rpm/Packages"),
        (OperatingSystem("amzn", "2023"), "/var/lib/rpm/rpmdb.sqlite"),
        (OperatingSystem("sles", "15.5"), "/usr/lib/sysimage/rpm/Packages.db"),
    ],
)
def test_packages_have_the_path_of_the_releases_database(
    system: OperatingSystem, path: str
) -> None:
    assert rpm.database_path(system) == path


@pytest.mark.conformance
def test_a_recorded_inventory_of_amazon_linux_gives_its_package(shared_data: Path) -> None:
    folder = shared_data / "control-plane/ssm/custodian/test_ec2_ssm_inventory_filter"
    answer = json.loads((folder / "ssm.ListInventoryEntries_1.json").read_text())["data"]
    item = InventoryItem(answer["TypeName"], answer["Entries"], answer["CaptureTime"])

    result = read({item.type_name: item}, AMAZON)

    (package,) = result.inventory.packages
    assert (package.name, package.version) == ("docker", "25.0.3-1.amzn2023.0.1")
    assert package.source_name == "docker"
    assert package.purl.startswith("pkg:rpm/amzn/docker@25.0.3-1.amzn2023.0.1?arch=x86_64")
    assert result.inventory.status is Status.COMPLETE


@pytest.mark.conformance
def test_recorded_platforms_are_known(shared_data: Path) -> None:
    found = set()
    for path in (shared_data / "control-plane/ssm/custodian").rglob("ssm.DescribeInstanceInfo*"):
        for one in json.loads(path.read_text())["data"]["InstanceInformationList"]:
            platform = Platform(one["PlatformName"], one["PlatformVersion"], one["PlatformType"])
            found.add((system_of(platform).id, system_of(platform).version_id))

    assert found == {("rhel", "7.5"), ("ubuntu", "18.04")}


def test_agents_list_packages_of_the_named_types_alone() -> None:
    kinds = set()
    for path in sorted(Path(parse.__file__).parent.glob("*.py")):
        kinds.update(re.findall(r'\btype="([a-z-]+)"', path.read_text(encoding="utf-8")))
    assert {"deb", "snap", "windows", "macos-application"} <= kinds <= parse.TYPES
