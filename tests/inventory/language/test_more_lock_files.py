"""Lock files of conda, Hex, Pub, Swift, Deno, sbt and Gradle, and NuGet's central versions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import DamagedError, UnsupportedError
from sidelight.inventory.language import (
    bunlockb,
    condalock,
    denolock,
    gradlecatalog,
    gradlelockfile,
    mixlock,
    nugetcentral,
    packageresolved,
    pnpmlock,
    pubspeclock,
    sbtlock,
    yarnlock,
)
from sidelight.inventory.purl import is_of_public_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction

Facts = set[tuple[str, str]]


def typed(found: Extraction) -> set[tuple[str, str, str]]:
    assert not found.problems
    return {(package.type, package.name, package.version) for package in found.packages}


def foreign(found: Extraction) -> set[str]:
    return {p.name for p in found.packages if not is_of_public_registry(p.purl)}


ENVIRONMENT = """
name: app
channels: [conda-forge]
dependencies:
  - python=3.11.4=hab00c5b_0
  - conda-forge::numpy=1.24.3
  - scipy==1.10.1
  - openssl>=3
  - zlib 1.2.*
  - pip:
    - requests==2.28.1
    - rich>=13
"""


def test_an_environment_lists_what_it_pins(extract: Callable[..., Extraction]) -> None:
    found = extract(condalock.ENVIRONMENT_EXTRACTOR, "srv/environment.yml", ENVIRONMENT)
    assert typed(found) == {
        ("conda", "python", "3.11.4"),
        ("conda", "numpy", "1.24.3"),
        ("conda", "scipy", "1.10.1"),
        ("pypi", "requests", "2.28.1"),
    }
    assert "build=hab00c5b_0" in next(p.purl for p in found.packages if p.name == "python")


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "environment: production\n", "dependencies: x\n"]
)
def test_another_environment_file_is_no_problem(
    extract: Callable[..., Extraction], text: str
) -> None:
    found = extract(condalock.ENVIRONMENT_EXTRACTOR, "srv/environment.yml", text)
    assert not found.packages
    assert not found.problems


def test_a_conda_lock_lists_both_managers(extract: Callable[..., Extraction]) -> None:
    text = """
version: 1
package:
- name: numpy
  version: 1.24.3
  manager: conda
  platform: linux-64
  url: https://{org.anaconda.conda}/conda-forge/linux-64/numpy-1.24.3-py311h64a7726_0.conda
  category: main
- name: pytest
  version: 7.4.0
  manager: pip
  platform: linux-64
  url: https://{org.pythonhosted.files}/packages/x/pytest-7.4.0-py3-none-any.whl
  category: dev
"""
    found = extract(condalock.LOCK_EXTRACTOR, "srv/conda-lock.yml", text)
    assert typed(found) == {("conda", "numpy", "1.24.3"), ("pypi", "pytest", "7.4.0")}
    assert {package.name: package.dev for package in found.packages} == {
        "numpy": False, "pytest": True,
    }  # fmt: skip
    assert "subdir=linux-64" in found.packages[0].purl


@pytest.mark.parametrize(
    "packages",
    [
        """
- conda: https://{org.anaconda.conda}/conda-forge/noarch/boltons-24.0.0-pyhd8ed1ab_1.conda
  sha256: aa
- pypi: https://{org.pythonhosted.files}/packages/x/flask-3.0.0-py3-none-any.whl
  name: flask
  version: 3.0.0
- pypi: ./
  name: own
  version: 0.1.0
""",
        """
- kind: conda
  name: boltons
  version: 24.0.0
  url: https://{org.anaconda.conda}/conda-forge/noarch/boltons-24.0.0-pyhd8ed1ab_1.conda
- kind: pypi
  name: flask
  version: 3.0.0
  url: https://{org.pythonhosted.files}/packages/x/flask-3.0.0-py3-none-any.whl
