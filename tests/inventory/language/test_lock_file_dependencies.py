"""Which package requires which, by lock files and the records within programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.inventory.language.dependency_edges import collected

if TYPE_CHECKING:
    Edges = dict[str, list[str] | None]


CARGO = """
version = 3
[[package]]
name = "app"
version = "0.1.0"
dependencies = [
 "rand 0.7.3",
 "rand 0.8.5 (registry+https://github.com/rust-lang/crates.io-index)",
 "libc",
]
[[package]]
name = "rand"
version = "0.7.3"
source = "registry+https://github.com/rust-lang/crates.io-index"
dependencies = ["libc"]
[[package]]
name = "rand"
version = "0.8.5"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "libc"
version = "0.2.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
"""
NPM_3 = {
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"a": "^1"}},
        "node_modules/a": {"version": "1.0.0", "dependencies": {"b": "^1", "c": "^2", "x": "1"},
                           "devDependencies": {"d": "1"}, "peerDependencies": {"d": "1"}},
        "node_modules/a/node_modules/b": {"version": "1.0.0", "dependencies": {"c": "^2"}},
        "node_modules/b": {"version": "2.0.0", "optionalDependencies": {"a": "1", "d": "1"}},
        "node_modules/c": {"version": "2.0.0"},
        "node_modules/d": {"version": "1.0.0"},
        "packages/app": {"version": "1.0.0", "dependencies": {"b": "2"}},
        "packages/app/node_modules/e": {"version": "1.0.0", "dependencies": {"b": "2", "f": "1"}},
        "packages/app/node_modules/f": {"version": "1.0.0", "dependencies": {"e": "1"}},
        "node_modules/app": {"resolved": "packages/app", "link": True},
    },
}  # fmt: skip
NPM_1 = {
    "lockfileVersion": 1,
    "requires": True,
    "dependencies": {
        "a": {"version": "1.0.0", "requires": {"b": "^1", "c": "^2"},
              "dependencies": {"b": {"version": "1.0.0", "requires": {"c": "^2"}}}},
        "b": {"version": "2.0.0"},
        "c": {"version": "2.0.0", "requires": {"a": "1", "absent": "1"}},
    },
}  # fmt: skip
PNPM_5 = """
lockfileVersion: 5.4
specifiers: {a: ^1}
dependencies: {a: 1.0.0_c@2.0.0}
packages:
  /a/1.0.0_c@2.0.0:
    resolution: {integrity: sha512-x}
    dependencies: {b: 1.0.0, alias: /c/2.0.0}
  /b/1.0.0:
    resolution: {integrity: sha512-x}
    optionalDependencies: {c: 2.0.0}
  /c/2.0.0:
    resolution: {integrity: sha512-x}
"""
PNPM_9 = """
lockfileVersion: '9.0'
importers: {.: {dependencies: {a: {specifier: ^1, version: 1.0.0(c@2.0.0)}}}}
packages:
  a@1.0.0: {resolution: {integrity: sha512-x}}
  b@1.0.0: {resolution: {integrity: sha512-x}}
  c@2.0.0: {resolution: {integrity: sha512-x}}
  c@3.0.0: {resolution: {integrity: sha512-x}}
snapshots:
  a@1.0.0(c@2.0.0): {dependencies: {b: 1.0.0(c@2.0.0), c: 2.0.0}}
  a@1.0.0(c@3.0.0): {dependencies: {c: 3.0.0}}
  b@1.0.0(c@2.0.0): {dependencies: {c: 2.0.0}}
  c@2.0.0: {}
  c@3.0.0: {}
"""
YARN_1 = """# yarn lockfile v1

a@^1.0.0, a@^1.1.0:
  version "1.1.0"
  resolved "https://registry.yarnpkg.com/a/-/a-1.1.0.tgz#x"
  dependencies:
    b "^2.0.0"
  optionalDependencies:
    c "*"

b@^1.0.0:
  version "1.0.0"

