"""The identity of a finding: an instance has at most one open finding of each type and key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sidelight.model import FindingType, NetworkFinding

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


def key_of(finding: Finding | NetworkFinding) -> str:
    """Return a finding's key.

    Of a package: vulnerability, package with its version, and path. Of a network: protocol, range
    of ports, and the ids of the path's steps from the edge inwards.
    """
    if isinstance(finding, NetworkFinding):
        ports = f"{finding.port_begin}-{finding.port_end}"
        steps = (step.id for step in finding.steps)
        return key(finding.type, finding.protocol, ports, finding.edge_id, *steps)
    package = finding.package
    return key(FindingType.PACKAGE_VULNERABILITY, finding.vulnerability, package.purl, package.path)
