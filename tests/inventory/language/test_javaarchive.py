"""Java archives, nested and hostile."""

from __future__ import annotations

import contextlib
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import DamagedError, FormatError, LimitError
from sidelight.inventory.language import javaarchive, ziparchive
from tests.fixtures.hypothesis_profiles import many
from tests.fixtures.jars import EXTRACTOR, jar, manifest, pom, pom_xml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction


def test_pom_properties_name_an_archive(
    extract: Callable[..., Extraction],
) -> None:
    data = jar({**manifest(Bundle_License="Apache-2.0"), **pom("a.b", "c", "1.2")})
    [package] = extract(EXTRACTOR, "opt/c-1.2.jar", data).packages
    assert (package.name, package.version, package.licence) == ("a.b:c", "1.2", "Apache-2.0")
    assert package.path == "/opt/c-1.2.jar"


def test_a_shaded_archive_names_all_that_it_carries_and_itself(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], set[tuple[str, str]]]
) -> None:
    members = {**pom("x", "one", "1"), **pom("y", "two", "2")}
    members |= manifest(Implementation_Vendor_Id="net.example.app")
    found = extract(EXTRACTOR, "opt/app-3.0.jar", jar(members))
    assert facts(found) == {("x:one", "1"), ("y:two", "2"), ("net.example.app:app", "3.0")}


@pytest.mark.parametrize(
    ("path", "attributes", "expected"),
    [
        ("commons-io-2.4.jar", {}, ("commons-io:commons-io", "2.4")),
        ("spring-beans-5.3.17.jar", {}, ("org.springframework:spring-beans", "5.3.17")),
        ("kafka_2.13-3.7.0.jar", {}, ("org.apache.kafka:kafka_2.13", "3.7.0")),
        ("hibernate-core-5.6.15.jar", {}, ("org.hibernate:hibernate-core", "5.6.15")),
        ("hibernate-core-6.4.4.jar", {}, ("org.hibernate.orm:hibernate-core", "6.4.4")),
        (
            "lib/catalina.jar",
            {"Implementation_Title": "Apache Tomcat", "Implementation_Version": "9.0.83"},
            ("org.apache.tomcat:tomcat-catalina", "9.0.83"),
        ),
        (
            "x-1.0.jar",
            {"Bundle_SymbolicName": "net.example.x;singleton:=true"},
            ("net.example:x", "1.0"),
        ),
        (
            "thing.jar",
            {"Implementation_Title": "thing", "Implementation_Version": "4"},
            ("thing:thing", "4"),
        ),
        (".m2/repository/org/z/tool/7/tool-7.jar", {}, ("org.z:tool", "7")),
        ("caches/modules-2/files-2.1/org.z/tool/7/0a1b/tool-7.jar", {}, ("org.z:tool", "7")),
    ],
)
def test_without_a_maven_file_manifest_and_name_identify_the_archive(
    extract: Callable[..., Extraction],
    path: str,
    attributes: dict[str, str],
    expected: tuple[str, str],
) -> None:
    [package] = extract(EXTRACTOR, path, jar(manifest(**attributes))).packages
    assert (package.name, package.version) == expected


def test_continued_manifest_lines_are_one(extract: Callable[..., Extraction]) -> None:
    text = "Manifest-Version: 1.0\nImplementation-Vendor-Id: net.exam\n ple\n\nName: x\nA: b\n"
    [package] = extract(EXTRACTOR, "y-1.jar", jar({"META-INF/MANIFEST.MF": text})).packages
    assert package.name == "net.example:y"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_nested_archives_are_followed_and_placed(
    extract: Callable[..., Extraction], method: int
) -> None:
    inner = jar({"WEB-INF/lib/c-1.jar": jar(pom("a", "c", "1"))}, method)
    found = extract(EXTRACTOR, "srv/all.ear", jar({"web.war": inner}, method))
    [package] = found.packages
    assert package.path == "/srv/all.ear!/web.war!/WEB-INF/lib/c-1.jar"
    assert not found.problems


