"""Names, versions and purls of each ecosystem."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from sidelight.inventory.language import entry
from sidelight.inventory.language.entry import Details
from sidelight.model import Package, Problem


@pytest.mark.parametrize(
    ("made", "name", "purl"),
    [
        (entry.pypi("p", "Zope.Interface", "5.0"), "zope-interface", "pkg:pypi/zope-interface@5.0"),
        (entry.npm("p", "@Scope/Name", "1"), "@Scope/Name", "pkg:npm/%40Scope/name@1"),
        (entry.maven("p", "a.b", "c", "1"), "a.b:c", "pkg:maven/a.b/c@1"),
        (
            entry.golang("p", "github.com/BurntSushi/toml", "v1.0.0"),
            "github.com/BurntSushi/toml",
            "pkg:golang/github.com/burntsushi/toml@v1.0.0",
        ),
        (entry.golang("p", "stdlib", "1.22.0"), "stdlib", "pkg:golang/stdlib@1.22.0"),
        (entry.composer("p", "Sentry/SDK", "3.0"), "sentry/sdk", "pkg:composer/sentry/sdk@3.0"),
        (entry.flat("p", "cargo", "serde", "1.0+b"), "serde", "pkg:cargo/serde@1.0%2Bb"),
        (
            entry.conda("p", "x", "1", qualifiers=(("subdir", "noarch"), ("build", "py_0"))),
            "x",
            "pkg:conda/x@1?build=py_0&subdir=noarch",
        ),
    ],
)
def test_each_ecosystem_names_its_own_way(made: entry.Entry, name: str, purl: str) -> None:
    assert isinstance(made, Package)
    assert (made.name, made.purl) == (name, purl)
    assert made.path == "/p"


@pytest.mark.parametrize(
    "made",
    [
        entry.pypi("p", "", "1"),
        entry.pypi("p", "a", ""),
        entry.pypi("p", "a b", "1"),
        entry.pypi("p", "a", "1\n2"),
        entry.pypi("p", "a" * 2000, "1"),
        entry.pypi("p", "a", "1" * 2000),
        entry.pypi("p", "a\udc80", "1"),
        entry.npm("p", "scope/name", "1"),
        entry.npm("p", "@scope/", "1"),
        entry.npm("p", "@a/b/c", "1"),
        entry.maven("p", "", "a", "1"),
        entry.maven("p", "a/b", "c", "1"),
        entry.golang("p", "a/", "v1"),
        entry.golang("p", "a//b", "v1"),
        entry.golang("p", "../b", "v1"),
        entry.conda("p", "a/b", "1"),
        entry.composer("p", "a/b/c", "1"),
        entry.pypi("p", "a/b", "1"),
        entry.pypi("p", "a;b", "1"),
        entry.composer("p", "a/", "1"),
        entry.flat("p", "gem", "a/b", "1"),
    ],
)
def test_what_cannot_be_a_package_is_a_problem(made: entry.Entry) -> None:
    assert isinstance(made, Problem)
    assert made.where == "/p"


def test_a_licence_text_is_one_short_line() -> None:
    made = entry.pypi("p", "a", "1", Details(licence="MIT\n  License " * 100))
    assert isinstance(made, Package)
    assert "\n" not in made.licence
    assert len(made.licence) <= entry.LICENCE_LIMIT


@settings(deadline=None, max_examples=1000)  # the machine may be busy
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=20))
def test_any_text_gives_a_canonical_purl_or_a_problem(
    name: str, namespace: str, version: str
) -> None:
    for made in (
        entry.pypi("p", name, version),
        entry.npm("p", f"@{namespace}/{name}", version),
        entry.maven("p", namespace, name, version),
        entry.golang("p", f"{namespace}/{name}", version),
        entry.composer("p", f"{namespace}/{name}", version),
        entry.flat("p", "nuget", name, version),
    ):
        if isinstance(made, Package):
            # The library leaves a slash in a version as it is, and some escapes in lower case.
            parsed = PackageURL.from_string(made.purl)
            canonical = parsed.to_string().lower().replace("/", "%2f")
            assert canonical == made.purl.lower().replace("/", "%2f")
            assert parsed.version == made.version
