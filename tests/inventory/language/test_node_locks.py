"""Details of the lock files of npm, Yarn, pnpm and Bun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError
from sidelight.inventory.language import bunlock, packagelock, pnpmlock, yarnlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction

Facts = set[tuple[str, str]]


def test_a_commit_is_the_version_of_what_comes_from_git(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts]
) -> None:
    text = """{"lockfileVersion": 1, "dependencies": {
        "a": {"version": "git+ssh://git@example.com/x/a.git#0123abc"},
        "b": {"version": "file:../b"},
        "c": {"version": "npm:@real/c@2.0.0", "dependencies": {"d": {"version": "1.0.0"}}}
    }}"""
    found = extract(packagelock.EXTRACTOR, "package-lock.json", text)
    assert facts(found) == {("a", "0123abc"), ("@real/c", "2.0.0"), ("d", "1.0.0")}


def test_the_application_its_workspaces_and_links_are_left_out(
    extract: Callable[..., Extraction],
) -> None:
    text = """{"lockfileVersion": 3, "packages": {
        "": {"name": "app", "version": "1.0.0", "dependencies": {"w": "*"}},
        "packages/w": {"name": "w", "version": "1.0.0"},
        "node_modules/w": {"resolved": "packages/w", "link": true},
        "node_modules/x": {"optional": true},
        "packages/w/node_modules/y": {"version": "3.0.0", "license": "MIT"}
    }}"""
    [package] = extract(packagelock.EXTRACTOR, "package-lock.json", text).packages
    assert (package.name, package.licence, package.direct) == ("y", "MIT", False)


def test_deep_version_one_trees_do_not_recurse(extract: Callable[..., Extraction]) -> None:
    depth = 300
    level = '"dependencies": {"a": {"version": "1.0.0", '
    text = "{" + level * depth + '"x": 1' + "}}" * depth + "}"
    assert len(extract(packagelock.EXTRACTOR, "package-lock.json", text).packages) == 1


def test_yarn_workspaces_mark_neither_direct_nor_development_dependencies(
    extract: Callable[..., Extraction],
) -> None:
    text = '# yarn lockfile v1\n\n"a@^1.0.0", a@^1.1.0:\n  version "1.2.0"\n'
    manifest = {"package.json": b'{"workspaces": ["p/*"], "dependencies": {"a": "^1.0.0"}}'}
    [package] = extract(yarnlock.EXTRACTOR, "yarn.lock", text, manifest).packages
    assert (package.direct, package.dev) == (None, None)


def test_a_broken_package_json_beside_a_lock_file_costs_only_what_it_holds(
    extract: Callable[..., Extraction],
) -> None:
    text = "# yarn lockfile v1\n\na@1:\n  version 1.0.0\n"
    found = extract(yarnlock.EXTRACTOR, "yarn.lock", text, {"package.json": b"{"})
    assert [(p.name, p.direct) for p in found.packages] == [("a", None)]


def test_yarn_patches_are_the_package_that_they_patch(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts]
) -> None:
    text = """__metadata:
  version: 8

"fsevents@patch:fsevents@npm%3A~2.3.2#optional!builtin<compat/fsevents>":
  version: 2.3.3
  resolution: "fsevents@patch:fsevents@npm%3A2.3.3#optional!builtin<compat/fsevents>::version=2.3.3"

"here@workspace:.":
  version: 0.0.0-use.local
  resolution: "here@workspace:."
"""
    found = extract(yarnlock.EXTRACTOR, "yarn.lock", text)
    assert facts(found) == {("fsevents", "2.3.3")}


@pytest.mark.parametrize("text", ["  version 1\n", "a@1\n", "# yarn lockfile v1\n    x\n"])
def test_what_is_no_yarn_lock_is_an_error(extract: Callable[..., Extraction], text: str) -> None:
    with pytest.raises(DamagedError):
        extract(yarnlock.EXTRACTOR, "yarn.lock", text)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("/a/1.0.0", ("a", "1.0.0")),
        ("/@s/a/1.0.0_peer@2.0.0", ("@s/a", "1.0.0")),
        ("/a/1.0.0_@s+peer@2.0.0", ("a", "1.0.0")),
        ("registry.example/@s/a/1.0.0", ("@s/a", "1.0.0")),
        ("/a@1.0.0(b@2.0.0)(@c/d@3.0.0)", ("a", "1.0.0")),
        ("/@s/a@1.0.0-rc.1", ("@s/a", "1.0.0-rc.1")),
        ("'@s/a@1.0.0'", ("@s/a", "1.0.0")),
    ],
)
def test_pnpm_keys_of_all_ages(
    extract: Callable[..., Extraction], key: str, expected: tuple[str, str]
) -> None:
    text = f"lockfileVersion: 6\npackages:\n  {key}:\n    resolution: {{integrity: x}}\n"
    [package] = extract(pnpmlock.EXTRACTOR, "pnpm-lock.yaml", text).packages
    assert (package.name, package.version) == expected


def test_a_pnpm_key_that_names_nothing_is_a_problem(extract: Callable[..., Extraction]) -> None:
    text = "packages:\n  nonsense: {}\n  /a/1.0.0: {}\n"
    found = extract(pnpmlock.EXTRACTOR, "pnpm-lock.yaml", text)
    assert [package.name for package in found.packages] == ["a"]
    assert "nonsense" in found.problems[0].what


def test_bun_allows_comments_and_trailing_commas(extract: Callable[..., Extraction]) -> None:
    text = """// a comment
    {"workspaces": {"": {"devDependencies": {"a": "1", }, }, }, /* more */
     "packages": {
        "a": ["a@1.0.0", "", {"dependencies": {"b": "*",},}, "sha512-//,]"],
        "b": ["b@2.0.0", "", {}, ""],
        "a/b": ["b@3.0.0", "", {}, ""],
        "w": ["w@workspace:w"],
     },}"""
    found = extract(bunlock.EXTRACTOR, "bun.lock", text)
    assert {(p.name, p.version, p.direct, p.dev) for p in found.packages} == {
        ("a", "1.0.0", True, True),
        ("b", "2.0.0", False, True),
        ("b", "3.0.0", False, True),
    }


def test_an_unfinished_string_does_not_stall(extract: Callable[..., Extraction]) -> None:
    with pytest.raises(DamagedError):
        extract(bunlock.EXTRACTOR, "bun.lock", '"' + '\\"' * 500_000)


def test_a_byte_order_mark_is_no_part_of_a_yarn_lock(
    extract: Callable[..., Extraction], facts: Callable[[Extraction], Facts]
) -> None:
    text = '\ufeff# yarn lockfile v1\r\n\r\nlodash@^4.0.0:\r\n  version "4.17.20"\r\n'
    assert facts(extract(yarnlock.EXTRACTOR, "yarn.lock", text)) == {("lodash", "4.17.20")}
