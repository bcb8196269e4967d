"""Which packages require which, by the lock files and installed packages of each language."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.dependencies.declarations import MAX_REQUIRED
from sidelight.inventory.language import cargoauditable, composer, gobinary
from sidelight.inventory.protocol import Machine
from sidelight.model import OperatingSystem
from tests.fakes.memory_file import MemoryFile
from tests.fixtures.elf_files import elf
from tests.inventory.language.dependency_edges import collected, named

if TYPE_CHECKING:
    from sidelight.inventory.language.extractor import GeneratorExtractor

    Edges = dict[str, list[str] | None]


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
