"""Origins of npm packages: npm, Yarn, pnpm and Bun."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import bunlock, nodemodules, packagelock, pnpmlock, yarnlock
from tests.inventory.language.origin_views import others

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction


NPM = "https://{org.npmjs.registry}"

OWN = "https://npm.corp.example"


def locked(**resolved: str) -> str:
    """A package-lock of version 3: each package with the address that it was resolved to."""
    packages: dict[str, object] = {"": {"dependencies": dict.fromkeys(resolved, "*")}}
    for name, url in resolved.items():
        packages[f"node_modules/{name}"] = {"version": "1.0.0", "resolved": url}
    return json.dumps({"lockfileVersion": 3, "packages": packages})


def test_npm_packages_of_git_addresses_files_and_another_registry(
    extract: Callable[..., Extraction],
) -> None:
    text = locked(
        a=f"{NPM}/a/-/a-1.0.0.tgz",
        b="git+ssh://git@github.com/x/b.git#abc",
        c="https://example.com/c-1.0.0.tgz",
        d="file:d-1.0.0.tgz",
        e=f"{OWN}/e/-/e-1.0.0.tgz",
        f="https://codeload.github.com/x/f/tar.gz/abc",
        g="",
    )
    assert others(extract(packagelock.EXTRACTOR, "package-lock.json", text)) == {
        "b": "vcs_url=git%2Bssh://github.com/x/b.git%40abc",
        "c": "download_url=https://example.com/c-1.0.0.tgz",
        "d": "download_url=file:d-1.0.0.tgz",
        "e": "repository_url=https://npm.corp.example",
        "f": "vcs_url=git%2Bhttps://github.com/x/f%40abc",
    }


def test_a_registry_that_gives_all_packages_is_a_mirror(extract: Callable[..., Extraction]) -> None:
    text = locked(a=f"{OWN}/a/-/a-1.0.0.tgz", b=f"{OWN}/b/-/b-1.0.0.tgz")
    assert not others(extract(packagelock.EXTRACTOR, "package-lock.json", text))


def test_a_registry_that_gives_what_public_packages_need_is_a_mirror(
    extract: Callable[..., Extraction],
) -> None:
    data = json.loads(locked(a=f"{NPM}/a/-/a-1.0.0.tgz", b=f"{OWN}/b/-/b-1.0.0.tgz"))
    data["packages"]["node_modules/a"]["dependencies"] = {"b": "^1"}
    found = extract(packagelock.EXTRACTOR, "package-lock.json", json.dumps(data))
    assert not others(found)


def test_a_lock_file_of_version_1_gives_the_same_origins(
    extract: Callable[..., Extraction],
) -> None:
    entries = {
        "a": {"version": "1.0.0", "resolved": f"{NPM}/a/-/a-1.0.0.tgz"},
        "b": {"version": "git+https://github.com/x/b.git#abc", "from": "b@github:x/b"},
        "c": {"version": "https://example.com/c-1.0.0.tgz"},
        "d": {"version": "file:lib/d-2.0.0.tgz"},
        "e": {"version": "file:lib/e"},
    }
    found = extract(
        packagelock.EXTRACTOR, "package-lock.json", json.dumps({"dependencies": entries})
    )
    assert {(p.name, p.version) for p in found.packages} == {
        ("a", "1.0.0"), ("b", "abc"), ("c", "1.0.0"), ("d", "2.0.0"),
    }  # fmt: skip
    assert others(found).keys() == {"b", "c", "d"}


YARN = f"""
# yarn lockfile v1
a@^1:
  version "1.0.0"
  resolved "{NPM}/a/-/a-1.0.0.tgz#aa"
alias@npm:real:
  version "2.0.0"
  resolved "{NPM}/real/-/real-2.0.0.tgz#aa"
"b@git+https://github.com/x/b.git":
  version "1.0.0"
  resolved "git+https://github.com/x/b.git#abc"
"c@file:./c-1.0.0.tgz":
  version "1.0.0"
  resolved "file:./c-1.0.0.tgz#aa"
"d@file:./d":
  version "1.0.0"
