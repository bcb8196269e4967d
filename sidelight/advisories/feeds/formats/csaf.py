"""CSAF 2.0 documents of Red Hat (advisories and VEX) and SUSE (OASIS CSAF 2.0, section 3.2).

The product tree names platforms and packages, and relationships pair them. Each vulnerability lists
pairs as `fixed` (SUSE: `recommended`), with the fixed build, or as `known_affected`: no build fixes
it yet. Red Hat's affected packages are source packages, and get the database's name `src:<name>`.
Pairs that are not of an rpm distribution (containers, middleware) are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from sidelight.advisories.ecosystems import canonical
from sidelight.advisories.feeds.formats.errata import Build, split_name
from sidelight.advisories.feeds.formats.shape import items, mapping, text, texts
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError, LimitError
from sidelight.model import Advisory, Affected, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH = 32  # levels of the product tree's branches
_FIXED = ("fixed", "first_fixed", "recommended")
_MODULE = re.compile(r"rpmmod=([^&:=]++):([^&:]+)")
_RED_HAT_CPE = re.compile(r"cpe:/[ao]:redhat:(.+)")
_STATES = {"no_fix_planned": "no-fix-planned", "none_available": "affected"}
_DEBUG = ("-debuginfo", "-debugsource")


class _Pair(NamedTuple):
    """A package on a platform; `evr` is empty for a package without a build."""

    ecosystem: str
    stream: str
    name: str
    evr: str
    module: str


class _Products(NamedTuple):
    """The product ids: each is a platform's (ecosystem, stream), or a package."""

    platforms: dict[str, tuple[str, str]]
    packages: dict[str, tuple[Build, bool]]


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a CSAF document."""
    document = record.get("document")
    return isinstance(document, dict) and str(document.get("category", "")).startswith("csaf")


def parse(record: Mapping[str, object]) -> Iterator[Advisory]:
    """Yield a document's advisory with all its vulnerabilities. Raises DamagedError for bad shapes.

    A document that is withdrawn, or is about no supported package, yields nothing.
    """
    document = mapping(record, "document")
    tracking = mapping(document, "tracking")
    publisher = text(mapping(document, "publisher"), "name")
    source = "SUSE" if publisher.startswith("SUSE") else publisher.partition(" Product")[0]
    tree = mapping(record, "product_tree")
    products = _Products({}, {})
    _branches(tree, products, source, 0)
    if not text(tracking, "id"):
        raise DamagedError("a document without an id")
    pairs = _pairs(tree, products)
    vulnerabilities = items(record, "vulnerabilities")
    rows = {row: None for item in vulnerabilities for row in _rows(item, pairs)}
    names = [text(item, "cve") for item in vulnerabilities]
    vectors = [
        text(mapping(score, version), "vectorString")
        for item in vulnerabilities
        for score in items(item, "scores")
        for version in ("cvss_v4", "cvss_v3", "cvss_v2")
    ]
    is_withdrawn = text(document, "category") == "csaf_withdrawn"
    yield Advisory(
        id=text(tracking, "id"),
        source=source,
        vulnerabilities=tuple(sorted({name for name in names if name})),
        title=text(document, "title").removeprefix("Red Hat Security Advisory: "),
        severity=severities.of_word(text(mapping(document, "aggregate_severity"), "text")),
        vectors=tuple(dict.fromkeys(vector for vector in vectors if vector)),
        references=tuple(
            text(item, "url")
            for item in items(document, "references")
            if text(item, "category") == "self"
        ),
        published=text(tracking, "initial_release_date"),
        modified=text(tracking, "current_release_date"),
        affected=() if is_withdrawn else tuple(rows),
        withdrawn=is_withdrawn,
    )


def _branches(node: Mapping[str, object], products: _Products, source: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitError(f"a product tree deeper than {MAX_DEPTH}")
    for branch in items(node, "branches"):
        if "product" in branch:
            _product(branch, products, source)
        _branches(branch, products, source, depth + 1)


def _product(branch: Mapping[str, object], products: _Products, source: str) -> None:
    product = mapping(branch, "product")
    name, identity = text(product, "product_id"), mapping(product, "product_identification_helper")
    if text(branch, "category") == "product_name":
        platform = _platform(text(product, "name"), text(identity, "cpe"), source)
        if platform[0]:
            products.platforms[name] = platform
        return
    purl = text(identity, "purl")
    if purl and not purl.startswith("pkg:rpm/"):
        return
    package = _package(text(product, "name") or name, purl)
    if package is not None:
        products.packages[name] = package


def _platform(name: str, cpe: str, source: str) -> tuple[str, str]:
    """Return a platform's ecosystem and stream in the database, ("", "") for an unsupported one."""
    if source != "SUSE":
        match = _RED_HAT_CPE.fullmatch(cpe)
        canonical_name = canonical(f"Red Hat:{match[1]}") if match else ("", "")
        return canonical_name if canonical_name[0].removeprefix("Red Hat:").isdigit() else ("", "")
    if name.startswith("openSUSE"):
        return name.replace("openSUSE ", "openSUSE:", 1), ""
    canonical_name = canonical(f"SUSE:{name}")
    return canonical_name if canonical_name[0] != f"SUSE:{name}" else ("", "")


def _package(name: str, purl: str) -> tuple[Build, bool] | None:
    """Return the build, without a version if it has none, and whether it is a source package."""
    match = _MODULE.search(unquote(purl))
    module = f"{match[1]}:{match[2]}" if match else ""
    parsed_name = split_name(name)
    if parsed_name is not None and parsed_name[1]:
        build, architecture = parsed_name
        return build._replace(module=module), architecture == "src"
    if purl and "@" not in purl:
        bare = purl.removeprefix("pkg:rpm/").partition("?")[0].rpartition("/")[2]
        return Build(unquote(bare), "", "", "", module), "arch=src" in purl
    return None


def _pairs(tree: Mapping[str, object], products: _Products) -> dict[str, _Pair]:
    pairs: dict[str, _Pair] = {}
    for item in items(tree, "relationships"):
        platform = products.platforms.get(text(item, "relates_to_product_reference"))
        package = products.packages.get(text(item, "product_reference"))
        if platform is None or package is None:
            continue
        build, is_source = package
        if build.name.endswith(_DEBUG) or (is_source and build.version):
            continue  # its binaries are listed as well
        name = f"src:{build.name}" if is_source else build.name
        pair = _Pair(*platform, name, build.evr if build.version else "", build.module)
        pairs[text(mapping(item, "full_product_name"), "product_id")] = pair
    return pairs


def _rows(vulnerability: Mapping[str, object], pairs: dict[str, _Pair]) -> Iterator[Affected]:
    status = mapping(vulnerability, "product_status")
    states = {
        product: _STATES.get(text(item, "category"), "")
        for item in items(vulnerability, "remediations")
        if text(item, "category") in _STATES
        for product in texts(item, "product_ids")
    }
    for name in (*_FIXED, "known_affected"):
        for product in texts(status, name):
            pair = pairs.get(product)
            if pair is None or bool(pair.evr) != (name in _FIXED):
                continue
            yield Affected(
                ecosystem=pair.ecosystem,
                name=pair.name,
                intervals=(Interval(end=pair.evr),),
                stream=pair.stream,
                module=pair.module,
                state=states.get(product, "") if not pair.evr else "",
            )
