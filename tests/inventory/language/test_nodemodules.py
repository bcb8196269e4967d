"""Installed npm packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import FormatError
from sidelight.inventory.language import nodemodules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

EXTRACTOR = nodemodules.EXTRACTOR
PATH = "srv/app/node_modules/thing/package.json"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (PATH, True),
        ("node_modules/@babel/core/package.json", True),
        ("a/node_modules/b/node_modules/c/package.json", True),
        ("a/node_modules/.pnpm/c@1.0.0/node_modules/c/package.json", True),
        ("opt/yarn-v1.22.19/package.json", True),
        ("srv/app/package.json", False),
        ("a/node_modules/resolve/test/resolver/baz/package.json", False),
        ("a/node_modules/thing/dist/cjs/package.json", False),
        ("a/node_modules/package.json", False),
    ],
)
def test_only_installed_packages_are_wanted(path: str, wanted: bool) -> None:
    assert EXTRACTOR.wants.confirm is not None
    assert EXTRACTOR.wants.confirm(path) is wanted


def test_a_scoped_package(extract: Callable[..., Extraction]) -> None:
    text = '{"name": "@babel/core", "version": "7.24.0", "license": "MIT"}'
    [package] = extract(EXTRACTOR, "node_modules/@babel/core/package.json", text).packages
    assert package.name == "@babel/core"
    assert package.purl == "pkg:npm/%40babel/core@7.24.0"
    assert package.licence == "MIT"


@pytest.mark.parametrize(
    ("value", "licence"),
    [
        ('"license": {"type": "BSD-2-Clause", "url": "x"}', "BSD-2-Clause"),
        ('"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]', "MIT OR GPL-2.0"),
        ('"license": 7', ""),
    ],
)
def test_older_forms_of_a_licence(
    extract: Callable[..., Extraction], value: str, licence: str
) -> None:
    text = f'{{"name": "thing", "version": "1.0.0", {value}}}'
    assert extract(EXTRACTOR, PATH, text).packages[0].licence == licence


@pytest.mark.parametrize(
    ("required_by", "direct", "dev"),
    [
        ('["#USER", "/"]', True, False),
        ('["#DEV:/"]', True, True),
        ('["/express", "#DEV:/mocha"]', False, False),
        ("[]", None, None),
    ],
)
def test_npm_six_wrote_who_asked(
    extract: Callable[..., Extraction], required_by: str, direct: bool | None, dev: bool | None
) -> None:
    text = f'{{"name": "thing", "version": "1.0.0", "_requiredBy": {required_by}}}'
    [package] = extract(EXTRACTOR, PATH, text).packages
    assert (package.direct, package.dev) == (direct, dev)


def test_an_unpacked_release_must_be_what_its_directory_says(
    extract: Callable[..., Extraction],
) -> None:
    text = '{"name": "yarn", "version": "1.22.19"}'
    assert extract(EXTRACTOR, "opt/yarn-v1.22.19/package.json", text).packages
    assert not extract(EXTRACTOR, "opt/shop-1.22.19/package.json", text).packages


def test_a_package_without_a_version_was_never_published(
    extract: Callable[..., Extraction],
) -> None:
    found = extract(EXTRACTOR, PATH, '{"name": "thing", "private": true}')
    assert not found.packages
    assert not found.problems


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "[" * 100_000])
def test_what_is_no_json_object_is_an_error(extract: Callable[..., Extraction], text: str) -> None:
    with pytest.raises(FormatError) as caught:
        extract(EXTRACTOR, PATH, text)
    assert caught.value.where == "/" + PATH


@pytest.mark.parametrize(("name", "version"), [("a b", "1"), ("a", "1 2"), ("x/y", "1")])
def test_impossible_names_and_versions_are_problems(
    extract: Callable[..., Extraction], name: str, version: str
) -> None:
    found = extract(EXTRACTOR, PATH, f'{{"name": "{name}", "version": "{version}"}}')
    assert not found.packages
    assert [problem.where for problem in found.problems] == ["/" + PATH]


@pytest.mark.parametrize("version", ["1", "1.5", "null", "[]", "{}", "true"])
def test_a_version_that_is_not_text_is_a_problem(
    extract: Callable[..., Extraction], version: str
) -> None:
    found = extract(EXTRACTOR, PATH, f'{{"name": "a", "version": {version}}}')
    assert not found.packages
    assert [problem.where for problem in found.problems] == ["/" + PATH]


def test_the_last_of_two_versions_counts_as_in_node(extract: Callable[..., Extraction]) -> None:
    text = '{"name": "a", "version": "2.0.0", "version": "1.0.0"}'
    [package] = extract(EXTRACTOR, PATH, text).packages
    assert package.version == "1.0.0"


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("file", "name", "version"),
    [
        ("accepts", "accepts", "1.3.8"),
        ("no-person-name", "accepts", "1.3.8"),
    ],
)
def test_real_packages(
    extract: Callable[..., Extraction], manifests: Path, file: str, name: str, version: str
) -> None:
    data = manifests / "javascript/packagejson/testdata/deps" / file / "package.json"
    [package] = extract(EXTRACTOR, PATH, data).packages
    assert (package.name, package.version) == (name, version)
