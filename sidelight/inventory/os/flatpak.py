"""Flatpak applications and runtimes, by the AppStream metainfo that each may carry.

Runtimes, and applications of one's own, have none: these have the version of their branch.

Source: AppStream's specification, "Upstream Metadata": id, releases (the newest first).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.language.safe_parsers import parse_xml
from sidelight.inventory.protocol import Extraction, Wants
from sidelight.inventory.purl import format_purl
from sidelight.model import Package

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Machine, WantedFile

_PATH = re.compile(
    r"(?:.*/)?flatpak/(?:app|runtime)/([^/]+)/([^/]+)/.*/share/(?:metainfo|appdata)/"
    r"[^/]+\.(?:metainfo|appdata)\.xml"
)
_DEPLOYED = re.compile(
    r"(?:.*/)?flatpak/(?:app|runtime)/([^/]+)/([^/]+)/([^/]+)/[0-9a-f]+/metadata"
)
# Of a runtime that is split off another one: its sources, symbols, translations.
_PARTS = (".Sources", ".Debug", ".Locale", ".Docs")


def _below_installation(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """Return whether a path is such a file of a Flatpak installation; long paths are none."""
    return lambda path: (
        "flatpak/" in path and len(path) < 1024 and pattern.fullmatch(path) is not None
    )


class FlatpakMetainfo:
    """One application or runtime below a Flatpak installation."""

    name = "os/flatpak"
    wants = Wants(
        suffixes=frozenset((".xml",)),
        confirm=_below_installation(_PATH),
        limit=4 << 20,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """One package; none for an add-on. Raises DamagedError where it is not named."""
        path = f"/{file.path}"
        root = parse_xml(file.read())
        if root.get("type") == "addon":
            return Extraction()
        identity = (root.findtext("id") or "").strip().removesuffix(".desktop")
        release = root.find("releases/release")
        version = (release.get("version") or "").strip() if release is not None else ""
        if not identity or not version:
            raise DamagedError("an application without an id or a release", where=path)
        match = _PATH.fullmatch(file.path)
        arch = match[2] if match else ""
        package = Package(
            type="flatpak",
            name=identity,
            version=version,
            path=path,
            purl=format_purl("flatpak", "", identity, version, (("arch", arch),)),
            arch=arch,
            vendor=(root.findtext("developer_name") or "").strip(),
            licence=(root.findtext("project_license") or "").strip(),
        )
        return Extraction(packages=[package])


class FlatpakDeployments:
    """One application or runtime without metainfo, by the metadata of its deployment."""

    name = "os/flatpak-deployments"
    wants = Wants(
        names=frozenset(("metadata",)),
        confirm=_below_installation(_DEPLOYED),
        limit=1 << 20,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """One package, or none where metainfo gives a better version."""
        match = _DEPLOYED.fullmatch(file.path)
        if match is None or match[1].endswith(_PARTS) or _has_metainfo(file, match[1]):
            return Extraction()
        identity, arch, branch = match.groups()
        purl = format_purl("flatpak", "", identity, branch, (("arch", arch),))
        package = Package("flatpak", identity, branch, f"/{file.path}", purl, arch=arch)
        return Extraction(packages=[package])


def _has_metainfo(file: WantedFile, identity: str) -> bool:
    names = (
        f"files/share/{directory}/{identity}.{kind}.xml"
        for directory in ("metainfo", "appdata")
        for kind in ("metainfo", "appdata")
    )
    for name in names:
        try:
            if file.sibling(name, limit=0) is not None:
                return True
        except LimitError:
            return True
    return False
