"""CSAF 2.0 documents (category csaf_vex, and advisories alike), as statements.

Source: the OASIS standard, sections 3.2.2 and 3.2.3. A product is identified by the purls of its
identification helper; one that is part of another, by a relationship, is only meant there: the
other has to be the machine, its operating system by its CPE, or a package on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError
from sidelight.json_texts import mapping_of, mappings, text, texts
from sidelight.model import VexStatus
from sidelight.purls import purl_or_none
from sidelight.vex.statements import JUSTIFICATIONS, VexProduct, VexStatement, normal_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STATUSES: Final = {
    "known_not_affected": VexStatus.NOT_AFFECTED,
    "fixed": VexStatus.FIXED,
    "first_fixed": VexStatus.FIXED,
    "known_affected": VexStatus.AFFECTED,
    "first_affected": VexStatus.AFFECTED,
    "last_affected": VexStatus.AFFECTED,
    "under_investigation": VexStatus.UNDER_INVESTIGATION,
}
_MAX_PRODUCTS: Final = 200_000
# Products of all statements, and products with a label: a short document may name one list often.
_MAX_NAMED: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class _ListedProduct:
    purls: tuple[str, ...] = ()
    cpe: str = ""
    name: str = ""

    @property
    def identifiers(self) -> tuple[str, ...]:
        return tuple(filter(None, (*self.purls, self.cpe, self.name)))


@dataclass(slots=True)
class _ProductTree:
    """The products by their ids, and what each is part of."""

    products: dict[str, _ListedProduct] = field(default_factory=dict)
    parts: dict[str, tuple[str, str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    _meant: dict[str, tuple[VexProduct, ...]] = field(default_factory=dict)
    _named: int = 0

    def of(self, number: str) -> tuple[VexProduct, ...]:
        """Return what a product id means. Raises LimitError, as `count`."""
        if number not in self._meant:
            self._meant[number] = tuple(self._products(number))
        self.count(len(self._meant[number]))
        return self._meant[number]

    def count(self, named: int = 1) -> None:
        """Count products that are named. Raises LimitError past the bound."""
        self._named += named
        if self._named > _MAX_NAMED:
            raise LimitError(f"more than {_MAX_NAMED} products of statements")

    def _products(self, number: str) -> Iterator[VexProduct]:
        part, whole = self.parts.get(number, (number, ""))
        within = self.products.get(whole, _ListedProduct()).identifiers
        product = self.products.get(part, _ListedProduct())
        # A part of what is not identified, or of a part: where it is meant is not known.
        if number in self.parts and (not within or part in self.parts or whole in self.parts):
            return
        purls = self.products.get(number, product).purls or product.purls
        for purl in filter(None, map(purl_or_none, purls)):
            yield VexProduct(purl, within=within)


def statements_of(document: Mapping[str, object], source: str) -> Iterator[VexStatement]:
    """Yield a statement for each vulnerability, status and justification. Raises LimitError."""
    tree = _tree(mapping_of(document.get("product_tree")))
    tracking = mapping_of(mapping_of(document.get("document")).get("tracking"))
    issued = normal_time(text(tracking.get("current_release_date")))
    for item in mappings(document.get("vulnerabilities")):
        names = [
            text(item.get("cve")),
            *(text(one.get("text")) for one in mappings(item.get("ids"))),
        ]
        listed = mapping_of(item.get("product_status"))
        reasons = dict(_labelled(item.get("flags"), "label", tree))
        impacts = dict(_labelled(item.get("threats"), "details", tree))
        for key, status in _STATUSES.items():
            grouped: dict[tuple[str, str], list[str]] = {}
            for number in texts(listed.get(key)):
                why = (reasons.get(number, ""), impacts.get(number, ""))
                grouped.setdefault(why, []).append(number)
            for (label, impact), numbers in grouped.items():
                yield VexStatement(
                    frozenset(name.upper() for name in names if name),
                    tuple(product for number in numbers for product in tree.of(number)),
                    status,
                    source,
                    label if label in JUSTIFICATIONS else "",
                    impact if status is VexStatus.NOT_AFFECTED else "",
                    issued,
                )


def _labelled(value: object, key: str, tree: _ProductTree) -> Iterator[tuple[str, str]]:
    """Yield product ids with a text of theirs. Of threats only those about the impact."""
    for item in mappings(value):
        if key == "details" and item.get("category") != "impact":
            continue
        groups = (tree.groups.get(group, ()) for group in texts(item.get("group_ids")))
        for number in chain(texts(item.get("product_ids")), *groups):
            tree.count()
            yield number, text(item.get(key))


def _tree(document: Mapping[str, object]) -> _ProductTree:
    tree = _ProductTree()
    for product in mappings(document.get("full_product_names")):
        _add(tree, product)
    waiting = mappings(document.get("branches"))
    while waiting:
        branch = waiting.pop()
        waiting += mappings(branch.get("branches"))
        _add(tree, mapping_of(branch.get("product")))
        if len(waiting) > _MAX_PRODUCTS:
            raise LimitError(f"more than {_MAX_PRODUCTS} branches")
    for relation in mappings(document.get("relationships")):
        product = mapping_of(relation.get("full_product_name"))
        _add(tree, product)
        tree.parts[text(product.get("product_id"))] = (
            text(relation.get("product_reference")),
            text(relation.get("relates_to_product_reference")),
        )
    for group in mappings(document.get("product_groups")):
        tree.groups[text(group.get("group_id"))] = texts(group.get("product_ids"))
    return tree


def _add(tree: _ProductTree, product: Mapping[str, object]) -> None:
    number = text(product.get("product_id"))
    if not number:
        return
    helper = mapping_of(product.get("product_identification_helper"))
    purls = (text(helper.get("purl")), *texts(helper.get("purls")))
    tree.products[number] = _ListedProduct(
        tuple(filter(None, purls)), text(helper.get("cpe")), text(product.get("name"))
    )
    if len(tree.products) > _MAX_PRODUCTS:
        raise LimitError(f"more than {_MAX_PRODUCTS} products")
