"""OpenVEX 0.2.0 (and 0.0.1), decoded, as statements.

Source: the OpenVEX specification. A product is identified by a purl or a CPE, in `identifiers` or
`@id`. With subcomponents the statement is about these, within the product: a product that nothing
identifies has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.json_texts import mapping_of, mappings, text, texts
from sidelight.model import VexStatus
from sidelight.purls import purl_or_none
from sidelight.vex.statements import JUSTIFICATIONS, VexProduct, VexStatement, normal_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONTEXT: Final = "https://openvex.dev/ns"
_STATUSES: Final = {
    "not_affected": VexStatus.NOT_AFFECTED,
    "affected": VexStatus.AFFECTED,
    "fixed": VexStatus.FIXED,
    "under_investigation": VexStatus.UNDER_INVESTIGATION,
}


def statements_of(document: Mapping[str, object], source: str) -> Iterator[VexStatement]:
    """Yield the statements of a document. Raises FormatError for one of an unknown status."""
    issued = text(document.get("last_updated")) or text(document.get("timestamp"))
    for number, item in enumerate(mappings(document.get("statements")), 1):
        status = _STATUSES.get(text(item.get("status")))
        if status is None:
            what = f"statement {number} has the status {text(item.get('status'))[:40]!r}"
            raise FormatError(what)
        justification = text(item.get("justification"))
        notes = text(item.get("impact_statement")) or text(item.get("status_notes"))
        yield VexStatement(
            _names(item.get("vulnerability")),
            tuple(_products(item.get("products"))),
            status,
            source,
            justification if justification in JUSTIFICATIONS else "",
            notes,
            normal_time(text(item.get("last_updated")) or text(item.get("timestamp")) or issued),
        )


def _names(value: object) -> frozenset[str]:
    if isinstance(value, str):  # 0.0.1
        return frozenset({value.upper()})
    vulnerability = mapping_of(value)
    last = text(vulnerability.get("@id")).rstrip("/").rpartition("/")[2]
    names = [text(vulnerability.get("name")), last, *texts(vulnerability.get("aliases"))]
    return frozenset(name.upper() for name in names if name)


def _products(value: object) -> Iterator[VexProduct]:
    for purl in texts(value):  # 0.0.1
        yield from _product({"@id": purl}, ())
    for product in mappings(value):
        parts = mappings(product.get("subcomponents"))
        if not parts:
            yield from _product(product, ())
            continue
        within = tuple(filter(None, (text(product.get("@id")), *_identifiers(product))))
        for part in parts if within else ():
            yield from _product(part, within)


def _product(component: Mapping[str, object], within: tuple[str, ...]) -> Iterator[VexProduct]:
    identifier = next(_identifiers(component), "") or text(component.get("@id"))
    purl = purl_or_none(identifier)
    if purl is not None:
        yield VexProduct(purl, within=within)
    elif identifier and not within:
        yield VexProduct(None, within=(identifier,))


def _identifiers(component: Mapping[str, object]) -> Iterator[str]:
    listed = mapping_of(component.get("identifiers"))
    yield from filter(None, (text(listed.get(key)) for key in ("purl", "cpe23", "cpe22")))
