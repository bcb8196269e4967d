"""`make release`: what it refuses, and what it makes of a tagged commit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.build import ReleaseError, check, digest, git, notes_of, release, sbom, version_of
from release.licences import locked
from sidelight.advisories import build

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".uv" / "bin" / "uv"
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n## 0.1.0\n\n### Added\n\n- All of it.\n\n## 0.0.9\n\n- old\n"
)
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of this commit, whose version has a section of the changelog."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout of git")
    path = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, path], check=True)
    git(path, "config", "user.name", "a")
    git(path, "config", "user.email", "a@example.org")
    (path / "CHANGELOG.md").write_text(CHANGELOG.replace("0.1.0", version_of(path)))
    git(path, "commit", "--quiet", "--all", "--message", "changelog: name the version")
    return path


def test_the_section_of_a_version_is_its_notes() -> None:
    assert notes_of(CHANGELOG, "0.1.0") == "# Sidelight 0.1.0\n\n### Added\n\n- All of it.\n"
    for version in ("0.1", "0.2.0", "Unreleased"):
        with pytest.raises(ReleaseError, match="rename"):
            notes_of(CHANGELOG, version)


def untagged(_checkout: Path) -> None:
    """As it is."""


def wrongly_tagged(checkout: Path) -> None:
    git(checkout, "tag", "v9.9.9")


def changed(checkout: Path) -> None:
    git(checkout, "tag", f"v{version_of(checkout)}")
    (checkout / "README.md").write_text("else")


def without_notes(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    git(checkout, "commit", "--quiet", "--all", "--message", "changelog: forget the version")
    git(checkout, "tag", f"v{version_of(checkout)}")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (untagged, "no tag: git tag --annotate"), (wrongly_tagged, r"v9\.9\.9: git tag"),
        (changed, "not committed"), (without_notes, "has no section"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_commit_that_is_no_release_is_refused_with_what_to_do(
    checkout: Path, prepare: Callable[[Path], None], reason: str
) -> None:
    prepare(checkout)
    with pytest.raises(ReleaseError, match=reason):
        check(checkout)


@pytest.mark.slow
@pytest.mark.services
def test_a_release_has_files_that_a_second_build_repeats_and_sums_and_a_statement(
    checkout: Path, tmp_path: Path
) -> None:
    if not UV.exists():
        pytest.skip("uv is not in .uv (make install)")
    version, out = version_of(checkout), tmp_path / "out"
    git(checkout, "tag", f"v{version}")
    try:
        files = release(checkout, out, str(UV))
    except ReleaseError as error:
        if "the build failed" in str(error) and "fetch" in str(error):
            pytest.skip(f"no package index: {error}")
        raise
    assert {path.name for path in files} == {
        f"sidelight-{version}.tar.gz", f"sidelight-{version}-py3-none-any.whl", "sbom.cdx.json",
        "RELEASE_NOTES.md", "provenance.json", "SHA256SUMS",
    }  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    statement = json.loads((out / "provenance.json").read_text())
    subjects = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
    assert len(subjects) == 4
    assert all(digest(out / name) == value for name, value in subjects.items())
    (source, *_locks) = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"]["gitCommit"] == git(checkout, "rev-parse", "HEAD")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", out / f"sidelight-{version}-py3-none-any.whl"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "sidelight/scan.py" in listed
    assert "tests/" not in listed
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(
        (out / "sbom.cdx.json").read_text()
    ) is None  # fmt: skip


def test_the_sbom_has_every_package_of_the_images_lock() -> None:
    document = sbom(ROOT, "1.2.3")
    components = document["components"]
    assert isinstance(components, list)
    assert len(components) == len(locked(ROOT / "deploy" / "requirements.lock")) > 30


@pytest.mark.conformance
@pytest.mark.slow
def test_our_own_scanner_finds_nothing_severe_that_has_a_fix(
    tmp_path: Path, shared_data: Path
) -> None:
    """In what the image installs, and in all that is locked."""
    feeds = sorted((shared_data / "advisories" / "osv").glob("pypi.*.jsonl.xz"))
    assert feeds
    database = tmp_path / "advisories.db"
    build(feeds, database)
    for lock in ("deploy/requirements.lock", "requirements.lock"):
        document = sbom(ROOT, "1.2.3")
        document["components"] = [
            {"type": "library", "name": name, "version": version,
             "purl": f"pkg:pypi/{name}@{version}"}
            for name, version in locked(ROOT / lock).items()
        ]  # fmt: skip
        del document["dependencies"]
        bill = tmp_path / "bill.cdx.json"
        bill.write_text(json.dumps(document))
        done = subprocess.run(
            [sys.executable, "-m", "dispatcher.cli", "scan", bill, "--advisories", database,
             "--fail-on", "high", "--ignore-unfixed", "--severity", "high"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in {0, 3}, done.stdout + done.stderr
