"""What VEX documents state of findings: a row for each vulnerability and package they name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select

from sidelight.errors import LimitError, StoreError
from sidelight.model import (
    Finding,
    InstanceRef,
    Inventory,
    OperatingSystem,
    Status,
    VexSource,
    VexStatus,
)
from sidelight.purls import PackageUrl, purl_or_none
from sidelight.store.base import documents as codec
from sidelight.store.base.dialect import parts, put_rows
from sidelight.store.base.schema import (
    inventories,
    set_software,
    software,
    vex_claims,
    vex_documents,
    vex_statements,
)
from sidelight.store.inventories.inventories import load_inventory
from sidelight.store.inventories.package_sets import Software
from sidelight.vex.statements import (
    SUPPRESSING,
    MachineProducts,
    VexProduct,
    VexStatement,
    names_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sidelight.model import NetworkFinding

MAX_CLAIMS: Final = 1_000_000  # vulnerabilities and packages of one document
MAX_OF_KEY: Final = 1000  # statements of one document about one vulnerability in one package
MAX_PRODUCTS_OF_KEY: Final = 10_000
_MOST_TEXT: Final = 10_000  # characters of a statement's text that are stored
_AT_ONCE: Final = 5000  # rows that are written at once
_ANY: Final = "*"


class VexClaim(NamedTuple):
    """A statement about a vulnerability in a package, in the order in which they decide.

    `document` is the document's id, 0 for one that is not stored; `position` its place there.
    """

    at: str
    order: int
    position: int
    document: int
    statement: VexStatement


class ClaimOverlay(NamedTuple):
    """Claims as they would be: without those of some documents, and with others, by their keys."""

    without: Collection[int]
    claims: Mapping[str, Sequence[VexClaim]]


def claims_of(statements: Sequence[VexStatement]) -> dict[str, list[VexClaim]]:
    """Return the claims of a document's statements, by key.

    Raises LimitError for a document whose findings would be slow to judge.
    """
    found: dict[str, list[VexClaim]] = {}
    count = 0
    for position, statement in enumerate(statements):
        products: dict[str, list[VexProduct]] = {}
        for product in dict.fromkeys(statement.products):
            products.setdefault(_package_of(product.purl), []).append(product)
        count += len(statement.vulnerabilities) * len(products)
        if count > MAX_CLAIMS:
            raise LimitError(f"more than {MAX_CLAIMS} pairs of a vulnerability and a package")
        for package, own in products.items():
            if len(own) > MAX_PRODUCTS_OF_KEY:
                raise LimitError(f"a statement with more than {MAX_PRODUCTS_OF_KEY} of a package")
            part = VexStatement(
                frozenset(), tuple(own), statement.status, statement.source,
                statement.justification, statement.statement[:_MOST_TEXT], statement.at,
            )  # fmt: skip
            for name in statement.vulnerabilities:
                of_key = found.setdefault(_key(name, package), [])
                of_key.append(VexClaim(statement.at, 1 << 62, position, 0, part))
                if len(of_key) > MAX_OF_KEY:
                    what = f"more than {MAX_OF_KEY} statements about one vulnerability in a package"
                    raise LimitError(what)
    return found


def has_claims(connection: Connection) -> bool:
    """Return whether any VEX document is stored."""
    return connection.execute(select(vex_documents.c.id).limit(1)).first() is not None


def write_claims(
    connection: Connection, document: int, claims: Mapping[str, Sequence[VexClaim]]
) -> None:
    """Write a new document's claims."""
    stated: dict[int, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for key, of_key in claims.items():
        for claim in of_key:
            statement = claim.statement
            if claim.position not in stated:
                stated[claim.position] = {
                    "document": document,
                    "position": claim.position,
                    "at": claim.at,
                    "status": statement.status.value,
                    "justification": statement.justification,
                    "statement": statement.statement,
                }
            products = _dump(statement.products)
            rows.append({"key": key, "document": document, "position": claim.position,
                         "products": products})  # fmt: skip
            if len(rows) >= _AT_ONCE:
                put_rows(connection, vex_claims, rows)
                rows = []
    put_rows(connection, vex_claims, rows)
    for part in parts(list(stated.values()), _AT_ONCE):
        put_rows(connection, vex_statements, part)


def drop_claims(connection: Connection, document: int) -> None:
    """Delete a document with its claims."""
    for table in (vex_claims, vex_statements):
        connection.execute(delete(table).where(table.c.document == document))
    connection.execute(delete(vex_documents).where(vex_documents.c.id == document))


class ClaimBook:
    """The claims about some findings, by the ids of their details."""

    def __init__(
        self,
        connection: Connection,
        findings: Mapping[int, Finding | NetworkFinding],
        overlay: ClaimOverlay | None = None,
    ) -> None:
        self._connection = connection
        self._findings = findings
        self._machines: dict[InstanceRef, MachineProducts] = {}
        keys = {
            detail: _keys_of(finding)
            for detail, finding in findings.items()
            if isinstance(finding, Finding)
        }
        wanted = {key for of_finding in keys.values() for key in of_finding}
        by_key = _load_claims(connection, wanted)
        self._stored = {
            detail for detail, of_finding in keys.items() if any(map(by_key.get, of_finding))
        }
        if overlay is not None:
            by_key = {
                key: [
                    *(item for item in by_key.get(key, ()) if item.document not in overlay.without),
                    *overlay.claims.get(key, ()),
                ]
                for key in wanted
            }
        self._claims = {
            detail: sorted(claims, key=lambda item: item[:3])
            for detail, of_finding in keys.items()
            if (claims := {(item.document, item.position, key): item
                           for key in of_finding for item in by_key.get(key, ())}.values())
        }  # fmt: skip

    @property
    def details(self) -> Collection[int]:
        """The ids of the details that any claim is about, whatever the machine.

        With an overlay, also of those that only claims without it are about.
        """
        return self._claims.keys() | self._stored

    def about(self, place: InstanceRef, detail: int) -> list[VexClaim]:
        """Return the claims about a finding, the one that decides last."""
        claims = self._claims.get(detail)
        finding = self._findings.get(detail)
        if not claims or not isinstance(finding, Finding):
            return []
        if place not in self._machines:
            self._machines[place] = _machine(self._connection, place)
        machine = self._machines[place]
        return [item for item in claims if machine.has(item.statement, finding)]

    def suppressing(self, place: InstanceRef, detail: int) -> VexClaim | None:
        """Return the claim that suppresses a finding; None if the one that decides does not."""
        about = self.about(place, detail)
        return about[-1] if about and about[-1].statement.status in SUPPRESSING else None


def sources(connection: Connection, ids: Iterable[int] | None = None) -> dict[int, VexSource]:
    """Return documents by their ids: all, or some."""
    query = select(*(vex_documents.c[name] for name in _SOURCE)).order_by(vex_documents.c.id)
    if ids is not None:
        query = query.where(vex_documents.c.id.in_(sorted(set(ids))))
    return {row.id: VexSource(**row._asdict()) for row in connection.execute(query)}


_SOURCE: Final = (
    "identity", "format", "version", "author", "issued", "file", "sha256", "statements", "id",
    "added_at",
)  # fmt: skip


def _load_claims(connection: Connection, keys: Iterable[str]) -> dict[str, list[VexClaim]]:
    claims, stated = vex_claims.c, vex_statements.c
    query = select(
        claims.key, claims.products, claims.document, claims.position,
        stated.at, stated.status, stated.justification, stated.statement,
    ).join(
        vex_statements,
        (stated.document == claims.document) & (stated.position == claims.position),
    )  # fmt: skip
    found: dict[str, list[VexClaim]] = {}
    for part in parts(sorted(keys)):
        for row in connection.execute(query.where(claims.key.in_(part))):
            statement = VexStatement(
                frozenset(), tuple(_load(row.products)), VexStatus(row.status), "",
                row.justification, row.statement, row.at,
            )  # fmt: skip
            claim = VexClaim(row.at, row.document, row.position, row.document, statement)
            found.setdefault(row.key, []).append(claim)
    return found


def _machine(connection: Connection, place: InstanceRef) -> MachineProducts:
    return MachineProducts(
        frozenset({place.instance, place.arn}),
        lambda: _system(connection, place),
        lambda: (item.purl for item in _inventory(connection, place).packages),
    )


def _system(connection: Connection, place: InstanceRef) -> OperatingSystem:
    """Return the operating system of an instance without unpacking its inventory."""
    query = (
        select(software.c.document)
        .join(set_software, set_software.c.software == software.c.id)
        .join(inventories, inventories.c.content == set_software.c.content)
        .where(inventories.c.account == place.account, inventories.c.instance == place.instance)
        .limit(1)
    )
    document = connection.execute(query).scalar()
    return OperatingSystem() if document is None else codec.load(Software, document).os


def _inventory(connection: Connection, place: InstanceRef) -> Inventory:
    try:
        return load_inventory(connection, place.account, place.instance)
    except StoreError:
        return Inventory(Status.FAILED, OperatingSystem())


def _keys_of(finding: Finding) -> set[str]:
    package = _package_of(purl_or_none(finding.package.purl))
    return {_key(name, own) for name in names_of(finding) for own in {package, _ANY}}


def _package_of(purl: PackageUrl | None) -> str:
    """Return what two purls have in common where `is_of` can hold."""
    if purl is None:
        return _ANY
    name = purl.full_name.lower() if purl.type == "golang" else purl.full_name
    return f"{purl.type}:{name}"


def _key(vulnerability: str, package: str) -> str:
    text = f"{vulnerability}\0{package}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _dump(products: Iterable[VexProduct]) -> str:
    return json.dumps(
        [[item.purl, sorted(item.versions), item.within] for item in products],
        separators=(",", ":"),
    )


def _load(text: str) -> Iterator[VexProduct]:
    for purl, versions, within in json.loads(text):
        yield VexProduct(_purl(purl), frozenset(versions), tuple(within))


def _purl(parts_of_purl: list[Any] | None) -> PackageUrl | None:
    if parts_of_purl is None:
        return None
    kind, space, name, version, qualifiers, subpath = parts_of_purl
    pairs = tuple((key, value) for key, value in qualifiers)
    return PackageUrl(kind, space, name, version, pairs, subpath)