b@^2.0.0:
  version "2.0.0"
  dependencies:
    a "^1.0.0"

c@*:
  version "3.0.0"
"""
YARN_BERRY = """
__metadata: {version: 8}
"a@npm:^1.0.0":
  version: 1.1.0
  resolution: "a@npm:1.1.0"
  dependencies: {b: "npm:^2.0.0", c: "*"}
"b@npm:^2.0.0":
  version: 2.0.0
  resolution: "b@npm:2.0.0"
"c@npm:*, c@npm:3":
  version: 3.0.0
  resolution: "c@npm:3.0.0"
"""
POETRY = """
[[package]]
name = "Requests"
version = "2.0"
[package.dependencies]
certifi = ">=1"
Char_Set = {version = "*", markers = "python_version < '3'"}
pysocks = {version = "*", optional = true, markers = "extra == 'socks'"}
[[package]]
name = "certifi"
version = "1"
[[package]]
name = "char-set"
version = "1"
[[package]]
name = "pysocks"
version = "1"
"""
UV = """
version = 1
[[package]]
name = "app"
source = { virtual = "." }
dependencies = [{ name = "requests" }]
[[package]]
name = "requests"
version = "2"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "numpy", version = "2", marker = "python_version >= '3.9'" }]
[package.optional-dependencies]
socks = [{ name = "pysocks" }]
[[package]]
name = "numpy"
version = "1"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "numpy"
version = "2"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "pysocks"
version = "1"
source = { registry = "https://pypi.org/simple" }
"""
PDM = """
[[package]]
name = "requests"
version = "2"
dependencies = ["certifi>=1 ; python_version > '3'", "pysocks; extra == 'socks'"]
[[package]]
name = "certifi"
version = "1"
[[package]]
name = "pysocks"
version = "1"
"""
PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "attrs"
version = "25"
[[packages]]
name = "cattrs"
version = "24"
dependencies = [{name = "attrs"}]
"""
COMPOSER = {
    "packages": [
        {"name": "Symfony/Console", "version": "v6", "require": {
            "php": ">=8", "psr/log": "^3", "symfony/polyfill-mbstring": "*"}},
        {"name": "psr/log", "version": "3", "require": []},
        {"name": "symfony/all", "version": "1", "replace": {"symfony/polyfill-mbstring": "*"}},
    ],
    "packages-dev": [{"name": "x/dev", "version": "1", "require": {"psr/log": "*"}}],
}  # fmt: skip
GEMFILE = """GEM
  remote: https://rubygems.org/
  specs:
    rack (2.2.0)
    rails (7.0.0)
      rack (>= 2)
      absent
    nokogiri (1.0-x86_64-linux)
      rails (= 7.0.0)

DEPENDENCIES
  rails
"""
NUGET = {
    "version": 1,
    "dependencies": {
        "net8.0": {
            "A": {"type": "Direct", "resolved": "1.0.0", "dependencies": {"b": "[1, )"}},
            "B": {"type": "Transitive", "resolved": "1.0.0"},
            "web": {"type": "Project", "dependencies": {"A": "1"}},
        },
        "net8.0/linux-x64": {
            "C": {"type": "Transitive", "resolved": "3.0.0", "dependencies": {"B": "1"}},
        },
    },
}
DEPS_JSON = {
    "targets": {"net8.0": {
        "app/1.0.0": {"dependencies": {"A": "1.0.0"}},
        "A/1.0.0": {"dependencies": {"B": "2.0.0", "C": "9.9.9"}},
        "B/2.0.0": {"runtime": {}},
    }},
    "libraries": {"app/1.0.0": {"type": "project"}, "A/1.0.0": {"type": "package"},
                  "B/2.0.0": {"type": "package"}, "C/1.0.0": {"type": "package"}},
}  # fmt: skip
BUN = """{
  "lockfileVersion": 1,
  "workspaces": {"": {"name": "app", "dependencies": {"a": "^1", "alias": "npm:c@2"}}},
  "packages": {
    "a": ["a@1.0.0", "", {"dependencies": {"b": "^1", "alias": "2", "absent": "1"},
                          "peerDependencies": {"d": "*"}}, "sha512-x"],
    "alias": ["c@2.0.0", "", {}, "sha512-x"],
    "b": ["b@2.0.0", "", {"optionalDependencies": {"d": "1"}}, "sha512-x"],
    "d": ["d@1.0.0", "", {}, "sha512-x"],
    "a/b": ["b@1.0.0", "", {"dependencies": {"b": "2", "d": "1"}}, "sha512-x"],
    "a/b/d": ["d@0.9.0", "", {}, "sha512-x"],
  },
}
"""
DENO_5: dict[str, object] = {
    "version": "5",
    "specifiers": {"jsr:@std/a@1": "1.0.2", "jsr:@std/b@^1": "1.1.0", "npm:x@1": "1.0.0"},
    "jsr": {
        "@std/a@1.0.2": {"integrity": "x", "dependencies": ["jsr:@std/b@^1", "npm:x"]},
        "@std/b@1.1.0": {"integrity": "x", "dependencies": ["jsr:@std/absent"]},
    },
    "npm": {
        "x@1.0.0_y@2.0.0": {"integrity": "x", "dependencies": ["y@2.0.0", "@z/z"]},
        "y@1.0.0": {"integrity": "x"},
        "y@2.0.0": {"integrity": "x", "optionalDependencies": ["y@1.0.0"]},
        "@z/z@3.0.0": {"integrity": "x"},
    },
}
DENO_3: dict[str, object] = {
    "version": "3",
    "packages": {
        "specifiers": {"jsr:@std/a@1": "jsr:@std/a@1.0.2", "npm:x@1": "npm:x@1.0.0"},
        "jsr": {"@std/a@1.0.2": {"integrity": "x", "dependencies": ["npm:x@1"]}},
        "npm": {"x@1.0.0": {"integrity": "x", "dependencies": {"y": "z@2.0.0"}},
                "z@2.0.0": {"integrity": "x", "dependencies": {}}},
    },
}  # fmt: skip
MIX = """%{
  "phoenix": {:hex, :phoenix, "1.7.0", "aa", [:mix], [{:castore, ">= 0.0.0", [hex: :castore, repo: "hexpm", optional: false]}, {:jason, "~> 1.0", [hex: :jason, repo: "hexpm", optional: true]}], "hexpm", "bb"},
  "castore": {:hex, :castore, "1.0.0", "aa", [:mix], [], "hexpm", "bb"},
  "fork": {:git, "https://example.org/fork.git", "abc123", []},
}
"""  # noqa: E501