"e@^1":
  version "1.0.0"
  resolved "{OWN}/e/-/e-1.0.0.tgz#aa"
"""

BERRY = """
__metadata:
  version: 8
"a@npm:^1":
  version: 1.0.0
  resolution: "a@npm:1.0.0"
"alias@npm:real@^2":
  version: 2.0.0
  resolution: "real@npm:2.0.0"
"b@https://github.com/x/b.git":
  version: 1.0.0
  resolution: "b@https://github.com/x/b.git#commit=abc"
"c@file:./c-1.0.0.tgz::locator=r%40workspace%3A.":
  version: 1.0.0
  resolution: "c@file:./c-1.0.0.tgz#./c-1.0.0.tgz::hash=aa&locator=r%40workspace%3A."
"d@portal:./d::locator=r%40workspace%3A.":
  version: 0.0.0-use.local
  resolution: "d@portal:./d::locator=r%40workspace%3A."
"p@patch:p@npm%3A1.0.0#~/p.patch":
  version: 1.0.0
  resolution: "p@patch:p@npm%3A1.0.0#~/p.patch::version=1.0.0&hash=aa"
"""


@pytest.mark.parametrize(
    ("text", "names", "foreign"),
    [
        (YARN, {"a", "real", "b", "c", "e"}, {"b", "c", "e"}),
        (BERRY, {"a", "real", "b", "c", "p"}, {"b", "c"}),
    ],
)
def test_yarn_records_the_origin_of_packages(
    extract: Callable[..., Extraction], text: str, names: set[str], foreign: set[str]
) -> None:
    found = extract(yarnlock.EXTRACTOR, "yarn.lock", text)
    assert {package.name for package in found.packages} == names
    assert others(found).keys() == foreign


PNPM = """
lockfileVersion: '9.0'
packages:
  a@1.0.0:
    resolution: {integrity: sha512-aa}
  b@https://codeload.github.com/x/b/tar.gz/abc:
    resolution: {tarball: https://codeload.github.com/x/b/tar.gz/abc}
    version: 1.0.0
  c@https://example.com/c.tgz:
    resolution: {tarball: https://example.com/c.tgz}
    version: 1.0.0
  d@file:d:
    resolution: {directory: d, type: directory}
  e@git+https://git.example.com/e.git#abc:
    resolution: {commit: abc, repo: https://git.example.com/e.git, type: git}
    version: 1.0.0
"""


def test_pnpm_records_the_origin_of_packages(extract: Callable[..., Extraction]) -> None:
    found = extract(pnpmlock.EXTRACTOR, "pnpm-lock.yaml", PNPM)
    assert {package.name for package in found.packages} == {"a", "b", "c", "e"}
    assert others(found).keys() == {"b", "c", "e"}


def test_bun_records_the_origin_of_packages(extract: Callable[..., Extraction]) -> None:
    packages = {
        "a": ["a@1.0.0", "", {}, "sha512-aa"],
        "b": ["b@github:x/b#abc", {}, "x-b-abc"],
        "c": ["c@https://example.com/c-1.0.0.tgz", {}],
        "d": ["d@workspace:d"],
        "e": ["e@1.0.0", f"{OWN}/e/-/e-1.0.0.tgz", {}, "sha512-aa"],
    }
    found = extract(bunlock.EXTRACTOR, "bun.lock", json.dumps({"packages": packages}))
    assert {package.name for package in found.packages} == {"a", "b", "c", "e"}
    assert others(found).keys() == {"b", "c", "e"}


def test_an_installed_package_has_the_address_that_old_npm_wrote(
    extract: Callable[..., Extraction],
) -> None:
    manifest = {"name": "b", "version": "1.0.0", "_resolved": "git://github.com/x/b.git#abc"}
    path = "node_modules/b/package.json"
    assert others(extract(nodemodules.EXTRACTOR, path, json.dumps(manifest))).keys() == {"b"}
    manifest["_resolved"] = f"{NPM}/b/-/b-1.0.0.tgz"
    assert not others(extract(nodemodules.EXTRACTOR, path, json.dumps(manifest)))
