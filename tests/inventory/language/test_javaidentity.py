"""Which artefact an archive is, by evidence of each kind and beside a distribution's record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.language.javaidentity import (
    Coordinates,
    Evidence,
    group_of_bundle,
    identify,
)
from sidelight.inventory.language.javanames import cuts, two_names

# Real archives of Debian: coordinates by its Maven repository, and what their manifests say.
JARS = json.loads((Path(__file__).parent / "fixtures" / "jars.json").read_text())


def named(path: str, **attributes: str) -> list[str]:
    found = {key.replace("_", "-"): value for key, value in attributes.items()}
    return [":".join(item[:3]) for item in identify(Evidence(path, found))]


def test_archives_of_a_distribution_are_named_as_its_maven_repository_does() -> None:
    right = sum(
        named(f"lib/{artifact}-{version}.jar", **attributes)
        in [[f"{name}:{version}"] for name in names]
        for names, artifact, version, attributes in JARS
    )
    # Without Maven's own files and directories; the others' manifests say nothing of their group.
    assert right >= len(JARS) * 0.93


def test_plain_names_are_completed_by_the_manifest() -> None:
    bundles = [
        row for row in JARS if "bundle-symbolicname" in row[3] and "bundle-version" in row[3]
    ]
    right = sum(
        [name.rpartition(":")[0] for name in named(f"lib/{artifact}.jar", **attributes)]
        in [[name] for name in names]
        for names, artifact, _, attributes in bundles
    )
    assert right >= len(bundles) * 0.9


@pytest.mark.parametrize(
    ("stem", "artifact", "version"),
    [
        ("log4j-1.2-api-2.17.1", "log4j-1.2-api", "2.17.1"),
        ("servlet-api-2.5-6.1.14", "servlet-api-2.5", "6.1.14"),
        ("hibernate-jpa-2.1-api-1.0.0.Final", "hibernate-jpa-2.1-api", "1.0.0.Final"),
        ("kafka_2.13-3.7.0", "kafka_2.13", "3.7.0"),
        ("jboss-servlet-api_3.1_spec-1.0.2.Final", "jboss-servlet-api_3.1_spec", "1.0.2.Final"),
        ("mssql-jdbc-9.4.1.jre8", "mssql-jdbc", "9.4.1.jre8"),
        ("guava-31.1-jre", "guava", "31.1-jre"),
        ("netty-handler-4.1.63.Final-redhat-00001", "netty-handler", "4.1.63.Final-redhat-00001"),
        ("picketbox-5.0.3.Final-jbossorg-1", "picketbox", "5.0.3.Final-jbossorg-1"),
        ("foo-1.0-20200101.120000-1", "foo", "1.0-20200101.120000-1"),
        ("foo-1.0-beta-2", "foo", "1.0-beta-2"),
        ("foo-1.0-SNAPSHOT", "foo", "1.0-SNAPSHOT"),
        ("postgresql-9.4-1206-jdbc42", "postgresql", "9.4-1206-jdbc42"),
        ("bcprov-jdk15on-1.70", "bcprov-jdk15on", "1.70"),
        ("spring-core-5.3.1-sources", "spring-core", "5.3.1"),
        ("spring-core-5.3.1-tests", "spring-core", "5.3.1"),
        ("app-2.0-jar-with-dependencies", "app", "2.0"),
        ("netty-tcnative-2.0.54.Final-linux-x86_64", "netty-tcnative", "2.0.54.Final"),
        ("commons-lang3-3.12.0", "commons-lang3", "3.12.0"),
        ("xmlsec", "xmlsec", ""),
        ("log4j-1.2-api", "log4j-1.2-api", ""),
    ],
)
def test_a_file_name_is_cut_where_the_version_begins(
    stem: str, artifact: str, version: str
) -> None:
    assert cuts(stem)[0] == (artifact, version)


WORD = st.from_regex(r"[a-z]{2,8}[0-9]{0,2}", fullmatch=True)


@given(
    artifact=st.lists(WORD, min_size=1, max_size=4).map("-".join),
    version=st.from_regex(
        r"[0-9]{1,2}\.[0-9]{1,2}(\.[0-9]{1,2})?(-(SNAPSHOT|beta-[0-9]|rc[0-9]))?", fullmatch=True
    ),
)
def test_artifact_and_version_make_a_name_that_is_cut_into_them(
    artifact: str, version: str
) -> None:
    assert cuts(f"{artifact}-{version}")[0] == (artifact, version)


@given(st.text(max_size=600))
def test_no_name_is_too_strange_to_be_cut(stem: str) -> None:
    for artifact, version in cuts(stem):
        assert len(artifact) + len(version) <= len(stem)


def default_bundle_name(group: str, artifact: str) -> str:
    """The rule of the maven-bundle-plugin, as its documentation has it."""
    last = group.rpartition(".")[2]
    if artifact == last:
        return group
    if artifact.startswith(last):
        return f"{group}.{artifact.removeprefix(last).lstrip('.-')}"
    return f"{group}.{artifact}"


@given(
    head=st.sampled_from(["org.example", "com.example.tools", "io.example.a.b"]),
    last=WORD,
    rest=WORD,
    form=st.integers(0, 1),
)
def test_the_group_of_a_default_bundle_name_is_found_again(
    head: str, last: str, rest: str, form: int
) -> None:
    group = f"{head}.{last}"
    artifact = (f"{last}-{rest}", f"{rest}-core")[form]
    if artifact.startswith(last) != (form == 0):
        return
    assert group_of_bundle(default_bundle_name(group, artifact), artifact) == group


@pytest.mark.parametrize(
    ("path", "attributes", "expected"),
    [
        # Tomcat's own names of its bundles have a dash where others have a dot.
        (
            "lib/catalina.jar",
            {"bundle_symbolicname": "org.apache.tomcat-catalina", "bundle_version": "9.0.90"},
            "org.apache.tomcat:tomcat-catalina:9.0.90",
        ),
        (
            "lib/tomcat-coyote.jar",
            {"bundle_symbolicname": "org.apache.tomcat-coyote", "bundle_version": "9.0.90"},
            "org.apache.tomcat:tomcat-coyote:9.0.90",
        ),
        # sbt's packager and Quarkus write the group before the artefact.
        (
            "lib/org.springframework.spring-web-5.3.0.jar",
            {"automatic_module_name": "spring.web", "implementation_title": "spring-web"},
            "org.springframework:spring-web:5.3.0",
        ),
        ("lib/org.postgresql.postgresql-42.2.5.jar", {}, "org.postgresql:postgresql:42.2.5"),
        ("lib/com.typesafe.akka.akka-actor_2.13-2.6.14.jar", {},
         "com.typesafe.akka:akka-actor_2.13:2.6.14"),
        ("lib/org.apache.logging.log4j.log4j-1.2-api-2.17.1.jar", {},
         "org.apache.logging.log4j:log4j-1.2-api:2.17.1"),
        ("lib/jakarta.el.jakarta.el-api-3.0.3.jar", {}, "jakarta.el:jakarta.el-api:3.0.3"),
        # A bundle's name is an artefact as a whole.
        (
            "plugins/org.apache.felix.framework-7.0.5.jar",
            {"bundle_symbolicname": "org.apache.felix.framework"},
            "org.apache.felix:org.apache.felix.framework:7.0.5",
        ),
        ("lib/javax.servlet-api-3.1.0.jar", {}, "javax.servlet:javax.servlet-api:3.1.0"),
        (
            "lib/ivy-2.4.0.jar",
            {"bundle_symbolicname": "org.apache.ivy", "implementation_vendor_id": "org.apache"},
            "org.apache.ivy:ivy:2.4.0",
        ),
        (
            "lib/elasticsearch-8.14.3.jar",
            {"implementation_title": "org.elasticsearch#server;8.14.3"},
            "org.elasticsearch:server:8.14.3",
        ),
        # The manifest says where the version begins.
        (
            "lib/log4j-1.2-api.jar",
            {"bundle_symbolicname": "org.apache.logging.log4j.1.2-api",
             "implementation_version": "2.17.1"},
            "org.apache.logging.log4j:log4j-1.2-api:2.17.1",
        ),
        (".m2/repository/org/z/tool/7-SNAPSHOT/tool-7-20200101.120000-1.jar", {},
         "org.z:tool:7-SNAPSHOT"),
    ],
)  # fmt: skip
def test_each_kind_of_evidence(path: str, attributes: dict[str, str], expected: str) -> None:
    assert named(path, **attributes) == [expected]


def test_the_own_pom_is_not_guessed_at_again() -> None:
    pom = Coordinates("org.mortbay.jetty", "servlet-api-2.5", "6.1.14")
    found = list(identify(Evidence("lib/servlet-api-2.5-6.1.14.jar", {}, [pom])))
    assert found == [pom]


def test_a_pom_without_a_version_takes_the_file_names() -> None:
    pom = Coordinates("org.z", "tool", "")
    assert [item.version for item in identify(Evidence("tool-7.1.jar", {}, [pom]))] == ["7.1"]
    found = identify(Evidence("tool.jar", {"implementation-version": "8.0"}, [pom]))
    assert [item.version for item in found] == ["8.0"]


@given(st.text(max_size=80))
def test_two_names_in_one_are_its_parts(name: str) -> None:
    assert all(f"{group}.{artifact}" == name for group, artifact in two_names(name))


def test_a_jenkins_plugin_without_mavens_files_is_named_by_its_manifest() -> None:
    group = "org.jenkins-ci.plugins"
    both = named("git.hpi", group_id=group, artifact_id="git", plugin_version="4.0.0")
    short = named("x.jpi", group_id=group, short_name="ant", plugin_version="1-SNAPSHOT (by me)")
    assert (both, short) == ([f"{group}:git:4.0.0"], [f"{group}:ant:1-SNAPSHOT"])
    assert named("a-1.0.jar", group_id="not a group", short_name="b", plugin_version="2") != []
