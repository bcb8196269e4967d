"""MANIFEST.MF: its main attributes, and the artefact that they speak of.

Source: the JAR file specification ("JAR manifest"); OSGi Core 3.2.1 (bundle headers).
"""

from __future__ import annotations

import re
from typing import Final

from sidelight.inventory.language.javagroups import RENAMED, known_group

# A group is a reversed domain, an artefact one word; what a build left unfilled is neither.
_GROUP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)+")
_ARTIFACT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VERSION: Final = re.compile(r"v?[0-9][A-Za-z0-9.+_-]*")
_GROUPS: Final = (
    "implementation-vendor-id",
    "bundle-symbolicname",
    "automatic-module-name",
    "extension-name",
    "specification-title",
    "implementation-title",
)
_VERSIONS: Final = (
    "implementation-version",
    "bundle-version",
    "specification-version",
    "plugin-version",
    "hudson-version",
)


def main_attributes(data: bytes) -> dict[str, str]:
    """The attributes before the first blank line, keys in lower case; continued lines joined."""
    attributes: dict[str, str] = {}
    key = ""
    pieces: list[str] = []
    for raw in data.decode("utf-8", "replace").splitlines():
        if not raw.strip():
            if key:
                break
            continue
        if raw[0] == " " and key:
            pieces.append(raw[1:])
            continue
        if key:
            attributes[key] = "".join(pieces).strip()
        name, colon, value = raw.partition(":")
        key = name.strip().lower() if colon else ""
        pieces = [value]
    if key:
        attributes.setdefault(key, "".join(pieces).strip())
    return attributes


def identity(
    attributes: dict[str, str], file_artifact: str, file_version: str
) -> tuple[str, str, str]:
    """(group, artifact, version), each empty where neither manifest nor file name tells it.

    A file name with a version is how Maven repositories name an artefact, so it goes before the
    manifest's titles; a group can only come from the manifest, or from a name that has dots.
    """
    # What is installed under its artefact's name alone is taken by it if that is a known one.
    artifact = file_artifact if file_version or known_group(file_artifact, "") else ""
    if not artifact:
        candidates = (
            attributes.get("implementation-title", ""),
            attributes.get("bundle-symbolicname", "").partition(";")[0],
            attributes.get("short-name", ""),
            file_artifact,
        )
        artifact = next((text for text in map(_word, candidates) if text), "")
    versions = (file_version, *(attributes.get(key, "") for key in _VERSIONS))
    version = next((text for text in versions if _VERSION.fullmatch(text)), "")
    artifact = RENAMED.get(artifact, artifact)
    group = known_group(artifact, version) or _group(attributes, artifact)
    return group, artifact, version


def _group(attributes: dict[str, str], artifact: str) -> str:
    for key in _GROUPS:
        value = attributes.get(key, "").partition(";")[0].strip()
        if not _GROUP.fullmatch(value):
            continue
        if key == "implementation-vendor-id":
            return value
        head, _, last = value.rpartition(".")
        if "." in head and last.replace("_", "-") in {artifact, artifact.rpartition("-")[2]}:
            return head
        if value != artifact:
            return value
    if _GROUP.fullmatch(artifact) and artifact.count(".") > 1:
        return artifact.rpartition(".")[0]
    return ""


def _word(text: str) -> str:
    return text if _ARTIFACT.fullmatch(text) else ""