def test_listing_reads_the_directory_alone() -> None:
    stored = jar({"big.bin": b"\0" * (8 << 20), **pom("a", "c", "1")}, zipfile.ZIP_STORED)
    read = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal read
        read += length
        return stored[offset : offset + length]

    archive = ziparchive.ZipArchive(read_at, len(stored), ziparchive.InflateBudget(1 << 20))
    names = [member.name for member in archive.members()]
    assert len(names) == 2
    assert read < 1 << 18


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 524_288, 1_000_000])
def test_members_of_any_size_are_read_whole(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    data = jar({"m": content})
    budget = ziparchive.InflateBudget(1 << 24)
    archive = ziparchive.ZipArchive(lambda at, n: data[at : at + n], len(data), budget)
    [member] = archive.members()
    assert archive.read(member, size) == content


def test_a_launcher_before_the_archive_does_not_matter(
    extract: Callable[..., Extraction],
) -> None:
    data = b"#!/bin/sh\nexec java -jar $0\n" * 10 + jar(pom("a", "c", "1"))
    assert extract(EXTRACTOR, "c.jar", data).packages


def test_nesting_beyond_the_limit_is_reported(extract: Callable[..., Extraction]) -> None:
    data = jar(pom("a", "deepest", "1"))
    for _ in range(javaarchive.DEPTH_LIMIT + 1):
        data = jar({"n.jar": data, **pom("a", "level", "1")}, zipfile.ZIP_STORED)
    found = extract(EXTRACTOR, "n.jar", data)
    assert {package.name for package in found.packages} == {"a:level"}
    assert "deep" in found.problems[0].what


def test_a_bomb_ends_at_the_limit_and_the_rest_is_kept(
    extract: Callable[..., Extraction],
) -> None:
    bomb = jar({"zeros": b"\0" * (2 << 20)})
    large = jar({"x.jar": b"\0" * (javaarchive.HELD_LIMIT + 1)})
    data = jar({"bomb.jar": bomb, "large.jar": large, "d.jar": jar(pom("a", "d", "1"))})
    found = extract(EXTRACTOR, "all.ear", data)
    assert [package.name for package in found.packages] == ["a:d"]
    assert "large.jar!/x.jar" in found.problems[0].where


def test_a_lying_size_does_not_help_a_bomb(extract: Callable[..., Extraction]) -> None:
    data = bytearray(jar({"META-INF/MANIFEST.MF": b" " * (4 << 20), **pom("a", "c", "1")}))
    entry = data.find(b"PK\x01\x02")
    struct.pack_into("<L", data, entry + 24, 10)
    found = extract(EXTRACTOR, "c.jar", bytes(data))
    assert [package.name for package in found.packages] == ["a:c"]
    assert "inflates to more" in found.problems[0].what


def test_overlapping_archives_share_one_budget() -> None:
    data = jar({f"{index}.jar": b"" for index in range(10)})
    budget = ziparchive.InflateBudget(
        len(data) + 1
    )  # the search for the directory spends nearly all
    archive = ziparchive.ZipArchive(lambda at, n: data[at : at + n], len(data), budget)
    with pytest.raises(LimitError):
        list(archive.members())


@pytest.mark.parametrize("cut", [1, 10, 30, 60])
def test_a_truncated_archive_is_reported(extract: Callable[..., Extraction], cut: int) -> None:
    with pytest.raises(DamagedError):
        extract(EXTRACTOR, "c.jar", jar(pom("a", "c", "1"))[:-cut])


def test_an_encrypted_member_is_reported(extract: Callable[..., Extraction]) -> None:
    data = bytearray(jar({**manifest(), **pom("a", "c", "1")}))
    entry = data.find(b"PK\x01\x02")
    data[entry + 8] |= 1
    found = extract(EXTRACTOR, "c.jar", bytes(data))
    assert found.packages
    assert "encrypted" in found.problems[0].what


def test_what_is_no_archive_is_silent(extract: Callable[..., Extraction]) -> None:
    found = extract(EXTRACTOR, "notes.jar", b"just text")
    assert not found.packages
    assert not found.problems


NESTED = jar(
    {**manifest(Bundle_SymbolicName="a.b.c"), "lib/d-1.jar": jar(pom("a", "d", "1")), "e.jar": b""},
    zipfile.ZIP_STORED,
)


@many(300)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(NESTED) - 1), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, len(NESTED)),
)
def test_damaged_archives_raise_only_our_errors(
    extract: Callable[..., Extraction], changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(NESTED)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(FormatError):
        extract(EXTRACTOR, "x.jar", bytes(data))
    with contextlib.suppress(FormatError):
        extract(EXTRACTOR, "x.jar", bytes(data[:cut]))


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("guava-31.1-jre.jar", {("com.google.guava:guava", "31.1-jre")}),
        ("nested_at_10.jar", {("com.some.package:package-name", "1.2.3")}),
        (
            "complex.jar",
            {
                ("com.some.package:package-name", "1.2.3"),
                ("com.some.anotherpackage:another-package-name", "3.2.1"),
            },
        ),
        ("nested_at_100.jar", set()),
        ("empty.jar", set()),
        ("invalid_jar.jar", set()),
    ],
)
def test_real_archives(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    manifests: Path,
    name: str,
    expected: set[tuple[str, str]],
) -> None:
    found = extract(EXTRACTOR, name, manifests / "java/archive/testdata" / name)
    assert facts(found) == expected