CASES: dict[str, tuple[str | dict[str, object], Edges]] = {
    "srv/Cargo.lock": (CARGO, {
        "app 0.1.0": ["libc 0.2.0", "rand 0.7.3", "rand 0.8.5"], "libc 0.2.0": [],
        "rand 0.7.3": ["libc 0.2.0"], "rand 0.8.5": []}),
    "srv/package-lock.json": (NPM_3, {
        "a 1.0.0": ["b 1.0.0", "c 2.0.0"], "b 1.0.0": ["c 2.0.0"],
        "b 2.0.0": ["a 1.0.0", "d 1.0.0"], "c 2.0.0": [], "d 1.0.0": [],
        "e 1.0.0": ["b 2.0.0", "f 1.0.0"], "f 1.0.0": ["e 1.0.0"]}),
    "srv/npm-shrinkwrap.json": (NPM_1, {
        "a 1.0.0": ["b 1.0.0", "c 2.0.0"], "b 1.0.0": ["c 2.0.0"], "b 2.0.0": [],
        "c 2.0.0": ["a 1.0.0"]}),
    "five/pnpm-lock.yaml": (PNPM_5, {
        "a 1.0.0": ["b 1.0.0", "c 2.0.0"], "b 1.0.0": ["c 2.0.0"], "c 2.0.0": []}),
    "nine/pnpm-lock.yaml": (PNPM_9, {
        "a 1.0.0": ["b 1.0.0", "c 2.0.0", "c 3.0.0"], "b 1.0.0": ["c 2.0.0"],
        "c 2.0.0": [], "c 3.0.0": []}),
    "one/yarn.lock": (YARN_1, {
        "a 1.1.0": ["b 2.0.0", "c 3.0.0"], "b 1.0.0": [], "b 2.0.0": ["a 1.1.0"],
        "c 3.0.0": []}),
    "two/yarn.lock": (YARN_BERRY, {
        "a 1.1.0": ["b 2.0.0", "c 3.0.0"], "b 2.0.0": [], "c 3.0.0": []}),
    "srv/poetry.lock": (POETRY, {
        "requests 2.0": ["certifi 1", "char-set 1"], "certifi 1": [], "char-set 1": [],
        "pysocks 1": []}),
    "srv/uv.lock": (UV, {
        "requests 2": ["numpy 2", "pysocks 1"], "numpy 1": [], "numpy 2": [],
        "pysocks 1": []}),
    "srv/pdm.lock": (PDM, {"requests 2": ["certifi 1"], "certifi 1": [], "pysocks 1": []}),
    "srv/pylock.toml": (PYLOCK, {"attrs 25": [], "cattrs 24": ["attrs 25"]}),
    "none/pylock.toml": (PYLOCK.replace("dependencies", "tool"), {
        "attrs 25": None, "cattrs 24": None}),
    "srv/composer.lock": (COMPOSER, {
        "symfony/console v6": ["psr/log 3", "symfony/all 1"], "psr/log 3": [],
        "symfony/all 1": [], "x/dev 1": ["psr/log 3"]}),
    "vendor/composer/installed.json": ({"packages": COMPOSER["packages"]}, {
        "symfony/console v6": ["psr/log 3", "symfony/all 1"], "psr/log 3": [],
        "symfony/all 1": []}),
    "srv/Gemfile.lock": (GEMFILE, {
        "rack 2.2.0": [], "rails 7.0.0": ["rack 2.2.0"], "nokogiri 1.0": ["rails 7.0.0"]}),
    "srv/packages.lock.json": (NUGET, {
        "A 1.0.0": ["B 1.0.0"], "B 1.0.0": [], "C 3.0.0": ["B 1.0.0"]}),
    "srv/app.deps.json": (DEPS_JSON, {
        "A 1.0.0": ["B 2.0.0"], "B 2.0.0": [], "C 1.0.0": None}),
    "srv/mix.lock": (MIX, {
        "phoenix 1.7.0": ["castore 1.0.0"], "castore 1.0.0": [], "fork abc123": None}),
    "srv/bun.lock": (BUN, {
        "a 1.0.0": ["b 1.0.0", "c 2.0.0"], "b 1.0.0": ["d 0.9.0"], "b 2.0.0": ["d 1.0.0"],
        "c 2.0.0": [], "d 0.9.0": [], "d 1.0.0": []}),
    "five/deno.lock": (DENO_5, {
        "@std/a 1.0.2": ["@std/b 1.1.0", "x 1.0.0"], "@std/b 1.1.0": [],
        "@z/z 3.0.0": [], "x 1.0.0": ["@z/z 3.0.0", "y 2.0.0"], "y 1.0.0": [],
        "y 2.0.0": ["y 1.0.0"]}),
    "three/deno.lock": (DENO_3, {
        "@std/a 1.0.2": ["x 1.0.0"], "x 1.0.0": ["z 2.0.0"], "z 2.0.0": []}),
    "srv/gradle.lockfile": ("a:b:1.0=runtimeClasspath\n", {"a:b 1.0": None}),
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(CASES))
def test_a_lock_file_says_what_its_packages_require(path: str) -> None:
    content, expected = CASES[path]
    text = content if isinstance(content, str) else json.dumps(content)
    assert collected({path: text.encode()}) == expected
