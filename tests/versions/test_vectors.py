"""The orders agree with vectors that others wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import FormatError
from sidelight.versions import apk, npm_range, rpm, semver, sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.conformance

_LINE = re.compile(r"(\S+) ([<>=]) (\S+)\s*(?:#.*)?")
# Lines whose versions the ecosystem itself refuses, or which state another program's view.
EXCEPTIONS = {
    "gem": {"1 > 1beta", "1 > 1gamma"},  # malformed to Gem::Version
    # Composer pads to four numbers before it compares; PHP's function alone does not. And `#` is
    # PHP's placeholder, which no version has.
    "composer": {"1.0.0 > 1.0"},
    # Maven 3's; since Maven 4 `ga-1` is one item, and a word within a list one of its own.
    "maven": {"1-1 = 1-ga-1", "1-1.foo-bar-1-baz-0.1 = 1-1.foo-bar1baz-.1"},
}


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    for line in path.read_text().splitlines():
        match = _LINE.fullmatch(line.split("//")[0].strip())
        if match is not None and not line.startswith("#"):
            yield match[1], match[2], match[3]


def _sign(one: bytes, other: bytes) -> str:
    return "<" if one < other else ">" if one > other else "="


@pytest.mark.parametrize(
    ("scheme", "file", "at_least"),
    [
        ("dpkg", "debian", 30),
        ("rpm", "redhat", 160),
        ("pep440", "pypi", 37),
        ("semver", "semver", 86),
        ("maven", "maven", 100),
        ("gem", "rubygems", 23),
        ("nuget", "nuget", 35),
        ("composer", "packagist", 88),
        ("cran", "cran", 18),
        ("hackage", "hackage", 10),
        ("pub", "pub", 80),
    ],
)
def test_keys_order_as_osv_scalibr_says(
    shared_data: Path, scheme: str, file: str, at_least: int
) -> None:
    path = shared_data / "version-vectors" / "osv-scalibr" / f"{file}-versions.txt"
    seen = 0
    for left, sign, right in _lines(path):
        line = f"{left} {sign} {right}"
        if "#" in line or line in EXCEPTIONS.get(scheme, set()):
            continue
        assert _sign(sort_key(scheme, left), sort_key(scheme, right)) == sign, line
        seen += 1
    assert seen >= at_least


def test_apk_orders_as_its_own_vectors_say(shared_data: Path) -> None:
    seen = 0
    for left, sign, right in _lines(shared_data / "version-vectors/apk-tools/version.data"):
        assert _sign(apk.key(left), apk.key(right)) == sign, (left, sign, right)
        seen += 1
    assert seen == 738


def test_apk_orders_valid_versions_as_osv_scalibr_says(shared_data: Path) -> None:
    path = shared_data / "version-vectors" / "osv-scalibr" / "alpine-versions.txt"
    seen = 0
    for left, sign, right in _lines(path):
        # That file also has what apk's grammar refuses, where releases of apk differ.
        if apk.is_valid(left) and apk.is_valid(right):
            assert _sign(apk.key(left), apk.key(right)) == sign, (left, sign, right)
            seen += 1
    assert seen > 700


def test_rpm_orders_as_rpmvercmp_says(shared_data: Path) -> None:
    rows = (shared_data / "version-vectors/rpm/rpmvercmp.tsv").read_text().splitlines()
    for row in rows:
        left, right, expected = row.split("\t")
        sign = _sign(rpm.key(left), rpm.key(right))
        assert sign == {"-1": "<", "0": "=", "1": ">"}[expected], row
    assert len(rows) > 80


def _node_semver(path: Path) -> Iterator[list[str]]:
    for line in path.read_text().splitlines():
        # An option that Sidelight does not offer; a tab that the file spells out.
        if "includePrerelease" not in line:
            yield [field.replace("\\t", "\t") for field in line.split("\t")]


def test_npm_ranges_include_what_node_semver_includes(shared_data: Path) -> None:
    for text, version, *_options in _node_semver(
        shared_data / "version-vectors/node-semver/range-include.tsv"
    ):
        assert npm_range.satisfies(version, text), (text, version)


def test_npm_ranges_exclude_what_node_semver_excludes(shared_data: Path) -> None:
    refused = 0
    for text, version, *_options in _node_semver(
        shared_data / "version-vectors/node-semver/range-exclude.tsv"
    ):
        try:
            assert not npm_range.satisfies(version, text), (text, version)
        except FormatError:
            refused += 1
    assert refused == 3  # "not a version", "glorp", and the range "foo"


def test_semver_agrees_with_node_semver(shared_data: Path) -> None:
    folder = shared_data / "version-vectors" / "node-semver"
    for left, right, *_options in _node_semver(folder / "equality.tsv"):
        assert semver.key(left) == semver.key(right), (left, right)
    for left, right, *_options in _node_semver(folder / "comparisons.tsv"):
        assert semver.key(left) > semver.key(right), (left, right)
