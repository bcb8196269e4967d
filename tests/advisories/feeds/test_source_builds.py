"""The binaries of a source package: by Ubuntu's OSV records, and by Debian's `Packages`."""

from __future__ import annotations

from pathlib import Path
from shutil import which
from subprocess import run

import pytest

from sidelight.advisories.database.binary_sources import BinarySourceTable, decoded
from sidelight.advisories.feeds.formats import osv
from sidelight.advisories.feeds.read import read
from sidelight.advisories.source_builds import SourceBuild
from sidelight.errors import DamagedError
from tests.fixtures.feed_records import PACKAGES
from tests.fixtures.ubuntu_records import BEFORE_NAMES, affected, record


def builds(value: dict[str, object]) -> list[SourceBuild]:
    return [item for item in osv.parse(value) if isinstance(item, SourceBuild)]


def test_a_record_lists_the_binaries_of_each_source_and_release() -> None:
    jammy = affected("openssl", "3.0.2-0ubuntu1.8", "libssl3", "openssl")
    pro = affected("openssl", "1.0.2g-1ubuntu4.20+esm6", "libssl1.0.0", release="Ubuntu:Pro:16.04")

    assert builds(record(jammy, pro)) == [
        SourceBuild("Ubuntu:22.04", "openssl", ("libssl3", "openssl")),
        SourceBuild("Ubuntu:16.04", "openssl", ("libssl1.0.0",)),
    ]


def test_a_record_of_the_shape_before_names_is_read_too() -> None:
    assert builds(BEFORE_NAMES) == [
        SourceBuild("Ubuntu:16.04", "openssl", ("libssl1.0.0", "openssl"))
    ]


def test_a_version_that_is_none_of_the_sources_is_another() -> None:
    row = affected("gcc-defaults", "1.193", "gccgo", gcc="4:11.2.0-1", cpp="")

    (build,) = builds(record(row))

    assert build.other_versions == {"gcc", "cpp"}


def test_a_version_with_an_epoch_is_the_sources_in_the_packages_url_too() -> None:
    row = affected("util", "2", util="1:2.37-1")
    row["package"] = {"ecosystem": "Ubuntu:22.04", "name": "util",
                      "purl": "pkg:deb/ubuntu/util@1%3A2.37-1?arch=source"}  # fmt: skip

    (build,) = builds(record(row))

    assert not build.other_versions


def test_lists_of_other_ecosystems_are_not_sources_of_dpkgs_binaries() -> None:
    row = affected("openssl", "1", "libssl3", release="Debian:12")

    assert not builds(record(row))


def test_a_withdrawn_record_lists_nothing() -> None:
    value = record(affected("openssl", "1", "libssl3")) | {"withdrawn": "2024-02-01T00:00:00Z"}

    assert not builds(value)


@pytest.mark.parametrize(
    ("place", "ecosystem"),
    [
        ("dists/bookworm/main/binary-amd64/Packages", "Debian:12"),
        ("deb.debian.org_debian-security_dists_trixie-security_main_binary-arm64_Packages",
         "Debian:13"),
        ("trixie/debian-packages-bullseye-security-arm64/Packages", "Debian:11"),
    ],
)  # fmt: skip
def test_an_index_of_debian_names_the_source_of_each_binary(
    tmp_path: Path, place: str, ecosystem: str
) -> None:
    index = tmp_path / place
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_bytes(PACKAGES)

    assert [item.parsed for item in read(index)] == [
        SourceBuild(ecosystem, "gcc-defaults", ("gcc",), frozenset({"gcc"})),
        SourceBuild(ecosystem, "openssl", ("libssl3",)),
        SourceBuild(ecosystem, "jq", ("jq",)),
        SourceBuild(ecosystem, "bash", ("bash",)),
    ]


def test_an_index_of_no_release_is_refused(tmp_path: Path) -> None:
    index = tmp_path / "dists_stable_main_binary-amd64_Packages"
    index.write_bytes(PACKAGES)

    with pytest.raises(DamagedError, match=r"no release of Debian.*"):
        list(read(index))


@pytest.mark.slow
def test_the_mirrors_own_index_gives_its_machine_s_packages_their_sources(tmp_path: Path) -> None:
    """Apt's lists of this system, against what its dpkg has of the packages that are installed."""
    lists = sorted(Path("/var/lib/apt/lists").glob("*_debian*_dists_*_main_*_Packages.lz4"))
    if not lists or which("lz4") is None:
        pytest.skip("no list of apt's for Debian, or no lz4")
    table = BinarySourceTable()
    for packed in lists:
        index = tmp_path / packed.stem
        with index.open("wb") as out:
            run(["lz4", "-dc", str(packed)], stdout=out, check=True)
        for item in read(index):
            assert isinstance(item.parsed, SourceBuild)
            table.add(item.parsed)
    ((_, section),) = table.sections()
    certain = decoded(section, "").certain()
    query = ["dpkg-query", "-W", "-f", "${Package} ${source:Package}\\n"]
    installed = run(query, capture_output=True, text=True, check=True).stdout.split("\n")
    pairs = [line.split() for line in installed if line]
    known = [(name, source) for name, source in pairs if name in certain]
    assert len(known) > len(pairs) / 2
    assert [pair for pair in known if certain[pair[0]] != pair[1]] == []
