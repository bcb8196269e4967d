"""R, Erlang and Elixir, OCaml, Julia, Haskell, and Cargo: what is installed, and lock files."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import (
    cargoinstalled,
    composer,
    erlangapp,
    haskelllock,
    julialock,
    opamswitch,
    pearregistry,
    perlmodules,
    rpackage,
)
from sidelight.inventory.purl import is_of_public_registry
from tests.inventory.collected_machine import DPKG_STATUS, collect_root, write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

    Extract = Callable[..., Extraction]

LIBRARY = "usr/local/lib/R/site-library"


def typed(found: Extraction) -> set[tuple[str, str, str]]:
    assert not found.problems
    return {(package.type, package.name, package.version) for package in found.packages}


def description(**fields: str) -> str:
    """What R's installer leaves: the field Built distinguishes it from a source package's file."""
    known = {"Package": "readxl", "Version": "1.3.1", "Title": "A\n    longer: one", **fields}
    return "".join(f"{name}: {value}\n" for name, value in known.items())


BUILT = {"Built": "R 4.2.2; x86_64-pc-linux-gnu; 2024-01-01 00:00:00 UTC; unix"}


def test_an_installed_package_of_r_is_named_and_says_what_it_needs(extract: Extract) -> None:
    text = description(
        Repository="CRAN", Depends="R (>= 3.5)", Imports="cellranger,\n  tibble (>= 2.0)", **BUILT
    )
    found = extract(rpackage.EXTRACTOR, f"{LIBRARY}/readxl/DESCRIPTION", text)
    assert typed(found) == {("cran", "readxl", "1.3.1")}
    ((_, declaration),) = found.declared
    assert declaration.requires == ("cellranger", "tibble")
    assert declaration.scope == f"/{LIBRARY}"


def test_a_source_package_s_description_is_not_of_an_installed_one(extract: Extract) -> None:
    text = description(Repository="CRAN")
    assert not extract(rpackage.EXTRACTOR, "srv/readxl/DESCRIPTION", text).packages


@pytest.mark.parametrize(("name", "expected"), [("base", {("generic", "r", "4.2.2")}),
                                                ("stats", set())])  # fmt: skip
def test_the_parts_of_r_itself_are_r(
    extract: Extract, name: str, expected: set[tuple[str, str, str]]
) -> None:
    text = description(Package=name, Version="4.2.2", Priority="base", **BUILT)
    assert typed(extract(rpackage.EXTRACTOR, f"opt/R/library/{name}/DESCRIPTION", text)) == expected


@pytest.mark.parametrize(
    ("fields", "kind", "is_public"),
    [
        ({"Repository": "CRAN"}, "cran", True),
        ({"Repository": "RSPM"}, "cran", True),
        ({"Repository": "CRAN", "Priority": "recommended"}, "cran", True),
        ({"RemoteType": "standard", "Repository": "CRAN"}, "cran", True),
        ({"Repository": "CRAN", "RemoteType": "github", "RemoteUsername": "a", "RemoteRepo": "b"},
         "cran", False),
        ({"RemoteType": "git", "RemoteUrl": "https://git.example.org/b.git"}, "cran", False),
        ({"RemoteType": "url", "RemoteUrl": "https://example.org/b.tar.gz"}, "cran", False),
        ({"Repository": "https://cran.example.org"}, "cran", False),
        ({}, "cran", False),
        ({"biocViews": "Software"}, "bioconductor", True),
    ],
)  # fmt: skip
def test_where_a_package_of_r_is_from(
    extract: Extract, fields: dict[str, str], kind: str, *, is_public: bool
) -> None:
    text = description(**fields, **BUILT)
    (package,) = extract(rpackage.EXTRACTOR, f"{LIBRARY}/readxl/DESCRIPTION", text).packages
    assert package.type == kind
    assert is_of_public_registry(package.purl) is is_public


def test_renv_locks_packages_with_their_sources(extract: Extract) -> None:
    lock = {
        "R": {"Version": "4.2.2"},
        "Packages": {
            "readxl": {"Package": "readxl", "Version": "1.3.1", "Source": "Repository",
                       "Repository": "CRAN"},
            "own": {"Package": "own", "Version": "0.1.0", "Source": "Local"},
            "limma": {"Package": "limma", "Version": "3.50.0", "Source": "Bioconductor"},
        },
    }  # fmt: skip
    found = extract(rpackage.RENV_EXTRACTOR, "srv/app/renv.lock", json.dumps(lock))
    assert typed(found) == {
        ("cran", "readxl", "1.3.1"),
        ("cran", "own", "0.1.0"),
        ("bioconductor", "limma", "3.50.0"),
    }
    assert {p.name for p in found.packages if not is_of_public_registry(p.purl)} == {"own"}


APP = """%% -*- erlang -*-
{{application, '{name}',
 [{{description, "An application, {{vsn}}"}},
  {{vsn, "{version}"}},
  {{modules, [{name}_app]}}]}}.
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cowboy", {("hex", "cowboy", "2.9.0")}),
        ("ssl", set()),
        ("logger", set()),
        ("elixir", {("generic", "elixir", "2.9.0")}),
    ],
)
def test_a_release_s_applications_are_those_of_hex(
    extract: Extract, name: str, expected: set[tuple[str, str, str]]
) -> None:
    text = APP.format(name=name, version="2.9.0")
    path = f"opt/rel/lib/{name}-2.9.0/ebin/{name}.app"
    assert typed(extract(erlangapp.EXTRACTOR, path, text)) == expected


