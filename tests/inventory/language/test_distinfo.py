"""Installed Python distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.filesystems.machine.tree import MachineTree
from sidelight.inventory.collect import collect
from sidelight.inventory.language import distinfo
from tests.fakes.host_directory import HostDirectory
from tests.inventory.collected_machine import collect_root, package_names, write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sidelight.inventory.protocol import Extraction

METADATA = "site-packages/{}/METADATA"
EXTRACTOR = distinfo.EXTRACTOR


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA", True),
        ("usr/lib/python3/dist-packages/six.egg-info/PKG-INFO", True),
        ("opt/app/six-1.16.0-py3.11.egg/EGG-INFO/PKG-INFO", True),
        ("usr/lib/python3/dist-packages/pycups-2.0.1.egg-info", True),
        ("opt/app/six-1.16.0.dist-info/PKG-INFO", True),
        ("opt/app/six-1.16.0.egg-info/METADATA", True),
        ("opt/app/METADATA", False),
        ("opt/sdist-1.0/PKG-INFO", False),
    ],
)
def test_the_parent_decides_what_is_installed(path: str, wanted: bool) -> None:
    assert EXTRACTOR.wants.confirm is not None
    assert EXTRACTOR.wants.confirm(path) is wanted


def test_the_name_is_normalised_and_the_description_is_not_read(
    extract: Callable[..., Extraction],
) -> None:
    text = "Metadata-Version: 2.1\nName: Ruamel.Yaml_x\nVersion: 1.0\n\nName: other\nVersion: 2\n"
    [package] = extract(EXTRACTOR, METADATA.format("r-1.0.dist-info"), text).packages
    assert package.name == "ruamel-yaml-x"
    assert package.purl == "pkg:pypi/ruamel-yaml-x@1.0"
    assert package.path == "/site-packages/r-1.0.dist-info/METADATA"


@pytest.mark.parametrize(
    ("header", "licence"),
    [
        ("License-Expression: MIT\nLicense: other", "MIT"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("License: First line\n  second line", "First line"),
        ("Classifier: Programming Language :: Python", ""),
    ],
)
def test_the_licence_is_an_expression_a_line_or_classifiers(
    extract: Callable[..., Extraction], header: str, licence: str
) -> None:
    text = f"Name: a\nVersion: 1\n{header}\n"
    [package] = extract(EXTRACTOR, METADATA.format("a-1.dist-info"), text).packages
    assert package.licence == licence


def test_requested_by_the_user_is_direct(extract: Callable[..., Extraction]) -> None:
    text = "Name: a\nVersion: 1\n"
    path = METADATA.format("a-1.dist-info")
    assert extract(EXTRACTOR, path, text, {"REQUESTED": b""}).packages[0].direct is True
    assert extract(EXTRACTOR, path, text).packages[0].direct is None


@pytest.mark.parametrize(
    "path",
    [
        METADATA.format("typing_extensions-4.12.2.dist-info"),
        "site-packages/typing_extensions-4.12.2-py3.11.egg-info/PKG-INFO",
        "site-packages/typing_extensions-4.12.2-py3.11-linux-x86_64.egg-info",
        "site-packages/typing_extensions-4.12.2-py3.11.egg/EGG-INFO/PKG-INFO",
    ],
)
def test_an_empty_file_is_named_by_its_directory(
    extract: Callable[..., Extraction], path: str
) -> None:
    [package] = extract(EXTRACTOR, path, b"").packages
    assert (package.name, package.version) == ("typing-extensions", "4.12.2")


def test_what_names_nothing_is_a_problem(extract: Callable[..., Extraction]) -> None:
    found = extract(EXTRACTOR, "src/thing.egg-info/PKG-INFO", b"\xff\x00" * 100)
    assert not found.packages
    assert [problem.where for problem in found.problems] == ["/src/thing.egg-info/PKG-INFO"]


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("file", "name", "version"),
    [
        ("distinfo_meta", "pip", "22.2.2"),
        ("egginfo", "pycups", "2.0.1"),
        ("egginfo_pkginfo", "setuptools", "57.4.0"),
        ("malformed_pkginfo", "passlib", "1.7.4"),
        ("mixed_case", "httplib2", "1.0"),
        ("pkginfo", "httplib2", "0.20.4"),
        ("pyopenssl-26.0.0.dist-info", "pyopenssl", "26.0.0"),
        ("repeated_pkginfo", "root", "1.0.0"),
        ("special_chars", "backports-ssl-match-hostname", "3.5.0.1"),
    ],
)
def test_real_metadata(
    extract: Callable[..., Extraction], manifests: Path, file: str, name: str, version: str
) -> None:
    data = manifests / "python" / "wheelegg" / "testdata" / file
    [package] = extract(EXTRACTOR, "x/x.egg-info/PKG-INFO", data).packages
    assert (package.name, package.version) == (name, version)


SITE = "opt/app/site-packages/"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("six-1.16.0.dist-info/RECORD", "six"),
        ("six-1.16.0.dist-info/WHEEL", "six"),
        ("Six-1.16.0.DIST-INFO/INSTALLER", "six"),
        ("six-1.16.0-py3.11.egg-info/top_level.txt", "six"),
        ("six-1.16.0-py3.11.egg/EGG-INFO/top_level.txt", "six"),
        ("six-1.16.0.dist-info/PKG-INFO", "six"),
    ],
)
def test_a_distribution_without_metadata_is_named_by_its_directory(
    debian: Path, path: str, name: str
) -> None:
    write_file(debian, SITE + path, "")
    found = collect_root(debian)
    assert ("pypi", name, "1.16.0") in [(p.type, p.name, p.version) for p in found.packages]
    assert found.problems == []


def test_a_directory_without_a_version_and_metadata_is_a_problem(debian: Path) -> None:
    write_file(debian, SITE + "six.egg-info/SOURCES.txt", "six.py\n")
    [problem] = collect_root(debian).problems
    assert problem.where == f"/{SITE}six.egg-info/SOURCES.txt"


def test_metadata_behind_a_link_are_read_and_a_dangling_link_is_none(debian: Path) -> None:
    write_file(debian, "opt/store/METADATA", "Name: linked\nVersion: 2.0\n")
    for name, target in (("linked-1.0", "opt/store/METADATA"), ("lost-1.0", "opt/nowhere")):
        write_file(debian, f"{SITE}{name}.dist-info/RECORD", "")
        (debian / f"{SITE}{name}.dist-info/METADATA").symlink_to(f"/{target}")
    found = collect_root(debian)
    by_name = {package.name: package.version for package in found.packages}
    assert (by_name["linked"], by_name["lost"]) == ("2.0", "1.0")


def test_of_two_metadata_files_python_s_choice_counts(debian: Path) -> None:
    write_file(debian, SITE + "one-1.0.dist-info/METADATA", "Name: one\nVersion: 1.0\n")
    write_file(debian, SITE + "one-1.0.dist-info/PKG-INFO", "Name: other\nVersion: 2.0\n")
    assert "other" not in package_names(collect_root(debian))


def test_a_directory_with_metadata_has_no_other_file_read(debian: Path) -> None:
    for name in ("INSTALLER-OF-OTHERS", "WHEEL", "RECORD"):
        write_file(debian, f"{SITE}one-1.0.dist-info/{name}", "")
    write_file(debian, SITE + "one-1.0.dist-info/METADATA", "Name: one\nVersion: 1.0\n")
    fs = HostDirectory(debian)
    collect(MachineTree(fs))
    assert {"WHEEL", "RECORD"}.isdisjoint(fs.name_of(number) for number, _, _ in fs.reads)
