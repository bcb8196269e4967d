"""`make release`: what is published of a tagged commit, in build/release. Nothing is uploaded.

sidelight-VERSION.tar.gz, sidelight-VERSION-py3-none-any.whl    built twice, with equal bytes
sbom.cdx.json        CycloneDX of the locked dependencies of the image
provenance.json      in-toto statement with SLSA's predicate: what was built of which commit
RELEASE_NOTES.md     the version's section of the changelog
SHA256SUMS           of all of these
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from release.licences import locked

ROOT: Final = Path(__file__).resolve().parents[1]
VERSION: Final = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "https://sidelight.invalid/make-release/v1"
LOCKS: Final = ("requirements.lock", "deploy/requirements.lock", "deploy/build-requirements.lock")


class ReleaseError(Exception):
    """The commit cannot be released; the text says what to do."""


def git(root: Path, *arguments: str) -> str:
    """Return git's output. Raises ReleaseError."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def version_of(root: Path) -> str:
    """Return the version of the checkout. Raises ReleaseError where there is none."""
    found = VERSION.search((root / "sidelight" / "__init__.py").read_text())
    if found is None:
        raise ReleaseError("sidelight/__init__.py has no __version__")
    return found[1]


def notes_of(changelog: str, version: str) -> str:
    """Return a version's section of the changelog. Raises ReleaseError where there is none."""
    found = re.search(
        rf"^## {re.escape(version)}(?: [^\n]*)?\n(.*?)(?=^## |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if found is None or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section `## {version}`: rename `## Unreleased`")
    return f"# Sidelight {version}\n\n{found[1].strip()}\n"


def check(root: Path) -> tuple[str, str]:
    """Return version and commit of a checkout that can be released. Raises ReleaseError."""
    version = version_of(root)
    if git(root, "status", "--porcelain"):
        raise ReleaseError("there are changes that are not committed")
    notes_of((root / "CHANGELOG.md").read_text(), version)
    tags = git(root, "tag", "--points-at", "HEAD").split()
    if f"v{version}" not in tags:
        listed = ", ".join(tags) or "no tag"
        raise ReleaseError(f"HEAD has {listed}: git tag --annotate v{version}")
    return version, git(root, "rev-parse", "HEAD")


def built(root: Path, commit: str, out: Path, uv: str) -> list[Path]:
    """Build sdist and wheel of a commit's files alone; return them. Raises ReleaseError."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.mkdir()
        archive = Path(name) / "source.tar"
        git(root, "archive", "--output", str(archive), commit)
        with tarfile.open(archive) as file:
            if hasattr(tarfile, "data_filter"):  # of Python 3.11.4 and later
                file.extractall(source, filter="data")
            else:
                file.extractall(source)  # noqa: S202 - the archive is ours
        epoch = git(root, "show", "--no-patch", "--format=%ct", commit)
        locked_build = source / "deploy" / "build-requirements.lock"
        done = subprocess.run(
            [uv, "build", "--quiet", "--require-hashes", "--build-constraints", locked_build,
             "--out-dir", out, source],
            env=os.environ | {"SOURCE_DATE_EPOCH": epoch}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise ReleaseError(f"the build failed: {done.stderr.strip()[-2000:]}")
    return sorted(path for path in out.iterdir() if path.suffix in {".gz", ".whl"})


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sbom(root: Path, version: str) -> dict[str, object]:
    """Return a CycloneDX document of the packages that the image locks."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{package}",
            "name": name,
            "version": package,
            "purl": f"pkg:pypi/{name}@{package}",
        }
        for name, package in sorted(locked(root / "deploy" / "requirements.lock").items())
    ]
    purl = f"pkg:pypi/sidelight@{version}"
    main = {"type": "application", "bom-ref": purl, "name": "sidelight", "version": version,
            "purl": purl}  # fmt: skip
    refs = [component["bom-ref"] for component in components]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": refs}],
    }


def provenance(root: Path, version: str, commit: str, files: list[Path]) -> dict[str, object]:
    """Return the in-toto statement about these files."""
    locks = [{"name": name, "digest": {"sha256": digest(root / name)}} for name in LOCKS]
    source = {"name": "source", "digest": {"gitCommit": commit}}
    return {
        "_type": STATEMENT,
        "subject": [{"name": path.name, "digest": {"sha256": digest(path)}} for path in files],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"tag": f"v{version}", "command": "make release"},
                "resolvedDependencies": [source, *locks],
            },
            "runDetails": {"builder": {"id": "https://sidelight.invalid/local"}},
        },
    }


def release(root: Path, out: Path, uv: str) -> list[Path]:
    """Write everything of a release into an empty directory; return the files.

    Raises ReleaseError, also where a second build has other bytes.
    """
    version, commit = check(root)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = built(root, commit, out, uv)
    with tempfile.TemporaryDirectory() as name:
        second = {path.name: digest(path) for path in built(root, commit, Path(name), uv)}
    if second != {path.name: digest(path) for path in files}:
        raise ReleaseError("a second build has other bytes: it cannot be reproduced")
    notes = out / "RELEASE_NOTES.md"
    notes.write_text(notes_of((root / "CHANGELOG.md").read_text(), version))
    bill = out / "sbom.cdx.json"
    bill.write_text(json.dumps(sbom(root, version), indent=1) + "\n")
    subjects = [*files, bill, notes]
    statement = out / "provenance.json"
    statement.write_text(json.dumps(provenance(root, version, commit, subjects), indent=1) + "\n")
    subjects.append(statement)
    sums = out / "SHA256SUMS"
    sums.write_text("".join(f"{digest(path)}  {path.name}\n" for path in subjects))
    return [*subjects, sums]


def main() -> None:
    """Make the release of this checkout; its argument is uv's path."""
    try:
        files = release(ROOT, ROOT / "build" / "release", sys.argv[1])
    except ReleaseError as error:
        sys.exit(f"no release: {error}")
    sys.stdout.writelines(f"{path.relative_to(ROOT)}\n" for path in files)


if __name__ == "__main__":
    main()
