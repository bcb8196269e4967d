"""Every extractor, as a written tuple: OS packages first, since they say which files they own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS
from sidelight.inventory.listeners.extractors import LISTENER_EXTRACTORS
from sidelight.inventory.os import (
    apk,
    bottlerocket,
    dpkg,
    flatpak,
    kernel_images,
    moved_databases,
    other_managers,
    pacman,
    portage,
    rpm,
    rpm_manifest,
    snap,
)

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Extractor

OS_EXTRACTORS: Final[tuple[Extractor, ...]] = (
    dpkg.DpkgStatus(),
    dpkg.DpkgLists(),
    rpm.RpmSqlite(),
    rpm.RpmNdb(),
    rpm.RpmBerkeley(),
    rpm_manifest.RpmManifest(),
    apk.ApkInstalled(),
    pacman.PacmanLocal(),
    bottlerocket.BottlerocketInventory(),
    portage.PortageDatabase(),
    dpkg.OpkgStatus(),
    snap.SnapYaml(),
    snap.SnapState(),
    flatpak.FlatpakMetainfo(),
    flatpak.FlatpakDeployments(),
    other_managers.HomebrewReceipts(),
    other_managers.UnreadStores(),
    moved_databases.MovedDatabases(),
)

# Those whose file alone is a machine's package database: a machine with none is not understood.
DATABASES: Final[frozenset[str]] = frozenset(
    (
        "os/dpkg",
        "os/rpm-sqlite",
        "os/rpm-ndb",
        "os/rpm-berkeley",
        "os/rpm-manifest",
        "os/apk",
        "os/pacman",
        "os/bottlerocket",
        "os/portage",
        "os/opkg",
    )
)

EXTRACTORS: Final[tuple[Extractor, ...]] = (
    *OS_EXTRACTORS, kernel_images.EXTRACTOR, *LANGUAGE_EXTRACTORS, *LISTENER_EXTRACTORS,
)  # fmt: skip
