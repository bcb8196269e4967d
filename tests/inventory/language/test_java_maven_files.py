"""Maven's files of Java archives: pom.xml, pom.properties, and archives that are unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import javaunpacked, pomxml
from sidelight.inventory.language.javaproperties import properties
from tests.fixtures.jars import EXTRACTOR, POM, jar, manifest, pom, pom_xml

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction


PARENT = (
    "<parent><groupId>a.b</groupId><artifactId>up</artifactId><version>3</version></parent>"
    "<artifactId>c</artifactId>"
)
REVISION = (
    "<groupId>a.b</groupId><artifactId>c</artifactId><version>${revision}${tail}</version>"
    "<properties><revision>4</revision><tail>-rc1</tail></properties>"
)


@pytest.mark.parametrize(
    ("path", "inner", "version"),
    [
        ("c.jar", "<groupId>a.b</groupId><artifactId>c</artifactId><version>1.2</version>", "1.2"),
        (
            "c.jar",
            PARENT,
            "3",
        ),
        (
            "c.jar",
            REVISION,
            "4-rc1",
        ),
        # What the build was given is in the file name.
        (
            "c-5.jar",
            "<groupId>a.b</groupId><artifactId>c</artifactId><version>${revision}</version>",
            "5",
        ),
        ("c-6.jar", "", "6"),
    ],
)
def test_a_pom_xml_alone_names_an_archive(
    extract: Callable[..., Extraction], path: str, inner: str, version: str
) -> None:
    [package] = extract(EXTRACTOR, path, jar(pom_xml("a.b", "c", inner))).packages
    assert (package.name, package.version) == ("a.b:c", version)


def test_a_pom_xml_beside_its_properties_is_not_read(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], set[tuple[str, str]]]
) -> None:
    data = jar({**pom("a.b", "c", "1"), **pom_xml("a.b", "c", "<version>9</version>")})
    assert facts(extract(EXTRACTOR, "c.jar", data)) == {("a.b:c", "1")}


def test_a_damaged_pom_xml_is_a_problem(extract: Callable[..., Extraction]) -> None:
    members = {"META-INF/maven/a/b/pom.xml": "<project", **manifest(Implementation_Version="2")}
    found = extract(EXTRACTOR, "b-2.jar", jar(members))
    assert found.problems
    assert [package.version for package in found.packages] == ["2"]


def test_the_pom_xml_of_a_template_is_not_the_archives(extract: Callable[..., Extraction]) -> None:
    members = {"archetype-resources/pom.xml": "<project/>", **pom("a", "b", "1")}
    assert len(extract(EXTRACTOR, "b-1.jar", jar(members)).packages) == 1


@pytest.mark.slow
@pytest.mark.parametrize("text", [b"\n", b"\r", b"\f", b"a=\n", b"version=1\n"])
def test_texts_of_nothing_but_lines_are_given_up(
    extract: Callable[..., Extraction], text: bytes
) -> None:
    whole = text * ((1 << 20) // len(text))
    members: dict[str, bytes | str] = {POM.format("g", f"a{n}"): whole for n in range(40)}
    found = extract(EXTRACTOR, "opt/app-3.0.jar", jar(members))
    assert len(found.problems) > 10
    assert "more than allowed" in found.problems[0].what


@pytest.mark.parametrize(
    "text",
    [
        "#x\r\nversion : 1.2\r\ngroupId = a.b\r\nartifactId:c\r\n",
        "! x\n  version 1.2\ngroupId\ta.b\n artifactId =c",
        "version=1\\\n   .2\ngroupId=a\\u002eb\nartifactId=\\c\n",
        "version=0\nversion=1.2\ngroupId=a.b\nartifactId=c\n#version=3\\\n",
    ],
)
def test_a_pom_properties_is_read_as_java_reads_it(
    extract: Callable[..., Extraction], text: str
) -> None:
    data = jar({POM.format("a.b", "c"): text})
    [package] = extract(EXTRACTOR, "opt/x.jar", data).packages
    assert (package.name, package.version) == ("a.b:c", "1.2")


def test_a_properties_file_of_continued_lines_costs_no_more_than_its_length() -> None:
    line = "x\\\n"
    found = properties((line * 200_000).encode())
    assert len(found) == 1


PLACE = "srv/webapps/shop/META-INF/maven/org.example/shop"
MODEL = """<project><modelVersion>4.0.0</modelVersion>{0}<artifactId>shop</artifactId>
<dependencies><dependency><groupId>log4j</groupId><artifactId>log4j</artifactId>
<version>1.2.17</version></dependency></dependencies></project>"""
OWN = "<groupId>org.example</groupId><version>2.1</version>"


def test_an_unpacked_archive_is_named_by_its_maven_files(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], set[tuple[str, str]]]
) -> None:
    names = b"groupId=org.example\nartifactId=shop\nversion=2.1\n"
    unpacked = javaunpacked.EXTRACTOR
    by_properties = extract(unpacked, f"{PLACE}/pom.properties", names)
    assert facts(by_properties) == {("org.example:shop", "2.1")}
    alone = extract(unpacked, f"{PLACE}/pom.xml", MODEL.format(OWN))
    assert facts(alone) == {("org.example:shop", "2.1")}
    beside = {"pom.properties": names}
    assert not extract(unpacked, f"{PLACE}/pom.xml", MODEL.format(OWN), beside).packages


@pytest.mark.parametrize(
    ("path", "is_unpacked"),
    [
        (f"{PLACE}/pom.xml", True),
        (f"{PLACE}/pom.properties", True),
        ("srv/shop/pom.xml", False),
        ("srv/shop/target/maven-archiver/pom.properties", False),
    ],
)
def test_a_maven_file_is_of_an_unpacked_archive_or_of_a_project(
    path: str, *, is_unpacked: bool
) -> None:
    """A project's pom.xml lists dependencies; an unpacked archive's are what was built with it."""
    of_projects = pomxml.EXTRACTOR.wants.confirm
    of_unpacked = javaunpacked.EXTRACTOR.wants.confirm
    assert of_projects is not None
    assert of_unpacked is not None
    assert of_unpacked(path) is is_unpacked
    assert of_projects(path) is not is_unpacked
