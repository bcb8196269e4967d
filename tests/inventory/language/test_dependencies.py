"""Which packages require which, by the lock files and installed packages of each language."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import CollectOptions, collect
from sidelight.inventory.dependencies.declarations import MAX_REQUIRED
from sidelight.inventory.language import cargoauditable, composer, gobinary
from sidelight.inventory.language.extractors import LANGUAGE_EXTRACTORS
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fixtures.elf_files import elf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.inventory.language.extractor import GeneratorExtractor
    from sidelight.model import Package

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
MIX = """%{
  "phoenix": {:hex, :phoenix, "1.7.0", "aa", [:mix], [{:castore, ">= 0.0.0", [hex: :castore, repo: "hexpm", optional: false]}, {:jason, "~> 1.0", [hex: :jason, repo: "hexpm", optional: true]}], "hexpm", "bb"},
  "castore": {:hex, :castore, "1.0.0", "aa", [:mix], [], "hexpm", "bb"},
  "fork": {:git, "https://example.org/fork.git", "abc123", []},
}
"""  # noqa: E501
GO = (
    "path\tcmd/a\nmod\texample.org/a\tv1.0.0\th1:x\ndep\texample.org/b\tv1.2.0\th1:x\n"
    "dep\texample.org/c\tv1.0.0\n=>\texample.org/fork\tv1.0.1\th1:x\n"
)
AUDITABLE = {
    "packages": [
        {"name": "app", "version": "0.1.0", "source": "local", "root": True,
         "dependencies": [1, 2, 9, "x"]},
        {"name": "libc", "version": "0.2.0", "source": "crates.io", "dependencies": [0]},
        {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
    ]
}  # fmt: skip


def of_program(extractor: GeneratorExtractor, sections: dict[str, bytes]) -> Edges:
    """What the packages of a program with these sections require."""
    data = elf(sections)
    found = extractor.extract(MemoryFile(data, "app"), Machine(OperatingSystem()))
    return named(found.packages, map(found.requires.get, range(len(found.packages))))


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
    "srv/gradle.lockfile": ("a:b:1.0=runtimeClasspath\n", {"a:b 1.0": None}),
}  # fmt: skip


def named(packages: Iterable[Package], found: Iterable[tuple[int, ...] | None]) -> Edges:
    names = [f"{item.name} {item.version}" for item in packages]
    return {
        name: None if others is None else sorted(names[other] for other in others)
        for name, others in zip(names, found, strict=True)
    }


def collected(files: dict[str, bytes]) -> Edges:
    """What the packages of a machine with these files require."""
    tree: dict[str, object] = {}
    for path, data in files.items():
        *above, name = path.split("/")
        directory = tree
        for part in above:
            directory = directory.setdefault(part, {})  # type: ignore[assignment] # a directory
        directory[name] = data
    options = CollectOptions(whole_machine=False)
    found = collect(MachineTree(MemoryFilesystem(tree)), options, LANGUAGE_EXTRACTORS)
    assert found.problems == []
    return named(found.packages, found.dependencies or [None] * len(found.packages))


@pytest.mark.parametrize("path", sorted(CASES))
def test_a_lock_file_says_what_its_packages_require(path: str) -> None:
    content, expected = CASES[path]
    text = content if isinstance(content, str) else json.dumps(content)
    assert collected({path: text.encode()}) == expected


def test_installed_python_distributions_require_those_of_their_directory() -> None:
    metadata = "Metadata-Version: 2.1\nName: {}\nVersion: 1\n{}\n\nRequires-Dist: in-a-text\n"
    requires = (
        "Requires-Dist: Char_Set (>=1) ; python_version < '2'\n"
        "Requires-Dist: pysocks; extra == 'socks'\nRequires-Dist: elsewhere\n"
        "Requires-Dist: old.egg[x]>=1,<2; sys_platform == 'linux'\nRequires-Dist: -"
    )
    above = "opt/env/lib/python3.11/site-packages"
    found = collected(
        {
            f"{above}/Requests-1.dist-info/METADATA": metadata.format(
                "Requests", requires
            ).encode(),
            f"{above}/char_set-1.dist-info/METADATA": metadata.format("char-set", "").encode(),
            f"{above}/PySocks-1.dist-info/METADATA": metadata.format("PySocks", "").encode(),
            f"{above}/old_egg-1.egg-info/PKG-INFO": metadata.format("old-egg", "").encode(),
            "opt/other/elsewhere-1.dist-info/METADATA": metadata.format("elsewhere", "").encode(),
        }
    )
    assert found == {
        "requests 1": ["char-set 1", "old-egg 1"],
        "char-set 1": [],
        "pysocks 1": [],
        "old-egg 1": None,  # requires.txt, which older tools write, is not read
        "elsewhere 1": [],
    }


def test_installed_npm_packages_require_what_node_finds() -> None:
    def manifest(name: str, **members: object) -> bytes:
        return json.dumps({"name": name, "version": "1", **members}).encode()

    def one(*names: str) -> dict[str, str]:
        return dict.fromkeys(names, "1")

    modules = "srv/app/node_modules"
    found = collected(
        {
            f"{modules}/a/package.json": manifest("a", dependencies=one("b", "@s/c"),
                                                  devDependencies=one("d")),
            f"{modules}/a/node_modules/b/package.json": manifest("b-inner", dependencies=one("d")),
            f"{modules}/b/package.json": manifest("b", optionalDependencies=one("@s/c")),
            f"{modules}/@s/c/package.json": manifest("@s/c", dependencies=one("top", "a")),
            f"{modules}/d/package.json": manifest("d", dependencies=["b"]),
            "srv/node_modules/top/package.json": manifest("top", dependencies=one("a")),
            f"{modules}/.pnpm/e@1/node_modules/e/package.json": manifest("e", dependencies=["f"]),
        }
    )  # fmt: skip
    assert found == {
        "a 1": ["@s/c 1", "b-inner 1"],
        "b-inner 1": ["d 1"],
        "b 1": ["@s/c 1"],
        "@s/c 1": ["a 1", "top 1"],
        "d 1": [],
        "top 1": [],  # what is below it is not found
        "e 1": None,  # by links of pnpm's store
    }


def test_gems_and_conda_packages_require_those_of_their_environment() -> None:
    def gem(name: str, *lines: str) -> bytes:
        text = "\n".join(f"  s.{line}" for line in (f'name = "{name}"', 'version = "1"', *lines))
        return f"Gem::Specification.new do |s|\n{text}\nend\n".encode()

    specifications = "usr/lib/ruby/gems/3.1.0/specifications"
    found = collected(
        {
            f"{specifications}/rails-1.gemspec": gem(
                "rails",
                'add_runtime_dependency(%q<rack>.freeze, [">= 2".freeze])',
                'add_dependency "json"',
                "add_development_dependency(%q<mini>.freeze, [])",
            ),
            f"{specifications}/rack-1.gemspec": gem("rack"),
            f"{specifications}/mini-1.gemspec": gem("mini"),
            f"{specifications}/default/json-1.gemspec": gem("json"),
            "opt/conda/conda-meta/numpy-1-0.json": json.dumps(
                {"name": "numpy", "version": "1", "depends": ["python >=3.8,<3.9", "__glibc", 3]}
            ).encode(),
            "opt/conda/conda-meta/python-3-0.json": b'{"name": "python", "version": "3"}',
            "opt/other/conda-meta/python-2-0.json": json.dumps(
                {"name": "python", "version": "2", "depends": []}
            ).encode(),
        }
    )
    assert found == {
        "rails 1": ["json 1", "rack 1"],
        "rack 1": [],
        "mini 1": [],
        "json 1": [],
        "numpy 1": ["python 3"],
        "python 3": None,
        "python 2": [],
    }


def test_a_rust_program_has_the_edges_of_its_crates() -> None:
    section = zlib.compress(json.dumps(AUDITABLE).encode())
    assert of_program(cargoauditable.EXTRACTOR, {".dep-v0": section}) == {
        "app 0.1.0": ["libc 0.2.0"],
        "libc 0.2.0": ["app 0.1.0"],
    }


def test_a_go_program_s_own_module_requires_the_others() -> None:
    modules = ("0" * 16 + GO + "1" * 16).encode()
    version = b"go1.22.0"
    strings = b"".join(
        bytes([len(text) & 0x7F | 0x80, len(text) >> 7]) + text for text in (version, modules)
    )
    info = (gobinary.MAGIC + bytes([8, 2])).ljust(gobinary.HEADER, b"\0") + strings
    # The list does not say which of the others require which.
    assert of_program(gobinary.EXTRACTOR, {".go.buildinfo": info}) == {
        "stdlib 1.22.0": None,
        "example.org/a v1.0.0": ["example.org/b v1.2.0", "example.org/fork v1.0.1",
                                 "stdlib 1.22.0"],
        "example.org/b v1.2.0": None,
        "example.org/fork v1.0.1": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["package-lock.json", "npm-shrinkwrap.json"])
def test_very_deep_places_of_a_lock_file_cost_no_square(name: str) -> None:
    deep = "a/" * 100_000
    packages = {f"{deep}node_modules/b": {"version": "1", "dependencies": {"c": "1"}},
                "node_modules/c": {"version": "1", "dependencies": {"c": "1"}}}  # fmt: skip
    assert collected({f"srv/{name}": json.dumps({"packages": packages}).encode()}) == {
        "b 1": [],
        "c 1": [],
    }


def test_a_file_of_too_many_required_names_keeps_its_packages() -> None:
    many = {f"n{number}": "1" for number in range(MAX_REQUIRED + 1)}
    packages = [{"name": "a/a", "version": "1", "require": many}, {"name": "b/b", "version": "1"}]
    data = json.dumps({"packages": packages}).encode()
    found = composer.LOCK_EXTRACTOR.extract(
        MemoryFile(data, "composer.lock"), Machine(OperatingSystem())
    )
    assert [item.name for item in found.packages] == ["a/a", "b/b"]
    assert found.requires == {}
    assert "dependencies of this file are left out" in found.problems[0].what
