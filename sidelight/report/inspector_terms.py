"""A finding's CVSS vectors and its package, in the terms of Amazon Inspector's API.

Source: botocore's service model `inspector2` (CvssScore, VulnerablePackage, PackageManager).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import FormatError
from sidelight.versions import evr

if TYPE_CHECKING:
    from sidelight.model import Finding, Package

# purl type -> the PackageManager of an installed package.
_MANAGERS = {
    "deb": "OS", "rpm": "OS", "apk": "OS", "alpm": "OS", "os": "OS", "windows": "OS", "macos": "OS",
    "pypi": "PYTHONPKG",
    "npm": "NODEPKG", "golang": "GOBINARY", "cargo": "CARGO", "gem": "GEMSPEC",
    "composer": "COMPOSER", "nuget": "NUGET", "maven": "JAR",
}  # fmt: skip
# The project file that names a package is more specific than the package's type.
_BY_FILE = {
    "package-lock.json": "NPM", "npm-shrinkwrap.json": "NPM", "yarn.lock": "YARN",
    "Pipfile.lock": "PIPENV", "poetry.lock": "POETRY", "requirements.txt": "PIP",
    "go.mod": "GOMOD", "Gemfile.lock": "BUNDLER", "gems.locked": "BUNDLER", "pom.xml": "POM",
}  # fmt: skip
_DEPENDENCIES = ".deps.json"  # of a .NET program


class Cvss(NamedTuple):
    """A vector and its source: a vendor, or NVD. `base_score` is None if it has none."""

    source: str
    version: str
    vector: str
    base_score: float | None


class AffectedPackage(NamedTuple):
    """A package in Inspector's terms. `epoch` is 0 if none is written; unknown fields are empty.

    `path` is the file that names the package, `source_layer` the container storage that has it.
    """

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    path: str
    package_manager: str
    source_layer: str
    fixed_version: str
    remediation: str


def scores(finding: Finding) -> list[Cvss]:
    """Return all vectors, the preferred one first."""
    from sidelight.advisories.rating import cvss

    return [
        Cvss(source, cvss.version_of(vector), vector, _base(vector))
        for source, vector in finding.cvss_vectors
    ]


def affected(finding: Finding) -> AffectedPackage:
    """Return the package of a finding."""
    package = finding.package
    parts = evr.split(package.type, package.version)
    return AffectedPackage(
        package.name,
        parts.epoch,
        parts.version,
        parts.release,
        package.arch,
        package.path,
        _manager(package),
        package.layer,
        finding.fixed_version,
        finding.remediation,
    )


def _manager(package: Package) -> str:
    """Return Inspector's PackageManager, "" for a package that it has no value for."""
    name = package.path.rpartition("/")[2]
    if package.type == "nuget" and name.endswith(_DEPENDENCIES):
        return "DOTNET_CORE"
    return _BY_FILE.get(name) or _MANAGERS.get(package.type, "")


def _base(vector: str) -> float | None:
    from sidelight.advisories.rating import cvss

    try:
        return cvss.base_score(vector)
    except FormatError:
        return None
