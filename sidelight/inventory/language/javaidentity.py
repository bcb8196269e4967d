"""Which artefact a Java archive is, by what it carries and where it is.

The order of the evidence:

1. `META-INF/maven/…/pom.properties`: group, artefact and version as Maven resolved them. An archive
   may carry several: all are in it, and the one whose artefact the file name has is its own.
2. `META-INF/maven/GROUP/ARTIFACT/pom.xml` without such a twin: what its parent and its properties
   give; the directories name group and artefact, and the manifest or the file name the version
   where the build was given it (`${revision}`).
3. The path of a Maven repository or of Gradle's cache: `g/r/oup/artifact/version/`.
4. `Implementation-Title: group#artifact;version`, as Gradle's Nebula plugins write it, or Jenkins'
   `Group-Id`, `Artifact-Id` (else `Short-Name`) and `Plugin-Version`.
5. The file name's artefact and version, cut where the manifest's version says so; two names in
   one (`org.springframework.spring-web`) where the manifest or a table knows the second.
6. The manifest's Bundle-SymbolicName, Implementation-Title, Bundle-Name, Short-Name and
   Automatic-Module-Name for an artefact without a version in its file name.
The group of 5 and 6: a table for artefacts whose archives never carry it (`javagroups`),
Implementation-Vendor-Id, the inverse of the rule by which the maven-bundle-plugin makes
Bundle-SymbolicName from group and artefact, then module and extension names.

Source: Maven Archiver's documentation, the maven-bundle-plugin's ("Default Behavior"), the JAR file
specification, OSGi's bundle headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.inventory.language.javagroups import RENAMED, known_group
from sidelight.inventory.language.javanames import cuts, stem_of, two_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A group is a reversed domain, an artefact one word; what a build left unfilled is neither.
_GROUP: Final = re.compile(
    r"(?:[a-z]{2,3}|info|java|javax|jakarta|software|cloud|tech|dev|name|systems|ninja|pro|online)"
    r"(?:\.[A-Za-z0-9_-]+)+"
)
_ARTIFACT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VERSION: Final = re.compile(r"v?[0-9][A-Za-z0-9.+_-]*")
_NEBULA: Final = re.compile(r"([A-Za-z_][\w.-]*)#([\w.-]+);([\w.+-]+)")
_SPECIFIED: Final = re.compile(r"((?:javax|jakarta)\.[\w.]+)-api")
# Their projects are groups of their own: of `org.apache.ivy` the group is the whole.
_FORGES: Final = frozenset(
    (
        "org.apache", "org.eclipse", "org.codehaus", "org.glassfish", "org.jboss", "org.ow2",
        "com.google", "com.github", "com.sun", "com.typesafe", "net.sourceforge", "net.sf",
        "io.github", "com.oracle", "org.springframework",
    )
)  # fmt: skip
_VERSIONS: Final = (
    "implementation-version",
    "bundle-version",
    "specification-version",
    "plugin-version",
    "hudson-version",
)
_TITLES: Final = (
    "bundle-symbolicname",
    "implementation-title",
    "bundle-name",
    "short-name",
    "automatic-module-name",
)
_NAMES: Final = (
    "bundle-symbolicname",
    "automatic-module-name",
    "extension-name",
    "specification-title",
    "implementation-title",
)


class Coordinates(NamedTuple):
    """Of an artefact; what is not known is empty. `own`: of the archive itself, not within it."""

    group: str
    artifact: str
    version: str
    own: bool = True


@dataclass(slots=True)
class Evidence:
    """What one archive carries and where it is. `poms` in its order, `attributes` in lower case."""

    path: str
    attributes: dict[str, str] = field(default_factory=dict)
    poms: list[Coordinates] = field(default_factory=list)


def identify(evidence: Evidence) -> Iterator[Coordinates]:
    """The archive's own coordinates and those of what was put into it."""
    found = cuts(stem_of(evidence.path))
    own = False
    for pom in evidence.poms:
        is_own = _is_own(pom, evidence.poms, found)
        version = pom.version or (_version(evidence, found, pom.artifact) if is_own else "")
        if pom.artifact and version:
            own = own or is_own
            yield Coordinates(pom.group or pom.artifact, pom.artifact, version, is_own)
    named = bool(found[0][1])
    if not own and (named or not evidence.poms):
        one = _without_poms(evidence, found)
        if one.artifact and one.version and (one.group or not evidence.poms):
            yield one._replace(group=one.group or one.artifact)