def test_an_application_without_a_version_is_a_problem(extract: Extract) -> None:
    found = extract(erlangapp.EXTRACTOR, "opt/rel/lib/a/ebin/a.app", "{application, a, []}.")
    assert not found.packages
    assert found.problems


def test_applications_in_an_archive_are_found(extract: Extract) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("ranch-1.7.1/ebin/ranch.app", APP.format(name="ranch", version="1.7.1"))
        archive.writestr("ranch-1.7.1/ebin/ranch.beam", "x")
    found = extract(erlangapp.ARCHIVE_EXTRACTOR, "opt/rabbit/plugins/ranch.ez", data.getvalue())
    assert typed(found) == {("hex", "ranch", "1.7.1")}


def test_an_erlang_runtime_has_its_version(extract: Extract) -> None:
    path = "usr/local/lib/erlang/releases/25/OTP_VERSION"
    found = extract(erlangapp.OTP_EXTRACTOR, path, "25.3.2.5\n")
    assert typed(found) == {("generic", "erlang-otp", "25.3.2.5")}


@pytest.mark.parametrize(
    ("text", "is_public"),
    [
        ('opam-version: "2.0"\nurl {\n  src: "https://example.org/cohttp-5.0.0.tbz"\n}\n', True),
        ('opam-version: "2.0"\nurl {\n  src: "git+https://example.org/c.git#main"\n}\n', False),
        ('opam-version: "2.0"\nurl {\n  src: "file:///srv/cohttp"\n}\n', False),
    ],
)
def test_a_switch_s_packages_are_named_by_their_directories(
    extract: Extract, text: str, *, is_public: bool
) -> None:
    path = "root/.opam/default/.opam-switch/packages/cohttp-lwt.5.0.0/opam"
    found = extract(opamswitch.EXTRACTOR, path, text)
    assert typed(found) == {("opam", "cohttp-lwt", "5.0.0")}
    assert is_of_public_registry(found.packages[0].purl) is is_public


ENTRIES = """
[[{table}HTTP]]
deps = ["Base64"]
git-tree-sha1 = "ac7b73d562b8f4287c3b67b4c66a5395a19c1ae8"
uuid = "cd3eb016-35fb-5094-929b-558a96fad6f3"
version = "1.10.16"

[[{table}Base64]]
uuid = "2a0f44e3-6c83-55bd-87e4-b1978d98bd5f"
version = "1.11.0"

[[{table}Own]]
path = "../Own"
uuid = "2a0f44e3-6c83-55bd-87e4-b1978d98bd60"
version = "0.1.0"
"""


@pytest.mark.parametrize(("head", "table"), [("", ""), ('manifest_format = "2.0"\n', "deps.")])
@pytest.mark.parametrize("name", ["Manifest.toml", "JuliaManifest.toml", "Manifest-v1.11.toml"])
def test_julia_s_manifests_of_both_formats(
    extract: Extract, name: str, head: str, table: str
) -> None:
    confirm = julialock.EXTRACTOR.wants.confirm
    assert confirm is not None
    assert confirm(f"srv/app/{name}")
    found = extract(julialock.EXTRACTOR, f"srv/app/{name}", head + ENTRIES.format(table=table))
    assert typed(found) == {("julia", "HTTP", "1.10.16"), ("julia", "Own", "0.1.0")}
    assert {p.name for p in found.packages if is_of_public_registry(p.purl)} == {"HTTP"}


def test_cabal_s_frozen_versions(extract: Extract) -> None:
    text = (
        "active-repositories: hackage.haskell.org:merge\n"
        "constraints: any.aeson ==2.0.3.0,\n"
        "             aeson -cffi +ordered-keymap,\n"
        "             any.text-short ==0.1.5\n"
        "index-state: hackage.haskell.org 2024-01-01T00:00:00Z\n"
    )
    found = extract(haskelllock.CABAL_EXTRACTOR, "srv/app/cabal.project.freeze", text)
    assert typed(found) == {("hackage", "aeson", "2.0.3.0"), ("hackage", "text-short", "0.1.5")}


