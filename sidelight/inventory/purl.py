"""Package URLs, written fast: a machine has thousands of packages.

Source: the package-url specification (ECMA-427), percent-encoding as its "Rules for each component"
say: unreserved characters and the colon stay, all else of a component is encoded as UTF-8.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import OperatingSystem

_PLAIN = re.compile(r"[A-Za-z0-9._~:-]*").fullmatch

# Types whose names and namespaces have no letter case, by the list of types. It has npm among them,
# but names of the registry's first years keep their case: `JSONStream` is not `jsonstream`.
_LOWER_CASE = frozenset(
    ("alpm", "apk", "bitbucket", "composer", "github", "gitlab", "hex", "luarocks", "oci")
)

# Qualifiers that say where a package comes from, if not from its type's public registry.
VCS = "vcs_url"
DOWNLOAD = "download_url"
REPOSITORY = "repository_url"
_ORIGIN = re.compile(rf"[?&](?:{VCS}|{DOWNLOAD}|{REPOSITORY})=").search

# os-release's ID where the vendor's purls are written otherwise.
_NAMESPACES = {
    "rhel": "redhat",
    "sles": "suse",
    "sled": "suse",
    "sle_hpc": "suse",
    "sles_sap": "suse",
    "opensuse-leap": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "opensuse-microos": "opensuse",
    "archarm": "arch",
}

# Their VERSION_ID is a date: no advisory goes by it.
_ROLLING = frozenset(("arch", "archarm", "opensuse-tumbleweed"))


def encode(text: str, safe: str = ":") -> str:
    """Percent-encode one component. Bytes that were not UTF-8 (surrogates) are encoded as such."""
    if _PLAIN(text):
        return text
    return quote(text, safe=safe, errors="surrogateescape")


def format_purl(
    kind: str,
    namespace: str,
    name: str,
    version: str,
    qualifiers: Iterable[tuple[str, str]] = (),
) -> str:
    """`pkg:kind/namespace/name@version?key=value&…`; empty parts are left out, keys are sorted.

    `kind` and the keys are the caller's own words, lower case. PyPI's names are to be normalised
    by the caller (PEP 503).
    """
    if kind in _LOWER_CASE:
        name, namespace = name.lower(), namespace.lower()
    parts = ["pkg:", kind, "/"]
    if namespace:
        parts += (encode(namespace, ":/"), "/")
    parts.append(encode(name))
    if version:
        parts += ("@", encode(version))
    pairs = sorted((key, value) for key, value in qualifiers if value)
    if pairs:
        parts += ("?", "&".join(f"{key}={encode(value, ':/')}" for key, value in pairs))
    return "".join(parts)


def is_of_public_registry(purl: str) -> bool:
    """Whether no qualifier of a purl gives another origin than its type's public registry."""
    return "_url=" not in purl or _ORIGIN(purl) is None  # few purls need the expression


def namespace_of(system: OperatingSystem, fallback: str) -> str:
    """The purl namespace of this system's own packages; `fallback` where the id is not known."""
    return _NAMESPACES.get(system.id, system.id) or fallback


def distro_of(system: OperatingSystem) -> str:
    """The `distro` qualifier: `debian-12`; a rolling release has no number; empty if unknown."""
    if not system.version_id or system.id in _ROLLING:
        return system.id
    return f"{system.id}-{system.version_id}"
