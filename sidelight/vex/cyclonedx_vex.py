"""The analyses of a CycloneDX document's vulnerabilities, as statements.

Source: the specification. What a vulnerability affects is a reference to a component of the
document, a BOM-Link to one of another document, or a purl. A version there may have a status of its
own: one that is `affected` or `unknown` is not what the analysis acquits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sidelight.json_texts import mapping_of, mappings, text
from sidelight.model import VexStatus
from sidelight.purls import purl_or_none
from sidelight.vex.statements import SUPPRESSING, VexProduct, VexStatement, normal_time

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
_NOT_ACQUITTED: Final = frozenset({"affected", "unknown"})
_MAX_COMPONENTS: Final = 500_000


def statements_of(document: Mapping[str, object], source: str) -> Iterator[VexStatement]:
    """Yield a statement for each vulnerability that has an analysis with a state."""
    metadata = mapping_of(document.get("metadata"))
    issued = text(metadata.get("timestamp"))
    packages = _references(document)
    for item in mappings(document.get("vulnerabilities")):
        analysis = mapping_of(item.get("analysis"))
        status = _STATES.get(text(analysis.get("state")))
        if status is None:
            continue
        names = [text(item.get("id")), *_aliases(item)]
        yield VexStatement(
            frozenset(name.upper() for name in names if name),
            tuple(_products(item.get("affects"), packages, status)),
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


@dataclass(frozen=True, slots=True)
class _ListedPackage:
    """A component's purl, and the machine (a component of type `platform`) that it is part of."""

    purl: str
    within: tuple[str, ...] = ()


def _references(document: Mapping[str, object]) -> dict[str, _ListedPackage]:
    """Return the packages among the components by their references."""
    found: dict[str, _ListedPackage] = {}
    subject = mapping_of(mapping_of(document.get("metadata")).get("component"))
    waiting: list[tuple[Mapping[str, object], tuple[str, ...]]] = [
        *((component, ()) for component in mappings(document.get("components"))),
        (subject, ()),
    ]
    while waiting and len(found) < _MAX_COMPONENTS:
        component, within = waiting.pop()
        reference = text(component.get("bom-ref"))
        if reference and (purl := text(component.get("purl"))):
            found.setdefault(reference, _ListedPackage(purl, within))
        is_machine = component is not subject and component.get("type") == "platform"
        inner = tuple(filter(None, (reference,))) if is_machine else within
        waiting += [(part, inner) for part in mappings(component.get("components"))]
    return found


def _products(
    value: object, packages: Mapping[str, _ListedPackage], status: VexStatus
) -> Iterator[VexProduct]:
    for target in mappings(value):
        reference = text(target.get("ref"))
        linked = reference.partition("#")[2] if reference.startswith("urn:cdx:") else reference
        listed = packages.get(linked) or packages.get(unquote(linked))
        purl = purl_or_none(listed.purl if listed else unquote(linked))
        versions = mappings(target.get("versions"))
        meant = [
            item
            for item in versions
            if status not in SUPPRESSING or text(item.get("status")) not in _NOT_ACQUITTED
        ]
        exact = frozenset(filter(None, (text(item.get("version")) for item in meant)))
        if versions and not exact:
            continue  # ranges alone: reported as a statement about no finding
        if purl is not None:
            yield VexProduct(purl, exact, listed.within if listed else ())
        elif linked:
            yield VexProduct(None, exact, (linked,))