def _is_own(
    pom: Coordinates, poms: Sequence[Coordinates], found: Sequence[tuple[str, str]]
) -> bool:
    """One alone is the archive's own, unless the file name says that it was shaded in."""
    if any(pom.artifact == artifact for artifact, _ in found):
        return True
    whole = {f"{pom.group}.{pom.artifact}", f"{pom.group}-{pom.artifact}"}
    if any(artifact in whole for artifact, _ in found):
        return True
    named = {version for _, version in found if version}
    return len(poms) == 1 and (not named or not pom.version or pom.version in named)


def _version(evidence: Evidence, found: Sequence[tuple[str, str]], artifact: str) -> str:
    """The version of a pom.xml that has none: the file name's, else the manifest's."""
    named = [version for name, version in found if name == artifact and version]
    return next(iter([*named, found[0][1], *_manifest_versions(evidence.attributes)]), "") or next(
        _manifest_versions(evidence.attributes), ""
    )


def _without_poms(evidence: Evidence, found: list[tuple[str, str]]) -> Coordinates:
    attributes = evidence.attributes
    if place := _by_place(evidence.path):
        return place
    if nebula := _NEBULA.fullmatch(attributes.get("implementation-title", "")):
        return Coordinates(nebula[1], nebula[2], nebula[3])
    if plugin := _jenkins_plugin(attributes):
        return plugin
    versions = set(_manifest_versions(attributes))
    fitting = [item for item in found if item[1] and item[1] in versions]
    artifact, version = (fitting or found)[0]
    if not fitting and versions and version and _agrees(_titles(attributes), found[-1][0]):
        artifact, version = found[-1]  # `log4j-1.2-api.jar`
    if not version:
        artifact = _titled(attributes, artifact)
        version = next(_manifest_versions(attributes), "")
    artifact = RENAMED.get(artifact, artifact)
    if group := known_group(artifact, version):
        return Coordinates(group, artifact, version)
    if pair := _two_in_one(artifact, version, attributes):
        return Coordinates(*pair, version)
    return Coordinates(_group(attributes, artifact), artifact, version)


def _jenkins_plugin(attributes: dict[str, str]) -> Coordinates | None:
    """The coordinates that Jenkins' build tools write; a snapshot's version has a remark."""
    group = attributes.get("group-id", "")
    artifact = attributes.get("artifact-id", "") or attributes.get("short-name", "")
    version = attributes.get("plugin-version", "").partition(" ")[0]
    if _GROUP.fullmatch(group) and _ARTIFACT.fullmatch(artifact) and _VERSION.fullmatch(version):
        return Coordinates(group, artifact, version)
    return None


def _manifest_versions(attributes: dict[str, str]) -> Iterator[str]:
    for key in _VERSIONS:
        version = attributes.get(key, "")
        if _VERSION.fullmatch(version):
            yield version


def _titled(attributes: dict[str, str], stem: str) -> str:
    """The artefact of an archive whose file name has no version.

    What is installed under its artefact's name alone is that, if a table or the manifest agrees.
    """
    stem = RENAMED.get(stem, stem)
    titles = _titles(attributes)
    if known_group(stem, "") or _agrees(titles, stem):
        return stem
    for title in titles[:4]:
        last = title.rpartition(".")[2]
        if known_group(last, "") and "-" in last:
            return last  # `org.apache.tomcat-catalina`
    fitting = (
        title for title in (titles[1], titles[0], *titles[2:4]) if _ARTIFACT.fullmatch(title)
    )
    return next(fitting, stem if _ARTIFACT.fullmatch(stem) else "")


