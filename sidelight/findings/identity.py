"""The identity of a finding: an instance has at most one open finding of each type and key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sidelight.model import FindingType

if TYPE_CHECKING:
    from sidelight.model import Finding


def key(kind: FindingType, *words: str) -> str:
    """Return the key of a finding of this type that these words identify on its instance.

    It is a SHA-256 in hexadecimal digits, since a path may be too long for an index.
    """
    # Stored keys of package findings are of their words alone.
    prefix = () if kind is FindingType.PACKAGE_VULNERABILITY else (kind.value,)
    text = "\0".join((*prefix, *words)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def key_of(finding: Finding) -> str:
    """Return a package finding's key: of vulnerability, package with its version, and path."""
    package = finding.package
    return key(FindingType.PACKAGE_VULNERABILITY, finding.vulnerability, package.purl, package.path)
