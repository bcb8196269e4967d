"""Names, versions and purls of each ecosystem."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from sidelight.inventory.language import package_builder
from sidelight.inventory.language.package_builder import PackageDetails
from sidelight.model import Package, Problem
from tests.fixtures.hypothesis_profiles import many


@pytest.mark.parametrize(
    ("entry", "name", "purl"),
    [
        (
            package_builder.pypi("p", "Zope.Interface", "5.0"),
            "zope-interface",
            "pkg:pypi/zope-interface@5.0",
        ),
        (package_builder.npm("p", "@Scope/Name", "1"), "@Scope/Name", "pkg:npm/%40Scope/Name@1"),
        (package_builder.npm("p", "JSONStream", "1.3.5"), "JSONStream", "pkg:npm/JSONStream@1.3.5"),
        (package_builder.maven("p", "a.b", "c", "1"), "a.b:c", "pkg:maven/a.b/c@1"),
        (
            package_builder.golang("p", "github.com/BurntSushi/toml", "v1.0.0"),
            "github.com/BurntSushi/toml",
            "pkg:golang/github.com/burntsushi/toml@v1.0.0",
        ),
        (package_builder.golang("p", "stdlib", "1.22.0"), "stdlib", "pkg:golang/stdlib@1.22.0"),
        (
            package_builder.composer("p", "Sentry/SDK", "3.0"),
            "sentry/sdk",
            "pkg:composer/sentry/sdk@3.0",
        ),
        (package_builder.flat("p", "cargo", "serde", "1.0+b"), "serde", "pkg:cargo/serde@1.0%2Bb"),
        (
            package_builder.conda(
                "p", "x", "1", qualifiers=(("subdir", "noarch"), ("build", "py_0"))
            ),
            "x",
            "pkg:conda/x@1?build=py_0&subdir=noarch",
        ),
    ],
)
def test_each_ecosystem_names_its_own_way(
    entry: package_builder.Entry, name: str, purl: str
) -> None:
    assert isinstance(entry, Package)
    assert (entry.name, entry.purl) == (name, purl)
    assert entry.path == "/p"


@pytest.mark.parametrize(
    "entry",
    [
        package_builder.pypi("p", "", "1"),
        package_builder.pypi("p", "a", ""),
        package_builder.pypi("p", "a b", "1"),
        package_builder.pypi("p", "a", "1\n2"),
        package_builder.pypi("p", "a" * 2000, "1"),
        package_builder.pypi("p", "a", "1" * 2000),
        package_builder.pypi("p", "a\udc80", "1"),
        package_builder.npm("p", "scope/name", "1"),
        package_builder.npm("p", "@scope/", "1"),
        package_builder.npm("p", "@a/b/c", "1"),
        package_builder.maven("p", "", "a", "1"),
        package_builder.maven("p", "a/b", "c", "1"),
        package_builder.golang("p", "a/", "v1"),
        package_builder.golang("p", "a//b", "v1"),
        package_builder.golang("p", "../b", "v1"),
        package_builder.conda("p", "a/b", "1"),
        package_builder.composer("p", "a/b/c", "1"),
        package_builder.pypi("p", "a/b", "1"),
        package_builder.pypi("p", "a;b", "1"),
        package_builder.composer("p", "a/", "1"),
        package_builder.flat("p", "gem", "a/b", "1"),
    ],
)
def test_what_cannot_be_a_package_is_a_problem(entry: package_builder.Entry) -> None:
    assert isinstance(entry, Problem)
    assert entry.where == "/p"


def test_a_licence_text_is_one_short_line() -> None:
    entry = package_builder.pypi("p", "a", "1", PackageDetails(licence="MIT\n  License " * 100))
    assert isinstance(entry, Package)
    assert "\n" not in entry.licence
    assert len(entry.licence) <= package_builder.LICENCE_LIMIT


@many(1000)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=20))
def test_any_text_gives_a_canonical_purl_or_a_problem(
    name: str, namespace: str, version: str
) -> None:
    for entry in (
        package_builder.pypi("p", name, version),
        package_builder.npm("p", f"@{namespace}/{name}", version),
        package_builder.maven("p", namespace, name, version),
        package_builder.golang("p", f"{namespace}/{name}", version),
        package_builder.composer("p", f"{namespace}/{name}", version),
        package_builder.flat("p", "nuget", name, version),
    ):
        if isinstance(entry, Package):
            # The library leaves a slash in a version as it is, and some escapes in lower case.
            parsed = PackageURL.from_string(entry.purl)
            canonical = parsed.to_string().lower().replace("/", "%2f")
            assert canonical == entry.purl.lower().replace("/", "%2f")
            assert parsed.version == entry.version