def _titles(attributes: dict[str, str]) -> list[str]:
    return [attributes.get(key, "").partition(";")[0].strip() for key in _TITLES]


def _agrees(titles: Sequence[str], stem: str) -> bool:
    """Whether a name in the manifest may have been made from the artefact `stem`."""
    return any(
        _GROUP.fullmatch(title) and title != stem and group_of_bundle(title, stem)
        for title in titles
    )


def _two_in_one(name: str, version: str, attributes: dict[str, str]) -> tuple[str, str] | None:
    """(group, artifact) of `group.artifact`, None for a name that is an artefact's as a whole."""
    symbolic = attributes.get("bundle-symbolicname", "").partition(";")[0].strip()
    title = attributes.get("implementation-title", "")
    ways = two_names(name)
    for group, artifact in ways:
        known = known_group(artifact, version)
        if known and (known == group or known.startswith(group + ".")):
            return known, artifact
    for group, artifact in ways[:1]:
        repeated = group.rpartition(".")[2] == artifact or _SPECIFIED.fullmatch(artifact)
        hyphened = "-" in artifact and "." in group and not name.startswith(("javax.", "jakarta."))
        if title == artifact or repeated or (hyphened and symbolic != name):
            return group, artifact
    return None


def _group(attributes: dict[str, str], artifact: str) -> str:
    vendor = attributes.get("implementation-vendor-id", "").strip()
    if _GROUP.fullmatch(vendor) and vendor not in _FORGES:
        return vendor
    if specified := _SPECIFIED.fullmatch(artifact):
        return specified[1]
    names = [attributes.get(key, "").partition(";")[0].strip() for key in _NAMES]
    names = [name for name in names if _GROUP.fullmatch(name)]
    for name in names:
        if group := group_of_bundle(name, artifact):
            return group
    other = next((name for name in names if name != artifact), "")
    if other or vendor:
        return other or vendor
    return artifact.rpartition(".")[0] if artifact.count(".") > 1 else ""


def group_of_bundle(name: str, artifact: str) -> str:
    """The group from which a bundle's default name was made with this artefact; empty if none was.

    The name is `group.artifact`; the artefact goes where it is the group's last section, and that
    section goes where the artefact begins with it: `org.eclipse.jetty` and `jetty-server` make
    `org.eclipse.jetty.server`.
    """
    head, _, last = name.rpartition(".")
    if "." in artifact and name.endswith("." + artifact):
        return name[: -len(artifact) - 1]
    if last.replace("_", "-") == artifact.replace("_", "-"):
        return name if head in _FORGES or "." not in head else head
    parts = name.split(".")
    for count in range(len(parts) - 1, 1, -1):
        prefix, rest = parts[count - 1], parts[count:]
        left = artifact.removeprefix(prefix)
        if left != artifact and re.split(r"[.-]", left.lstrip(".-")) == re.split(
            r"[.-]", ".".join(rest)
        ):
            return ".".join(parts[:count])
    return head if name == artifact and name.count(".") > 1 else ""


def _by_place(path: str) -> Coordinates | None:
    """The coordinates that a Maven repository's or Gradle's cache's directories spell."""
    parts = path.split("/")
    if len(parts) > 5 and "files-2.1" in parts[:-5]:
        group, artifact, version, _, base = parts[-5:]
        if base.startswith(f"{artifact}-{version}"):
            return Coordinates(group, artifact, version)
    if len(parts) > 4:
        *above, artifact, version, base = parts
        root = max((i for i, part in enumerate(above) if part in _REPOSITORIES), default=-1)
        group = ".".join(above[root + 1 :])
        plain = version.removesuffix("-SNAPSHOT")
        if root >= 0 and group and base.startswith(f"{artifact}-{plain}"):
            return Coordinates(group, artifact, version)
    return None


_REPOSITORIES: Final = frozenset(("repository", "maven-repo", "m2repo", ".m2", "maven2"))