def test_the_parts_of_netty_in_a_whole_are_listed(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], set[tuple[str, str]]]
) -> None:
    text = "#Generated\nnetty-codec-http.version=4.1.50.Final\nnetty-codec-http.repoStatus=clean\n"
    members = {
        "META-INF/io.netty.versions.properties": text,
        **pom("io.netty", "netty-all", "4.1.50"),
    }
    assert facts(extract(EXTRACTOR, "netty-all-4.1.50.jar", jar(members))) == {
        ("io.netty:netty-all", "4.1.50"),
        ("io.netty:netty-codec-http", "4.1.50.Final"),
    }


def nested(count: int, inner: bytes) -> bytes:
    members = {f"BOOT-INF/lib/a{number}-1.0.jar": inner for number in range(count)}
    return jar(members, zipfile.ZIP_STORED)


def test_a_large_spring_boot_program_is_within_every_limit(
    extract: Callable[..., Extraction],
) -> None:
    """Of 300 archives with 300 classes, manifests of 10 KB and a pom.xml of 300 elements."""
    inner: dict[str, bytes | str] = {f"c/C{number}.class": b"" for number in range(300)}
    inner |= manifest(Implementation_Vendor_Id="net.example", Export_Package="p," * 5_000)
    parts = "<dependency><groupId>a</groupId></dependency>" * 150
    inner |= pom_xml("net.example", "a", f"<version>1.0</version>{parts}")
    found = extract(EXTRACTOR, "opt/app-3.0.jar", nested(300, jar(inner)))
    assert len(found.packages) == 301
    assert not found.problems


def test_members_of_all_archives_of_one_file_have_a_limit(
    extract: Callable[..., Extraction], monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[ziparchive.InflateBudget] = []

    def budget(left: int) -> ziparchive.InflateBudget:
        budgets.append(ziparchive.InflateBudget(left))
        budgets[-1].members_left = 1000
        return budgets[-1]

    monkeypatch.setattr(javaarchive, "InflateBudget", budget)
    inner = jar({f"{number}": b"" for number in range(50)})
    found = extract(EXTRACTOR, "opt/app-3.0.jar", nested(100, inner))
    assert "members of archives in one file" in found.problems[0].what
    # Each archive after that is given up at its first entry.
    assert budgets[0].members_left >= -100


def test_more_parts_of_netty_than_there_are_is_a_problem(
    extract: Callable[..., Extraction],
) -> None:
    lines = "netty-x.version=4.1.1.Final\n" * 5_000
    found = extract(
        EXTRACTOR, "opt/x-3.0.jar", jar({"META-INF/io.netty.versions.properties": lines})
    )
    assert "parts of Netty" in found.problems[0].what
    assert len(found.packages) <= javaarchive.NETTY_LIMIT


@pytest.mark.parametrize("name", ["APP.JAR", "APP.WAR", "app.jar"])
def test_a_suffix_in_capitals_is_an_archive_too(
    extract: Callable[..., Extraction], name: str
) -> None:
    assert name[name.rindex(".") :] in EXTRACTOR.wants.suffixes
    inner = jar({f"WEB-INF/lib/{name}": jar(pom("a.b", "c", "1.2"))})
    [package] = extract(EXTRACTOR, f"opt/{name}", inner).packages
    assert package.path == f"/opt/{name}!/WEB-INF/lib/{name}"


@pytest.mark.parametrize("name", ["app.jar", "APP.JAR", "App.Jar", "app.jAr", "Shop.War", "a.Lpkg"])
def test_an_archive_s_ending_is_in_any_usual_case(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], set[tuple[str, str]]],
    name: str,
) -> None:
    assert name[name.rfind(".") :] in EXTRACTOR.wants.suffixes
    data = jar({f"lib/{name}": jar(pom("a.b", "c", "1.2"))})
    assert facts(extract(EXTRACTOR, f"opt/{name}", data)) == {("a.b:c", "1.2")}
