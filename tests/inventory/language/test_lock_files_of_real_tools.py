"""Lock files that the tools wrote: of one project (fixtures/make_fixtures.sh), and of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import (
    bunlock,
    bunlockb,
    cargolock,
    composer,
    gemfilelock,
    gomod,
    gradlelockfile,
    packagelock,
    pdmlock,
    pipfilelock,
    pnpmlock,
    poetrylock,
    pylock,
    uvlock,
    yarnlock,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.language.extractor import GeneratorExtractor
    from sidelight.inventory.protocol import Extraction

FIXTURES = Path(__file__).parent / "fixtures"
# name, version, direct, dev
NODE = {
    ("@types/ms", "0.7.34", True, True),
    ("debug", "4.3.4", True, False),
    ("ms", "2.0.0", True, False),  # asked for under the alias ms-old
    ("ms", "2.1.2", False, False),
    ("once", "1.4.0", True, True),
    ("wrappy", "1.0.2", False, True),
}


@pytest.mark.parametrize(
    ("extractor", "name"),
    [
        (packagelock.EXTRACTOR, "npm1/package-lock.json"),
        (packagelock.EXTRACTOR, "npm2/package-lock.json"),
        (packagelock.EXTRACTOR, "npm3/package-lock.json"),
        (yarnlock.EXTRACTOR, "yarn1/yarn.lock"),
        (yarnlock.EXTRACTOR, "yarn4/yarn.lock"),
        (pnpmlock.EXTRACTOR, "pnpm8/pnpm-lock.yaml"),
        (pnpmlock.EXTRACTOR, "pnpm9/pnpm-lock.yaml"),
        (bunlock.EXTRACTOR, "bun/bun.lock"),
        (bunlockb.EXTRACTOR, "bunb2/bun.lockb"),
        (bunlockb.EXTRACTOR, "bunb3/bun.lockb"),
    ],
)
def test_node_lock_files_agree(
    extract: Callable[..., Extraction], extractor: GeneratorExtractor, name: str
) -> None:
    siblings = {"package.json": (FIXTURES / "package.json").read_bytes()}
    found = extract(extractor, name, FIXTURES / name, siblings)
    assert not found.problems
    assert {(p.name, p.version, p.direct, p.dev) for p in found.packages} == NODE


@pytest.mark.parametrize(
    ("extractor", "name", "flags"),
    [
        (packagelock.EXTRACTOR, "npm1/package-lock.json", {(None, False), (None, True)}),
        (yarnlock.EXTRACTOR, "yarn1/yarn.lock", {(None, None)}),
        (yarnlock.EXTRACTOR, "yarn4/yarn.lock", {(None, None)}),
    ],
)
def test_without_package_json_unknown_fields_are_empty(
    extract: Callable[..., Extraction],
    extractor: GeneratorExtractor,
    name: str,
    flags: set[tuple[bool | None, bool | None]],
) -> None:
    found = extract(extractor, name, FIXTURES / name)
    assert {(p.name, p.version) for p in found.packages} == {item[:2] for item in NODE}
    assert {(p.direct, p.dev) for p in found.packages} == flags


@pytest.mark.parametrize(
    ("extractor", "name", "expected"),
    [
        (
            uvlock.EXTRACTOR,
            "uv/uv.lock",
            {("jinja2", True, False), ("markupsafe", False, False), ("iniconfig", True, True)},
        ),
        (
            pylock.EXTRACTOR,
            "uv/pylock.toml",
            {("jinja2", None, None), ("markupsafe", None, None), ("iniconfig", None, None)},
        ),
        (
            pipfilelock.EXTRACTOR,
            "pipenv/Pipfile.lock",
            {("jinja2", True, False), ("markupsafe", None, False), ("iniconfig", True, True)},
        ),
    ],
)
def test_python_lock_files(
    extract: Callable[..., Extraction],
    extractor: GeneratorExtractor,
    name: str,
    expected: set[tuple[str, bool | None, bool | None]],
) -> None:
    found = extract(extractor, name, FIXTURES / name)
    assert not found.problems
    assert {(p.name, p.direct, p.dev) for p in found.packages} == expected


@pytest.mark.parametrize(
    ("extractor", "name"),
    [
        (cargolock.EXTRACTOR, "cargo/Cargo.lock"),
        (composer.LOCK_EXTRACTOR, "composer/composer.lock"),
        (gemfilelock.EXTRACTOR, "bundler/Gemfile.lock"),
        (gomod.EXTRACTOR, "go/go.mod"),
        (gradlelockfile.EXTRACTOR, "gradle/gradle.lockfile"),
        (pdmlock.EXTRACTOR, "pdm/pdm.lock"),
        (poetrylock.EXTRACTOR, "poetry/poetry.lock"),
    ],
)
def test_what_others_read_in_real_projects_lock_files_is_read(
    extract: Callable[..., Extraction], extractor: GeneratorExtractor, name: str
) -> None:
    """Of Trivy, Poetry and PDM; see fixtures/real."""
    real = FIXTURES / "real"
    found = extract(extractor, name, real / name)
    assert not found.problems
    expected = json.loads((real / "expected.json").read_text())[name]
    assert sorted(f"{package.name} {package.version}" for package in found.packages) == expected