def test_stack_s_locked_packages(extract: Extract) -> None:
    text = (
        "packages:\n- completed:\n    hackage: xml-conduit-1.9.1.1@sha256:aa,2926\n"
        "  original:\n    hackage: xml-conduit-1.9.1.1\nsnapshots: []\n"
    )
    found = extract(haskelllock.STACK_EXTRACTOR, "srv/app/stack.yaml.lock", text)
    assert typed(found) == {("hackage", "xml-conduit", "1.9.1.1")}


INDEX = "registry+https://github.com/rust-lang/crates.io-index"


def test_programs_that_cargo_installed_are_their_crates(extract: Extract) -> None:
    text = (
        f'[v1]\n"ripgrep 14.1.0 ({INDEX})" = ["rg"]\n'
        '"tool 0.1.0 (git+https://git.example.org/tool#0a1b)" = ["tool"]\n'
        '"own 0.1.0 (path+file:///srv/own)" = ["own"]\n'
    )
    found = extract(cargoinstalled.EXTRACTOR, "root/.cargo/.crates.toml", text)
    assert typed(found) == {
        ("cargo", "ripgrep", "14.1.0"), ("cargo", "tool", "0.1.0"), ("cargo", "own", "0.1.0"),
    }  # fmt: skip
    assert {p.name for p in found.packages if is_of_public_registry(p.purl)} == {"ripgrep"}


def test_an_installed_program_without_a_version_is_a_problem(extract: Extract) -> None:
    found = extract(cargoinstalled.EXTRACTOR, "root/.cargo/.crates.toml", '[v1]\n"rg" = []\n')
    assert found.problems


# --- Perl ---

PERL = "/usr/local/share/perl/5.36.0"
PACKLIST = "usr/local/lib/x86_64-linux-gnu/perl/5.36.0/auto/HTTP/Tiny/.packlist"


@pytest.mark.parametrize(
    ("module", "version"),
    [
        ("package HTTP::Tiny;\nour $VERSION = '0.076';\n", "0.076"),
        ('package HTTP::Tiny;\n$HTTP::Tiny::VERSION = "1.02_03";\n', "1.02_03"),
        (
            "package HTTP::Tiny;\nuse version; our $VERSION = version->declare('v1.2.3');\n",
            "v1.2.3",
        ),
        ("# $VERSION = 9;\npackage HTTP::Tiny 0.082;\n", "0.082"),
        ("package HTTP::Tiny v2.0.1 {\n}\n", "v2.0.1"),
    ],
)
def test_an_installed_module_of_perl_has_the_version_of_its_file(
    extract: Extract, module: str, version: str
) -> None:
    text = f"/usr/local/man/man3/HTTP::Tiny.3pm\n{PERL}/HTTP/Tiny.pm type=file\n"
    beside = {f"{PERL}/HTTP/Tiny.pm": module.encode()}
    found = extract(perlmodules.EXTRACTOR, PACKLIST, text, beside)
    assert typed(found) == {("cpan", "HTTP-Tiny", version)}


@pytest.mark.parametrize("text", ["", f"{PERL}/HTTP/Tiny.pm\n", f"{PERL}/HTTP/Other.pm\n"])
def test_a_module_of_perl_without_a_version_is_a_problem(extract: Extract, text: str) -> None:
    found = extract(perlmodules.EXTRACTOR, PACKLIST, text, {f"{PERL}/HTTP/Other.pm": b"1;"})
    assert not found.packages
    assert [problem.where for problem in found.problems] == [f"/{PACKLIST}"]


def test_a_module_of_perl_that_was_installed_below_another_root_is_read(extract: Extract) -> None:
    beside = {f"{PERL}/HTTP/Tiny.pm": b"our $VERSION = '0.076';"}
    text = f"/build/root{PERL}/HTTP/Tiny.pm\n"
    found = extract(perlmodules.EXTRACTOR, PACKLIST, text, beside)
    assert typed(found) == {("cpan", "HTTP-Tiny", "0.076")}


def test_a_module_of_perl_is_read_within_its_root(debian: Path) -> None:
    chroot = "srv/chroot"
    write_file(debian, f"{chroot}/etc/os-release", "ID=debian\n")
    write_file(debian, f"{chroot}/var/lib/dpkg/status", DPKG_STATUS)
    write_file(debian, f"{chroot}/{PACKLIST}", f"{PERL}/HTTP/Tiny.pm\n")
    write_file(debian, f"{chroot}{PERL}/HTTP/Tiny.pm", "our $VERSION = '0.076';\n")
    found = collect_root(debian)
    assert [p.purl for p in found.packages if p.type == "cpan"] == ["pkg:cpan/HTTP-Tiny@0.076"]


