"""Maven and Gradle files, Go, Cargo, Ruby, PHP, .NET, and applications of nobody's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError
from sidelight.inventory.language import (
    cargolock,
    composer,
    dotnetdeps,
    gemfilelock,
    gemspec,
    gomod,
    gradlelockfile,
    nugetlock,
    pomxml,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction


Facts = set[tuple[str, str]]

POM = """<?xml version="1.0"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <parent><groupId>net.up</groupId><artifactId>up</artifactId><version>9</version></parent>
  <artifactId>own</artifactId>
  <properties><v>1.${minor}</v><minor>2</minor><loop>${loop}</loop></properties>
  <dependencyManagement><dependencies>
    <dependency><groupId>a</groupId><artifactId>managed</artifactId><version>3</version></dependency>
  </dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>a</groupId><artifactId>filled</artifactId><version>${v}</version></dependency>
    <dependency><groupId>a</groupId><artifactId>managed</artifactId><scope>test</scope></dependency>
    <dependency><groupId>a</groupId><artifactId>range</artifactId><version>[1,2)</version></dependency>
    <dependency><groupId>a</groupId><artifactId>exact</artifactId><version>[1.5]</version></dependency>
    <dependency><groupId>a</groupId><artifactId>loop</artifactId><version>${loop}</version></dependency>
    <dependency><groupId>a</groupId><artifactId>above</artifactId></dependency>
    <dependency><groupId>${project.groupId}</groupId><artifactId>mate</artifactId>
      <version>${project.version}</version></dependency>
  </dependencies>
</project>"""


def test_a_pom_names_what_it_gives_a_version(extract: Callable[..., Extraction]) -> None:
    found = extract(pomxml.EXTRACTOR, "pom.xml", POM)
    assert {(p.name, p.version, p.direct, p.dev) for p in found.packages} == {
        ("net.up:own", "9", None, None),
        ("a:filled", "1.2", True, False),
        ("a:managed", "3", True, True),
        ("a:exact", "1.5", True, False),
        ("net.up:mate", "9", True, False),
    }


def test_properties_that_multiply_stay_small(extract: Callable[..., Extraction]) -> None:
    names = [f"p{index}" for index in range(20)]
    bomb = "".join(
        f"<{name}>" + f"${{{after}}}" * 10 + f"</{name}>"
        for name, after in itertools.pairwise(names)
    )
    text = (
        f"<project><properties>{bomb}</properties><dependencies><dependency><groupId>a</groupId>"
        "<artifactId>b</artifactId><version>${p0}</version></dependency></dependencies></project>"
    )
    assert not extract(pomxml.EXTRACTOR, "pom.xml", text).packages


def test_a_gradle_lock_file(extract: Callable[..., Extraction]) -> None:
    text = "# comment\na.b:c:1.0=compileClasspath,testX\nd:e:2=testRuntime\nbad line\nempty=x\n"
    found = extract(gradlelockfile.EXTRACTOR, "gradle.lockfile", text)
    assert {(p.name, p.version, p.dev) for p in found.packages} == {
        ("a.b:c", "1.0", False),
        ("d:e", "2", True),
    }
    assert "bad line" in found.problems[0].what


GO_MOD = """module example.com/app

go 1.22
toolchain go1.22.3

require (
	github.com/a/b v1.0.0
	github.com/c/d v1.1.0 // indirect
)
require github.com/e/f v2.0.0+incompatible
replace github.com/c/d => github.com/new/d v1.2.0
replace github.com/e/f v2.0.0+incompatible => ../f
replace github.com/a/b v9.9.9 => github.com/other/b v1.0.0
exclude github.com/x/y v1.0.0
"""


def test_go_mod_after_replacement(extract: Callable[..., Extraction]) -> None:
    found = extract(gomod.EXTRACTOR, "go.mod", GO_MOD)
    assert {(p.name, p.version, p.direct) for p in found.packages} == {
        ("stdlib", "1.22.3", None),
        ("github.com/a/b", "v1.0.0", True),
        ("github.com/new/d", "v1.2.0", False),
    }


def test_what_is_no_go_mod_is_an_error(extract: Callable[..., Extraction]) -> None:
    with pytest.raises(DamagedError, match="line 2"):
        extract(gomod.EXTRACTOR, "go.mod", "module x\nhello there\n")


@pytest.mark.parametrize(
    ("siblings", "expected"),
    [
        ({"go.mod": b"module x\n\ngo 1.16\n"}, {("a.example/b", "v1.0.0")}),
        ({"go.mod": b"module x\n\ngo 1.21.0\n"}, set()),
        ({}, {("a.example/b", "v1.0.0")}),
    ],
)
def test_go_sum_counts_where_go_mod_does_not_list_all(
    extract: Callable[..., Extraction],
    facts: Callable[[Extraction], Facts],
    siblings: dict[str, bytes],
    expected: Facts,
) -> None:
    text = "a.example/b v1.0.0 h1:x=\na.example/b v1.0.0/go.mod h1:y=\nc.d/e v1/go.mod h1:z=\n"
    assert facts(extract(gomod.SUM_EXTRACTOR, "go.sum", text, siblings)) == expected


def test_cargo_lock(extract: Callable[..., Extraction]) -> None:
    text = """
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["serde", "rand 0.8.5"]

[[package]]
name = "serde"
version = "1.0.0"
source = "registry+https://registry.example/index"
dependencies = ["itoa"]

[[package]]
name = "rand"
version = "0.7.3"
source = "registry+https://registry.example/index"