""",
    ],
    ids=["version 6", "version 4"],
)
def test_a_pixi_lock_lists_both_registries(
    extract: Callable[..., Extraction], packages: str
) -> None:
    found = extract(condalock.PIXI_EXTRACTOR, "srv/pixi.lock", f"version: 6\npackages:{packages}")
    assert typed(found) == {("conda", "boltons", "24.0.0"), ("pypi", "flask", "3.0.0")}
    assert not foreign(found)


def test_mix_and_rebar_lock_files(extract: Callable[..., Extraction]) -> None:
    text = """%{
  "plug": {:hex, :plug, "1.11.1", "aa", [:mix], [{:mime, "~> 1.0", [hex: :mime]}], "hexpm", "bb"},
  "old": {:hex, :old, "0.1.0", "aa", [:mix], []},
  "corp": {:hex, :corp, "2.0.0", "aa", [:mix], [], "acme", "bb"},
  "fork": {:git, "https://github.com/x/fork.git", "abc123", []},
}
"""
    found = extract(mixlock.EXTRACTOR, "srv/mix.lock", text)
    assert typed(found) == {
        ("hex", "plug", "1.11.1"), ("hex", "old", "0.1.0"),
        ("hex", "corp", "2.0.0"), ("hex", "fork", "abc123"),
    }  # fmt: skip
    assert foreign(found) == {"corp", "fork"}
    text = """{"1.2.0",
[{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.9.0">>},0},
 {<<"fork">>,{git,"https://github.com/x/fork.git",{ref,"abc123"}},1}]}.
"""
    found = extract(mixlock.REBAR_EXTRACTOR, "srv/rebar.lock", text)
    assert typed(found) == {("hex", "cowboy", "2.9.0"), ("hex", "fork", "abc123")}
    assert foreign(found) == {"fork"}


def test_a_pubspec_lock_leaves_out_the_projects_own(extract: Callable[..., Extraction]) -> None:
    def entry(name: str, source: str, description: str) -> str:
        return (
            f"  {name}:\n    dependency: transitive\n    source: {source}\n"
            f'    version: "1.0.0"\n    description:\n{description}'
        )

    text = "packages:\n" + "".join(
        (
            entry("a", "hosted", '      name: a\n      url: "https://{dev.pub}"\n'),
            entry("b", "git", '      url: "https://github.com/x/b.git"\n      resolved-ref: abc\n'),
            entry("c", "path", '      path: "../c"\n'),
            entry("d", "hosted", '      name: d\n      url: "https://pub.corp.example"\n'),
            entry("e", "sdk", "      name: e\n"),
        )
    )
    found = extract(pubspeclock.EXTRACTOR, "srv/pubspec.lock", text)
    assert typed(found) == {("pub", name, "1.0.0") for name in "abd"}
    assert foreign(found) == {"b", "d"}


@pytest.mark.parametrize(
    "document",
    [
        {"version": 2, "pins": [{
            "identity": "swift-nio", "kind": "remoteSourceControl",
            "location": "https://github.com/apple/swift-nio.git", "state": {"version": "2.65.0"}}]},
        {"version": 1, "object": {"pins": [{
            "package": "swift-nio", "repositoryURL": "git@github.com:apple/swift-nio.git",
            "state": {"version": "2.65.0", "branch": None}}]}},
    ],
)  # fmt: skip
def test_swift_packages_are_named_by_their_repository(
    extract: Callable[..., Extraction], document: object
) -> None:
    found = extract(packageresolved.EXTRACTOR, "srv/Package.resolved", json.dumps(document))
    assert typed(found) == {("swift", "github.com/apple/swift-nio", "2.65.0")}
    assert found.packages[0].purl == "pkg:swift/github.com/apple/swift-nio@2.65.0"


NPM = {"chalk@5.3.0": {"integrity": "x"}, "react-dom@18.2.0_react@18.2.0": {"integrity": "x"}}
JSR = {"@std/fs@1.0.0": {"integrity": "x"}}


@pytest.mark.parametrize(
    "document",
    [
        {"version": "5", "npm": NPM, "jsr": JSR,
         "workspace": {"dependencies": ["npm:chalk@^5", "jsr:@std/fs@1"]}},
        {"version": "3", "packages": {"npm": NPM, "jsr": JSR, "specifiers": {}}},
        {"version": "2", "npm": {"packages": NPM}, "jsr": JSR},
    ],
)  # fmt: skip
def test_a_deno_lock_lists_npm_and_jsr(
    extract: Callable[..., Extraction], document: object
) -> None:
    found = extract(denolock.EXTRACTOR, "srv/deno.lock", json.dumps(document))
    assert typed(found) == {
        ("npm", "chalk", "5.3.0"), ("npm", "react-dom", "18.2.0"), ("jsr", "@std/fs", "1.0.0"),
    }  # fmt: skip


def test_an_sbt_lock_marks_test_dependencies(extract: Callable[..., Extraction]) -> None:
    text = json.dumps(
        {
            "lockVersion": 1,
            "dependencies": [
                {
                    "org": "org.a",
                    "name": "b_2.13",
                    "version": "1",
                    "configurations": ["compile", "test"],
                },
                {"org": "org.a", "name": "c", "version": "2", "configurations": ["test"]},
            ],
        }
    )
    found = extract(sbtlock.EXTRACTOR, "srv/build.sbt.lock", text)
    assert {(p.name, p.version, p.dev) for p in found.packages} == {
        ("org.a:b_2.13", "1", False), ("org.a:c", "2", True),
    }  # fmt: skip


def test_a_version_catalog_resolves_its_references(extract: Callable[..., Extraction]) -> None:
    text = """
[versions]
v = "1.0"
loop = { ref = "loop" }
[libraries]
a = "g:a:2.0"
b = { module = "g:b", version.ref = "v" }
c = { group = "g", name = "c", version = { strictly = "3.0" } }
d = { module = "g:d" }
e = { module = "g:e", version = "[1,2)" }
f = { module = "g:f", version.ref = "loop" }
"""
    found = extract(gradlecatalog.EXTRACTOR, "gradle/libs.versions.toml", text)
    assert typed(found) == {
        ("maven", "g:a", "2.0"),
        ("maven", "g:b", "1.0"),
        ("maven", "g:c", "3.0"),
    }


def test_central_package_versions_resolve_their_properties(
    extract: Callable[..., Extraction],
) -> None:
    text = """<Project>
  <PropertyGroup><Minor>2</Minor><V>1.$(Minor)</V><Loop>$(Loop)</Loop></PropertyGroup>
  <ItemGroup>
    <PackageVersion Include="A" Version="$(V)" />
    <PackageVersion Include="B" Version="[3.0]" />
    <PackageVersion Include="C" Version="[1,2)" />
    <PackageVersion Include="D" Version="$(Elsewhere)" />
    <PackageVersion Include="E"><Version>5.0</Version></PackageVersion>
    <GlobalPackageReference Include="F" Version="6.0" />
    <PackageVersion Include="G" Version="$(Loop)" />
  </ItemGroup>
</Project>"""
    found = extract(nugetcentral.PROPS_EXTRACTOR, "src/Directory.Packages.props", text)
    assert typed(found) == {
        ("nuget", "A", "1.2"), ("nuget", "B", "3.0"), ("nuget", "E", "5.0"), ("nuget", "F", "6.0"),
    }  # fmt: skip
    with pytest.raises(DamagedError):
        extract(nugetcentral.PROPS_EXTRACTOR, "src/Directory.Packages.props", "<a/>")


def test_pnpm_reads_every_document(extract: Callable[..., Extraction]) -> None:
    text = """---
lockfileVersion: '9.0'
packages:
  pnpm@12.0.1:
    resolution: {integrity: sha512-aa}
---
lockfileVersion: '9.0'
packages:
  minimist@1.2.0:
    resolution: {integrity: sha512-bb}
"""
    found = extract(pnpmlock.EXTRACTOR, "pnpm-lock.yaml", text)
    assert typed(found) == {("npm", "pnpm", "12.0.1"), ("npm", "minimist", "1.2.0")}
    # A damaged document does not lose those before it.
    broken = extract(
        pnpmlock.EXTRACTOR, "pnpm-lock.yaml", text.replace("packages:\n  mini", "[\n  mini")
    )
    assert {package.name for package in broken.packages} == {"pnpm"}
    assert broken.problems


def test_a_yarn_lock_needs_no_first_line(extract: Callable[..., Extraction]) -> None:
    text = '"jquery@^3.6.0":\n  "integrity" "sha512-aa"\n  "version" "3.6.0"\n'
    assert typed(extract(yarnlock.EXTRACTOR, "yarn.lock", text)) == {("npm", "jquery", "3.6.0")}
    with pytest.raises(DamagedError):
        extract(yarnlock.EXTRACTOR, "yarn.lock", "<html>\n")


def test_a_later_bun_lockb_is_not_silent(extract: Callable[..., Extraction]) -> None:
    data = bunlockb.MAGIC + (4).to_bytes(4, "little") + b"\0" * 200
    with pytest.raises(UnsupportedError):
        extract(bunlockb.EXTRACTOR, "bun.lockb", data)
    for length in (10, 60, 100):
        with pytest.raises(DamagedError):
            extract(bunlockb.EXTRACTOR, "bun.lockb", data[:length].replace(b"\4", b"\3"))


@pytest.mark.parametrize(
    "path",
    [
        "srv/gradle.lockfile",
        "srv/buildscript-gradle.lockfile",
        "srv/gradle/dependency-locks/compileClasspath.lockfile",
    ],
)
def test_gradles_lock_files_of_a_project_and_of_a_configuration(
    extract: Callable[..., Extraction], path: str
) -> None:
    confirm = gradlelockfile.EXTRACTOR.wants.confirm
    assert confirm is not None
    assert confirm(path)
    assert not confirm("srv/other.lockfile")
    text = "# This is a Gradle generated file\r\norg.apache.logging.log4j:log4j-core:2.14.1\r\n"
    assert typed(extract(gradlelockfile.EXTRACTOR, path, text)) == {
        ("maven", "org.apache.logging.log4j:log4j-core", "2.14.1")
    }
