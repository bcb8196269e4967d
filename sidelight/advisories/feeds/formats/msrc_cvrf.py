"""Microsoft's security updates of one month as CVRF 1.1 (api.msrc.microsoft.com/cvrf/v3.0/cvrf).

A vulnerability has a remediation for each product: the update's number, the number that it
supersedes, and the fixed build. Only remediations of Windows Server are rows: a product without a
fix, and products whose presence an inventory does not show (.NET, Office), are left out.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sidelight.advisories.feeds.formats import windows_rows
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError, LimitError
from sidelight.model import Advisory, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from sidelight.model import Affected

ROOT = "cvrfdoc"
SOURCE = "Microsoft"
_MAX_PRODUCTS = 50_000
_URL = "https://msrc.microsoft.com/update-guide/vulnerability/"


def parse(stream: IO[bytes]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield one advisory per vulnerability, and a fact for each that is exploited.

    Raises DamagedError for an incomplete document and one without products, LimitError for more
    than 50,000 of them.
    """
    products: dict[str, str] = {}
    changed = ""
    try:
        for _event, element in iterparse(stream, events=("end",), forbid_dtd=True):
            name = str(element.tag).rpartition("}")[2]
            if name == "FullProductName":
                if len(products) >= _MAX_PRODUCTS:
                    raise LimitError(f"more than {_MAX_PRODUCTS} products")
                products[element.get("ProductID", "")] = windows_rows.product(element.text or "")
            elif name == "CurrentReleaseDate":
                changed = (element.text or "").strip()
            elif name == "Vulnerability":
                if not products:
                    raise DamagedError("a vulnerability before any product")
                yield from _vulnerability(element, products, changed)
                element.clear()
    except (ParseError, DefusedXmlException) as error:
        raise DamagedError(f"not XML, or cut off: {error}") from error
    if not products:
        raise DamagedError("no product in it")


def _vulnerability(
    element: Element, products: dict[str, str], changed: str
) -> Iterator[Advisory | VulnerabilityFact]:
    name = (element.findtext("{*}CVE") or "").strip()
    if not name:
        raise DamagedError("a vulnerability without a name")
    rows = dict.fromkeys(
        row
        for remediation in element.iterfind("{*}Remediations/{*}Remediation")
        if remediation.get("Type") == "Vendor Fix"
        for row in _rows(remediation, products)
    )
    vectors = dict.fromkeys(
        (item.text or "").strip() for item in element.iterfind("{*}CVSSScoreSets//{*}Vector")
    )
    vectors.pop("", None)
    threats = [
        (item.get("Type", ""), item.findtext("{*}Description") or "")
        for item in element.iterfind("{*}Threats/{*}Threat")
    ]
    words = [severities.of_word(text) for kind, text in threats if kind == "Severity"]
    known = [word for word in words if word is not None]
    dates = [(item.text or "").strip() for item in element.iterfind(".//{*}Revision/{*}Date")]
    published = min(filter(None, dates), default=changed)
    is_cve = name.startswith("CVE-")
    yield Advisory(
        id=name,
        source=SOURCE,
        vulnerabilities=(name,) if is_cve else (),
        title=" ".join((element.findtext("{*}Title") or "").split()),
        # Without a score, the worst of Microsoft's words for any product.
        severity=None if vectors else max(known, key=lambda word: word.rank, default=None),
        vectors=tuple(vectors),
        references=(f"{_URL}{name}",) if is_cve else (),
        published=published,
        modified=max(filter(None, dates), default=changed),
        affected=tuple(rows),
    )
    if rows and any(kind == "Exploit Status" and "Exploited:Yes" in text for kind, text in threats):
        yield VulnerabilityFact(name, SOURCE, exploited_since=published[:10])


def _rows(remediation: Element, products: dict[str, str]) -> Iterator[Affected]:
    ids = [(item.text or "").strip() for item in remediation.iterfind("{*}ProductID")]
    names = {products.get(product, "") for product in ids} - {""}
    update = windows_rows.update(remediation.findtext("{*}Description") or "")
    build = windows_rows.build(remediation.findtext("{*}FixedBuild") or "")
    if not names or not (update or build):
        return
    for name in sorted(names):
        yield windows_rows.fixed_by(name, build, update)
    if update:
        yield from windows_rows.supersedes(update, remediation.findtext("{*}Supercedence") or "")
