"""Details of Python's lock files, requirements, eggs and conda records."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import (
    condameta,
    egg,
    pdmlock,
    pipfilelock,
    poetrylock,
    pylock,
    requirements,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extraction

Facts = set[tuple[str, str]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Django==4.2.1", ("django", "4.2.1")),
        ("django[argon2] == 4.2.1 ; python_version > '3'", ("django", "4.2.1")),
        ("django===4.2.1", ("django", "4.2.1")),
        ("django (==4.2.1)", ("django", "4.2.1")),
        ("django==4.2.1 \\\n    --hash=sha256:aa", ("django", "4.2.1")),
        ("django==4.2.1 # why", ("django", "4.2.1")),
        ("django==1!4.2.1+local", ("django", "1!4.2.1+local")),
    ],
)
def test_pinned_requirements(
    extract: Callable[..., Extraction], line: str, expected: tuple[str, str]
) -> None:
    [package] = extract(requirements.EXTRACTOR, "requirements.txt", line).packages
    assert (package.name, package.version) == expected


@pytest.mark.parametrize(
    "line",
    [
        "django",
        "django>=4",
        "django==4.*",
        "-r other.txt",
        "# django==4",
        "django~=4.2",
        "https://example.com/a==1.zip",
        "-e .",
        "django== --hash=x",
        "./django==4",
    ],
)
def test_what_is_not_pinned_names_no_version(extract: Callable[..., Extraction], line: str) -> None:
    assert not extract(requirements.EXTRACTOR, "requirements.txt", line).packages


@pytest.mark.parametrize("line", [" " * 5000 + "django==1.0", "django" + "\t " * 3000 + "== 1.0"])
def test_blanks_do_not_hide_a_requirement(extract: Callable[..., Extraction], line: str) -> None:
    [package] = extract(requirements.EXTRACTOR, "requirements.txt", line).packages
    assert (package.name, package.version) == ("django", "1.0")


def test_requirements_written_by_windows_shells(extract: Callable[..., Extraction]) -> None:
    data = "a==1\r\nb==2\r\n".encode("utf-16")
    found = extract(requirements.EXTRACTOR, "requirements.txt", data)
    assert [package.name for package in found.packages] == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("a/requirements.txt", True), ("a/dev-requirements.txt", True), ("a/notes.txt", False)],
)
def test_requirements_files_by_name(path: str, wanted: bool) -> None:
    assert requirements.EXTRACTOR.wants.confirm is not None
    assert requirements.EXTRACTOR.wants.confirm(path) is wanted


POETRY = """
[[package]]
name = "jinja2"
version = "3.1.4"
{0}
[package.dependencies]
MarkupSafe = ">=2.0"

[[package]]
name = "markupsafe"
version = "2.1.5"
{0}
[[package]]
name = "iniconfig"
version = "2.0.0"
{1}
[[package]]
name = "here"
version = "1.0"
[package.source]
type = "directory"
url = "here"
"""
PYPROJECT = b"""
[tool.poetry.dependencies]
python = ">=3.11"
Jinja2 = "*"
[tool.poetry.group.test.dependencies]
iniconfig = "*"
"""


@pytest.mark.parametrize(
    ("run", "develop", "siblings"),
    [
        ('category = "main"', 'category = "dev"', {}),
        ('groups = ["main"]', 'groups = ["test"]', {}),
        ("", "", {"pyproject.toml": PYPROJECT}),
    ],
    ids=["lock version 1", "lock version 2.1", "beside pyproject.toml"],
)
def test_poetry_marks_development_dependencies(
    extract: Callable[..., Extraction], run: str, develop: str, siblings: dict[str, bytes]
) -> None:
    text = POETRY.format(run, develop)
    found = extract(poetrylock.EXTRACTOR, "poetry.lock", text, siblings)
    assert {(p.name, p.dev) for p in found.packages} == {
        ("jinja2", False),
        ("markupsafe", False),
        ("iniconfig", True),
    }
    direct = {p.name for p in found.packages if p.direct}
    assert direct == ({"jinja2", "iniconfig"} if siblings else set())


def test_pdm_groups(extract: Callable[..., Extraction]) -> None:
    text = """
[[package]]
name = "jinja2"
version = "3.1.4"
groups = ["default", "dev"]
[[package]]
name = "iniconfig"
version = "2.0.0"
groups = ["dev"]
[[package]]
name = "here"
version = "1.0"
path = "./here"
"""
    siblings = {"pyproject.toml": b'[project]\ndependencies = ["Jinja2>=3"]\n'}
    found = extract(pdmlock.EXTRACTOR, "pdm.lock", text, siblings)
    assert {(p.name, p.direct, p.dev) for p in found.packages} == {
        ("jinja2", True, False),
        ("iniconfig", False, True),
    }


def test_pipfile_categories(extract: Callable[..., Extraction]) -> None:
    text = """{"_meta": {"sources": []}, "default": {"a": {"version": "==1"}, "b": {"path": "."}},
               "develop": {"c": {"version": "==2"}}, "docs": {"d": {"version": "==3"}}}"""
    found = extract(pipfilelock.EXTRACTOR, "Pipfile.lock", text)
    assert {(p.name, p.version, p.dev) for p in found.packages} == {
        ("a", "1", False),
        ("c", "2", True),
        ("d", "3", True),
    }


def test_named_pylock_files() -> None:
    confirm = pylock.EXTRACTOR.wants.confirm
    assert confirm is not None
    assert confirm("a/pylock.toml")
    assert confirm("a/pylock.dev.toml")
    assert not confirm("a/Cargo.toml")


def test_a_conda_record(extract: Callable[..., Extraction]) -> None:
    text = """{"name": "numpy", "version": "1.26.4", "build": "py311_0", "license": "BSD",
        "channel": "https://conda.example/conda-forge/linux-64", "subdir": "linux-64",
        "requested_spec": "numpy=1.26"}"""
    path = "opt/conda/conda-meta/numpy-1.26.4-py311_0.json"
    assert condameta.EXTRACTOR.wants.confirm is not None
    assert condameta.EXTRACTOR.wants.confirm(path)
    assert not condameta.EXTRACTOR.wants.confirm("opt/conda/etc/x.json")
    [package] = extract(condameta.EXTRACTOR, path, text).packages
    assert package.purl == (
        "pkg:conda/numpy@1.26.4?build=py311_0&channel=conda-forge&subdir=linux-64"
    )
    assert (package.direct, package.licence) == (True, "BSD")


def test_a_zipped_egg(extract: Callable[..., Extraction]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("EGG-INFO/PKG-INFO", "Name: Foo.Bar\nVersion: 1.0\nLicense: MIT\n")
    [package] = extract(egg.EXTRACTOR, "site-packages/foo-1.0.egg", stream.getvalue()).packages
    assert (package.name, package.version, package.licence) == ("foo-bar", "1.0", "MIT")
