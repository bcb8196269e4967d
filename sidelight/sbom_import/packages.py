"""Components of a bill of materials -> packages, in the form in which disks give them.

The purl decides; properties of Sidelight, Trivy and Syft add what purls do not have. The source
package is what advisories of Debian, Ubuntu and Alpine name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.inventory.os.rpm import source_of
from sidelight.inventory.protocol import MAX_PATH, REMARK_LIMIT
from sidelight.model import Package
from sidelight.purls import parse_purl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.purls import PackageUrl
    from sidelight.sbom_import.bill_contents import ListedComponent

_OWN: Final = "sidelight:"
_TRIVY: Final = "aquasecurity:trivy:"
_SYFT: Final = "syft:metadata:"
# Types whose versions may begin with an epoch.
_WITH_EPOCH: Final = frozenset({"deb", "rpm", "alpm"})
_BY_SOURCE: Final = frozenset({"deb", "rpm", "apk"})
# `group:artifact`, as in OSV's Maven records.
_SEPARATORS: Final = {"maven": ":"}
_FLAGS: Final = {"true": True, "false": False}


def package_of(component: ListedComponent) -> tuple[Package | None, PackageUrl | None, str]:
    """Return a component's package and purl; else None, and why it is not a package."""
    purl: PackageUrl | None = None
    if component.purl:
        try:
            purl = parse_purl(component.purl)
        except FormatError as error:
            return None, None, error.what
    own_type = component.properties.get(f"{_OWN}type", "")
    if purl is None and not own_type:
        return None, None, "without a package URL"
    kind = own_type or (purl.type if purl else "")
    version = _version(component, purl, kind)
    if not version and kind not in {"snap", "flatpak"}:
        return None, purl, "without a version"
    name = component.name if own_type else _name(component, purl)
    if not name:
        return None, purl, "without a name"
    return _package(component, purl, kind, name, version), purl, ""


def _package(
    component: ListedComponent, purl: PackageUrl | None, kind: str, name: str, version: str
) -> Package:
    properties = component.properties
    source = "", ""
    if f"{_OWN}type" in properties:
        source = (
            properties.get(f"{_OWN}source_name", ""),
            properties.get(f"{_OWN}source_version", ""),
        )
    elif kind in _BY_SOURCE:
        source = _source(component, purl, kind, version)
    arch = properties.get(f"{_OWN}arch") or (purl.qualifier("arch") if purl else "")
    return Package(
        type=kind,
        name=name,
        version=version,
        path=_path(component),
        purl=component.purl,
        arch=arch,
        source_name=source[0],
        source_version=source[1],
        vendor=(properties.get(f"{_OWN}vendor") or component.publisher)[:REMARK_LIMIT],
        modularity=_modularity(properties, purl),
        licence=(properties.get(f"{_OWN}licence") or component.licence)[:REMARK_LIMIT],
        direct=_FLAGS.get(properties.get(f"{_OWN}direct", "")),
        dev=_FLAGS.get(properties.get(f"{_OWN}dev", "")),
        layer=properties.get(f"{_OWN}layer", ""),
        running_kernel=_FLAGS.get(properties.get(f"{_OWN}running_kernel", "")),
    )


def _name(component: ListedComponent, purl: PackageUrl | None) -> str:
    """Return the name as OSV spells it. The component keeps the letter case that purls lose."""
    if purl is None:
        return component.name
    if purl.type in _BY_SOURCE or purl.type == "alpm":
        return purl.name
    separator = _SEPARATORS.get(purl.type, "/")
    name = f"{purl.namespace}{separator}{purl.name}" if purl.namespace else purl.name
    for written in (component.full_name, component.name):
        if written.lower() == name.lower():
            return written
    return name


def _version(component: ListedComponent, purl: PackageUrl | None, kind: str) -> str:
    version = (purl.version if purl else "") or component.version
    if f"{_OWN}type" in component.properties:
        return component.version
    if kind not in _WITH_EPOCH:
        return version
    epoch = purl.qualifier("epoch") if purl else ""
    head, colon, _rest = component.version.partition(":")
    if not epoch and colon and head.isdigit():
        epoch = head
    if ":" not in version and epoch.isdigit() and len(epoch) < 10 and int(epoch):
        version = f"{int(epoch)}:{version}"
    return version.removeprefix("0:") if kind == "rpm" else version


def _source(
    component: ListedComponent, purl: PackageUrl | None, kind: str, version: str
) -> tuple[str, str]:
    """Return the source package's name and version, as the tool that wrote the document has it."""
    properties = component.properties
    if name := properties.get(f"{_TRIVY}SrcName", ""):
        return name, _trivy_version(properties, kind)
    if component.built_from:
        name, _space, built = component.built_from.partition(" ")
        return name, built.strip()
    if kind == "rpm":
        upstream = purl.qualifier("upstream") if purl else ""
        name, built = source_of(upstream or properties.get(f"{_SYFT}sourceRpm", ""))
        return name or component.name, built or version.rpartition(":")[2]
    upstream = purl.qualifier("upstream") if purl else ""
    name, _at, built = upstream.partition("@")
    name = name or properties.get(f"{_SYFT}source", "")
    built = built or properties.get(f"{_SYFT}sourceVersion", "")
    name = name or properties.get(f"{_SYFT}originPackage", "") or component.name
    return name, built or version


def _trivy_version(properties: Mapping[str, str], kind: str) -> str:
    version = properties.get(f"{_TRIVY}SrcVersion", "")
    release = properties.get(f"{_TRIVY}SrcRelease", "")
    epoch = properties.get(f"{_TRIVY}SrcEpoch", "")
    if release:
        version = f"{version}-{release}"
    # An rpm's source has no epoch of its own in Sidelight's inventories.
    return f"{epoch}:{version}" if epoch not in {"", "0"} and kind == "deb" else version


def _modularity(properties: Mapping[str, str], purl: PackageUrl | None) -> str:
    return (
        properties.get(f"{_OWN}modularity", "")
        or properties.get(f"{_TRIVY}Modularitylabel", "")
        or properties.get(f"{_SYFT}modularityLabel", "")
        or (purl.qualifier("rpmmod") if purl else "")
    )


def _path(component: ListedComponent) -> str:
    own = component.properties.get(f"{_OWN}path", "")
    if own:
        return own[:MAX_PATH]
    path = (
        component.properties.get(f"{_TRIVY}FilePath", "")
        or component.properties.get("syft:location:0:path", "")
        or component.path
    )
    return f"/{path.lstrip('/')}"[:MAX_PATH] if path else ""
