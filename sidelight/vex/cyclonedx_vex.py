"""The analyses of a CycloneDX document's vulnerabilities, as statements.

Source: the specification. What a vulnerability affects is a reference to a component of the
document, a BOM-Link to one of another document, or a purl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sidelight.json_texts import mapping_of, mappings, text
from sidelight.model import VexStatus
from sidelight.purls import purl_or_none
from sidelight.vex.statements import VexProduct, VexStatement, normal_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STATES: Final = {
    "resolved": VexStatus.FIXED,
    "resolved_with_pedigree": VexStatus.FIXED,
    "exploitable": VexStatus.AFFECTED,
    "in_triage": VexStatus.UNDER_INVESTIGATION,
    "false_positive": VexStatus.NOT_AFFECTED,
    "not_affected": VexStatus.NOT_AFFECTED,
}
# CycloneDX's justification -> OpenVEX's.
TO_OPENVEX: Final = {
    "code_not_present": "vulnerable_code_not_present",
    "code_not_reachable": "vulnerable_code_not_in_execute_path",
    "requires_configuration": "vulnerable_code_cannot_be_controlled_by_adversary",
    "requires_dependency": "component_not_present",
    "requires_environment": "vulnerable_code_cannot_be_controlled_by_adversary",
    "protected_by_compiler": "inline_mitigations_already_exist",
    "protected_at_runtime": "inline_mitigations_already_exist",
    "protected_at_perimeter": "inline_mitigations_already_exist",
    "protected_by_mitigating_control": "inline_mitigations_already_exist",
}
_MAX_COMPONENTS: Final = 500_000


def statements_of(document: Mapping[str, object], source: str) -> Iterator[VexStatement]:
    """Yield a statement for each vulnerability that has an analysis with a state."""
    metadata = mapping_of(document.get("metadata"))
    issued = text(metadata.get("timestamp"))
    purls = _references(document)
    for item in mappings(document.get("vulnerabilities")):
        analysis = mapping_of(item.get("analysis"))
        status = _STATES.get(text(analysis.get("state")))
        if status is None:
            continue
        names = [text(item.get("id")), *_aliases(item)]
        yield VexStatement(
            frozenset(name.upper() for name in names if name),
            tuple(_products(item.get("affects"), purls)),
            status,
            source,
            TO_OPENVEX.get(text(analysis.get("justification")), ""),
            text(analysis.get("detail")),
            normal_time(
                text(analysis.get("lastUpdated")) or text(analysis.get("firstIssued")) or issued
            ),
        )


def _aliases(vulnerability: Mapping[str, object]) -> Iterator[str]:
    for reference in mappings(vulnerability.get("references")):
        yield text(reference.get("id"))


def _references(document: Mapping[str, object]) -> dict[str, str]:
    """Return the purls of components by their references."""
    found: dict[str, str] = {}
    subject = mapping_of(mapping_of(document.get("metadata")).get("component"))
    waiting = [*mappings(document.get("components")), subject]
    while waiting and len(found) < _MAX_COMPONENTS:
        component = waiting.pop()
        waiting += mappings(component.get("components"))
        if (reference := text(component.get("bom-ref"))) and (purl := text(component.get("purl"))):
            found.setdefault(reference, purl)
    return found


def _products(value: object, purls: Mapping[str, str]) -> Iterator[VexProduct]:
    for target in mappings(value):
        reference = text(target.get("ref"))
        linked = reference.partition("#")[2] if reference.startswith("urn:cdx:") else reference
        purl = purl_or_none(purls.get(linked) or purls.get(unquote(linked)) or unquote(linked))
        versions = mappings(target.get("versions"))
        exact = frozenset(filter(None, (text(item.get("version")) for item in versions)))
        if versions and not exact:
            continue  # ranges alone: reported as a statement about no finding
        if purl is not None:
            yield VexProduct(purl, exact)
        elif linked:
            yield VexProduct(None, exact, (linked,))