def test_carton_s_lock_file_lists_distributions(extract: Extract) -> None:
    text = (
        "# carton snapshot format: version 1.0\nDISTRIBUTIONS\n  HTTP-Tiny-0.076\n"
        "    pathname: D/DA/DAGOLDEN/HTTP-Tiny-0.076.tar.gz\n    provides:\n"
        "      HTTP::Tiny 0.076\n  Moo-v2.0-TRIAL\n    pathname: H/HA/HAARG/Moo-v2.0-TRIAL.tar.gz\n"
    )
    found = extract(perlmodules.SNAPSHOT_EXTRACTOR, "srv/cpanfile.snapshot", text)
    assert typed(found) == {("cpan", "HTTP-Tiny", "0.076"), ("cpan", "Moo", "v2.0-TRIAL")}


# --- PHP's Composer and PEAR ---

RUNTIME = """<?php return array(
    'root' => array(
        'name' => 'acme/site',
        'pretty_version' => 'dev-main',
    ),
    'versions' => array(
        'acme/site' => array(
            'pretty_version' => 'dev-main',
        ),
        'guzzlehttp/psr7' => array(
            'pretty_version' => '2.4.0',
            'version' => '2.4.0.0',
        ),
        'psr/http-message-implementation' => array(
            'dev_requirement' => false,
        ),
    ),
);
"""


def test_composer_s_file_for_programs_counts_where_its_list_was_removed(extract: Extract) -> None:
    path = "srv/vendor/composer/installed.php"
    found = extract(composer.RUNTIME_EXTRACTOR, path, RUNTIME)
    assert typed(found) == {("composer", "guzzlehttp/psr7", "2.4.0")}
    beside = {"installed.json": b'{"packages": []}'}
    assert not extract(composer.RUNTIME_EXTRACTOR, path, RUNTIME, beside).packages


@pytest.mark.parametrize(
    "version", ['a:2:{s:7:"release";s:5:"1.4.0";s:3:"api";s:5:"1.1.0";}', 's:5:"1.4.0";']
)
def test_an_entry_of_pear_s_registry_is_a_package(extract: Extract, version: str) -> None:
    text = f'a:2:{{s:4:"name";s:11:"Archive_Tar";s:7:"version";{version}}}'
    found = extract(pearregistry.EXTRACTOR, "usr/share/php/.registry/archive_tar.reg", text)
    assert typed(found) == {("pear", "Archive_Tar", "1.4.0")}
    assert extract(pearregistry.EXTRACTOR, ".registry/a.reg", "a:0:{}").problems


# --- Haskell's and Julia's installed packages ---


@pytest.mark.parametrize(
    "path",
    [
        "root/.ghcup/ghc/9.4.7/lib/x86_64/package.conf.d/aeson-2.0.3.0.conf",
        "root/.cabal/store/ghc-9.4.7/package.db/aeson-2.0.3.0-0123.conf",
    ],
)
def test_a_registered_library_of_haskell_is_installed(debian: Path, path: str) -> None:
    text = "name:                 aeson\nversion:\n    2.0.3.0\nvisibility: public\nname: other\n"
    write_file(debian, path, text)
    found = collect_root(debian)
    assert [p.purl for p in found.packages if p.type == "hackage"] == ["pkg:hackage/aeson@2.0.3.0"]


def test_a_package_in_a_depot_of_julia_is_installed(debian: Path) -> None:
    text = 'name = "HTTP"\nuuid = "cd3eb016-35fb-5094-929b-558a96fad6f3"\nversion = "1.0.0"\n'
    write_file(debian, "root/.julia/packages/HTTP/aTjcj/Project.toml", text)
    write_file(debian, "srv/HTTP/Project.toml", text)
    found = collect_root(debian)
    assert [(p.name, p.version, p.path) for p in found.packages if p.type == "julia"] == [
        ("HTTP", "1.0.0", "/root/.julia/packages/HTTP/aTjcj/Project.toml")
    ]


# --- Lua ---


def test_an_installed_rock_is_listed_once_by_either_file(debian: Path) -> None:
    rocks = "usr/local/lib/luarocks/rocks-5.4"
    write_file(debian, f"{rocks}/lpeg/1.1.0-1/rock_manifest", "rock_manifest = {}")
    write_file(debian, f"{rocks}/lpeg/1.1.0-1/lpeg-1.1.0-1.rockspec", "")
    write_file(debian, f"{rocks}/say/1.4.1-3/say-1.4.1-3.rockspec", "")
    write_file(debian, "opt/sources/own-1.0-1.rockspec", "")
    found = collect_root(debian)
    assert [p.purl for p in found.packages if p.type == "luarocks"] == [
        "pkg:luarocks/lpeg@1.1.0-1",
        "pkg:luarocks/say@1.4.1-3",
    ]
