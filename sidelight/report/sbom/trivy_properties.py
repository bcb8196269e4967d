"""Properties by which Trivy knows a system package's source and epoch in a CycloneDX document.

Source: Trivy's own documents (`trivy image --format cyclonedx`). Without the source package it
would match a binary package's name with advisories of sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.versions import evr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.model import Package

_TYPES: Final = frozenset({"deb", "rpm", "apk"})
_PREFIX: Final = "aquasecurity:trivy:"


def of(package: Package) -> Iterator[tuple[str, str]]:
    """Yield names and values; nothing for a package of a language."""
    if package.type not in _TYPES:
        return
    if package.type == "apk":
        parts = ("", package.source_version or package.version, "")
    else:
        split = evr.split(package.type, package.source_version or package.version)
        parts = (str(split.epoch or ""), split.version, split.release)
    values = (
        ("SrcName", package.source_name or package.name),
        ("SrcEpoch", parts[0]),
        ("SrcVersion", parts[1]),
        ("SrcRelease", parts[2]),
        ("Modularitylabel", package.modularity),
    )
    yield from ((_PREFIX + name, value) for name, value in values if value)