[[package]]
name = "rand"
version = "0.8.5"
source = "registry+https://registry.example/index"
"""
    found = extract(cargolock.EXTRACTOR, "Cargo.lock", text)
    assert {(p.name, p.version, p.direct) for p in found.packages} == {
        ("app", "0.1.0", False),
        ("serde", "1.0.0", True),
        ("rand", "0.7.3", False),
        ("rand", "0.8.5", True),
    }


GEMSPEC = """# -*- encoding: utf-8 -*-
# stub: nokogiri 1.15.0 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = {version}
  s.platform = "x86_64-linux".freeze
  s.licenses = ["MIT".freeze, "Ruby".freeze]
end
"""


@pytest.mark.parametrize(
    "version", ['"1.15.0"', '"1.15.0".freeze', 'Gem::Version.new("1.15.0")', "V"]
)
def test_an_installed_gem(extract: Callable[..., Extraction], version: str) -> None:
    path = "usr/lib/ruby/gems/3.1.0/specifications/nokogiri-1.15.0-x86_64-linux.gemspec"
    [package] = extract(gemspec.EXTRACTOR, path, GEMSPEC.format(version=version)).packages
    assert (package.name, package.version) == ("nokogiri", "1.15.0")
    assert package.licence == "MIT OR Ruby"


def test_only_gem_homes_are_read() -> None:
    confirm = gemspec.EXTRACTOR.wants.confirm
    assert confirm is not None
    assert confirm("gems/3.1.0/specifications/default/json-2.6.gemspec")
    assert confirm("gems/3.1.0/specifications/rake-13.gemspec")
    assert not confirm("gems/3.1.0/gems/rake-13/rake.gemspec")


def test_a_gem_without_a_plain_version_is_a_problem(extract: Callable[..., Extraction]) -> None:
    found = extract(gemspec.EXTRACTOR, "specifications/x.gemspec", "\n" * 100_000 + "x.name = Y")
    assert not found.packages
    assert found.problems


def test_gemfile_lock(extract: Callable[..., Extraction]) -> None:
    text = """PATH
  remote: .
  specs:
    own (1.0)

GIT
  remote: https://example.com/g.git
  specs:
    g (0.1)

GEM
  remote: https://registry.example/
  specs:
    nokogiri (1.13.3)
      racc (~> 1.4)
    nokogiri (1.13.3-x86_64-linux)
      racc (~> 1.4)
    racc (1.6.0)

DEPENDENCIES
  g!
  nokogiri (~> 1.13)

BUNDLED WITH
   2.3.7
"""
    found = extract(gemfilelock.EXTRACTOR, "Gemfile.lock", text)
    assert {(p.name, p.version, p.direct) for p in found.packages} == {
        ("g", "0.1", True),
        ("nokogiri", "1.13.3", True),
        ("racc", "1.6.0", False),
    }


def test_composer_lock(extract: Callable[..., Extraction]) -> None:
    text = """{"packages": [{"name": "Symfony/Console", "version": "v5.4.0", "license": ["MIT"]}],
               "packages-dev": [{"name": "phpunit/phpunit", "version": "9.0.0"}]}"""
    siblings = {"composer.json": b'{"require": {"php": ">=8", "symfony/console": "^5"}}'}
    found = extract(composer.LOCK_EXTRACTOR, "composer.lock", text, siblings)
    assert {(p.name, p.version, p.direct, p.dev, p.licence) for p in found.packages} == {
        ("symfony/console", "v5.4.0", True, False, "MIT"),
        ("phpunit/phpunit", "9.0.0", False, True, ""),
    }


@pytest.mark.parametrize(
    ("text", "dev"),
    [
        ('[{"name": "a/b", "version": "1.0"}]', None),
        ('{"packages": [{"name": "a/b", "version": "1.0"}], "dev-package-names": ["a/b"]}', True),
        ('{"packages": [{"name": "a/b", "version": "1.0"}], "dev-package-names": []}', False),
    ],
)
def test_installed_json_of_both_composers(
    extract: Callable[..., Extraction], text: str, dev: bool | None
) -> None:
    path = "var/www/vendor/composer/installed.json"
    [package] = extract(composer.INSTALLED_EXTRACTOR, path, text).packages
    assert (package.name, package.version, package.dev) == ("a/b", "1.0", dev)


def test_deps_json(extract: Callable[..., Extraction]) -> None:
    text = """{"targets": {"net8.0": {"App/1.0.0": {"dependencies": {"A": "1.0.0"}}}},
        "libraries": {"App/1.0.0": {"type": "project"}, "A/1.0.0": {"type": "package"},
            "B/2.0.0": {"type": "package"}, "C/1": {"type": "reference"},
         "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"type": "runtimepack"}}}"""
    found = extract(dotnetdeps.EXTRACTOR, "app.deps.json", text)
    assert {(p.name, p.version, p.direct) for p in found.packages} == {
        ("A", "1.0.0", True),
        ("B", "2.0.0", False),
        ("Microsoft.NETCore.App.Runtime.linux-x64", "8.0.1", False),
    }


def test_packages_lock_json(extract: Callable[..., Extraction]) -> None:
    text = """{"dependencies": {"net6.0": {"A": {"type": "Direct", "resolved": "1.0.0"},
        "B": {"type": "Transitive", "resolved": "2.0.0"}, "P": {"type": "Project"}}}}"""
    found = extract(nugetlock.LOCK_EXTRACTOR, "packages.lock.json", text)
    assert {(p.name, p.direct) for p in found.packages} == {("A", True), ("B", False)}


def test_packages_config(extract: Callable[..., Extraction]) -> None:
    text = """<packages><package id="A" version="1.0" /><package version="2" />
        <package id="D" version="3" developmentDependency="true" /></packages>"""
    found = extract(nugetlock.CONFIG_EXTRACTOR, "packages.config", text)
    assert {(p.name, p.version, p.dev) for p in found.packages} == {
        ("A", "1.0", False),
        ("D", "3", True),
    }
    assert len(found.problems) == 1
