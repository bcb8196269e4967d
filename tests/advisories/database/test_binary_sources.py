"""The source packages of binaries: from Ubuntu's records into the database, and out of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.database import binary_sources
from sidelight.advisories.database.binary_sources import BinarySources, BinarySourceTable, decoded
from sidelight.advisories.source_builds import SourceBuild
from sidelight.errors import DatabaseError
from tests.fixtures.ubuntu_records import OLDER_DATABASE, affected, record

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.advisories import BuildSummary

JAMMY = "Ubuntu:22.04"


def built(folder: Path, *records: object) -> tuple[BuildSummary, AdvisoryDatabase]:
    feed = folder / "ubuntu.jsonl"
    feed.write_text("\n".join(json.dumps(item) for item in records))
    summary = build([feed], folder / "advisories.db")
    return summary, AdvisoryDatabase.open(folder / "advisories.db")


def test_a_database_has_the_sources_of_the_binaries_that_records_list(tmp_path: Path) -> None:
    openssl = affected("openssl", "3.0.2-0ubuntu1.8", "libssl3", "openssl")
    noble = affected("openssl", "3.0.13-0ubuntu3", "libssl3t64", release="Ubuntu:24.04:LTS")

    _summary, database = built(tmp_path, record(openssl, noble))

    jammy = database.binary_sources(JAMMY)
    assert jammy == BinarySources({"libssl3": ("openssl",), "openssl": ("openssl",)})
    assert jammy.certain() == {"libssl3": "openssl", "openssl": "openssl"}
    noble_sources = database.binary_sources("Ubuntu:24.04")
    assert noble_sources is not None
    assert noble_sources.certain() == {"libssl3t64": "openssl"}
    assert database.binary_sources("Debian:12") is None
    database.verify()


def test_a_binary_of_two_sources_in_a_release_is_not_certain(tmp_path: Path) -> None:
    old = affected("openssl1.0", "1.0.2n-1ubuntu5", "libcrypto-udeb", "libssl1.0.0")
    new = affected("openssl", "1.1.1-1ubuntu2", "libcrypto-udeb", "libssl1.1")

    _summary, database = built(tmp_path, record(old), record(new, name="UBUNTU-CVE-2024-0002"))

    jammy = database.binary_sources(JAMMY)
    assert jammy is not None
    assert jammy.sources["libcrypto-udeb"] == ("openssl", "openssl1.0")
    assert jammy.certain() == {"libssl1.0.0": "openssl1.0", "libssl1.1": "openssl"}


def test_a_binary_that_had_another_version_than_its_source_once_is_not_certain(
    tmp_path: Path,
) -> None:
    own = affected("gcc-defaults", "1.193ubuntu1", gcc="4:11.2.0-1ubuntu1", gccgo="1.193ubuntu1")
    equal = affected("gcc-defaults", "1.194", "gcc")

    _summary, database = built(tmp_path, record(own), record(equal, name="UBUNTU-CVE-2024-0002"))

    jammy = database.binary_sources(JAMMY)
    assert jammy is not None
    assert jammy.other_versions == {"gcc"}
    assert jammy.certain() == {"gccgo": "gcc-defaults"}


def test_records_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    one = record(affected("b", "1", "x", "y"))
    other = record(affected("a", "1", "y", "x", "z"), name="UBUNTU-CVE-2024-0002")
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()

    _summary, first = built(tmp_path / "first", one, other)
    _summary, second = built(tmp_path / "second", other, one)

    assert first.binary_sources(JAMMY) == second.binary_sources(JAMMY)
    sections = [[*table_of(order).sections()] for order in ("xyz", "zyx")]
    assert sections[0] == sections[1]


def table_of(binaries: str) -> BinarySourceTable:
    table = BinarySourceTable()
    for binary in binaries:
        table.add(SourceBuild(JAMMY, "a", (binary,)))
    return table


def test_a_database_that_was_built_before_opens_and_has_no_sources() -> None:
    database = AdvisoryDatabase.open(OLDER_DATABASE)

    database.verify()
    assert database.ecosystems == {JAMMY}
    assert database.binary_sources(JAMMY) is None


def test_more_binaries_than_the_limit_are_a_problem_once_and_those_known_stay_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary_sources, "MAX_BINARIES", 2)
    first = affected("a", "1", "x", "y")
    second = affected("b", "1", "z", "y")

    summary, database = built(tmp_path, record(first), record(second, name="UBUNTU-CVE-2024-0002"))

    assert summary.problem_count == 1
    assert "binary packages: the sources of others are not kept" in summary.problems[0].what
    jammy = database.binary_sources(JAMMY)
    assert jammy is not None
    assert jammy.certain() == {"x": "a"}  # y is of two sources, z is not kept


def test_a_binary_keeps_a_bounded_number_of_sources() -> None:
    table = BinarySourceTable()
    for number in range(100):
        table.add(SourceBuild(JAMMY, f"source{number}", ("x",)))

    (_ecosystem, section), *_ = table.sections()

    assert len(decoded(section, "").sources["x"]) == binary_sources.MAX_SOURCES


@pytest.mark.parametrize("section", [b"", b"[{}", b"1", b"[{}]", b"[[], []]", b'[{"a": 1}, []]'])
def test_a_damaged_section_is_an_error_with_the_path(section: bytes) -> None:
    with pytest.raises(DatabaseError) as caught:
        decoded(section, "advisories.db")

    assert caught.value.where == "advisories.db"


@pytest.mark.conformance
def test_ubuntus_real_records_give_the_sources_of_their_binaries(
    shared_data: Path, tmp_path: Path
) -> None:
    fixtures = shared_data / "advisories/os-native/vuls-data-update-fixtures"
    (archive,) = fixtures.glob("ubuntu/osv/**/osv-all.tar.xz")

    build([archive], tmp_path / "advisories.db")

    database = AdvisoryDatabase.open(tmp_path / "advisories.db")
    focal = database.binary_sources("Ubuntu:20.04")
    assert focal is not None
    assert focal.certain()["rabbitmq-server"] == "rabbitmq-server"
