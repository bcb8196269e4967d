"""The documents of finding details, by the type of the finding."""

from __future__ import annotations

from typing import Final

from sidelight.model import Finding, FindingType, NetworkFinding
from sidelight.store.base import documents

_KINDS: Final[dict[str, type[Finding | NetworkFinding]]] = {
    FindingType.PACKAGE_VULNERABILITY.value: Finding,
    FindingType.NETWORK_REACHABILITY.value: NetworkFinding,
}


def load_finding(kind: str, document: str) -> Finding | NetworkFinding:
    """Load the document of a finding's details. Raises StoreError for any other document."""
    return documents.load(_KINDS.get(kind, Finding), document)
