"""Installed packages of R: LIBRARY/NAME/DESCRIPTION; and renv's lock file.

Only R's installer writes the field `Built`, so a source package's DESCRIPTION is left alone. CRAN
writes `Repository` into what it publishes, and mirrors leave it there or write their own name.
Bioconductor's packages are listed: no feed has advisories for them.
Sources: "Writing R Extensions" ("The DESCRIPTION file"), R's installed.packages(), the remotes
package (`Remote*` fields), renv's documentation of its lock file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.installed import is_project
from sidelight.inventory.language.origin import PUBLIC, Origin, download, git, local, registry
from sidelight.inventory.language.package_builder import (
    Entry,
    PackageDetails,
    RelatedEntry,
    flat,
    related,
)
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD: Final = re.compile(r"^([A-Za-z][A-Za-z0-9@_/]*):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_NEEDS: Final = ("Depends", "Imports", "LinkingTo")
_PUBLIC: Final = frozenset({"CRAN", "RSPM", "PPM"})  # the last two: Posit's mirrors of it
_HOSTS: Final = {"github": "", "gitlab": "gitlab:", "bitbucket": "bitbucket:"}


def _parse(file: WantedFile) -> Iterator[Entry | RelatedEntry]:
    fields = dict(_FIELD.findall(file.read().decode("utf-8", "replace").replace("\r\n", "\n")))
    if "Built" not in fields:
        return
    name, version = fields.get("Package", "").strip(), fields.get("Version", "").strip()
    if fields.get("Priority", "").strip() == "base":  # parts of R, with its version
        if name == "base":
            yield flat(file.path, "generic", "r", version)
        return
    licence = fields.get("License", "")
    kind, origin = _source(fields)
    entry = flat(file.path, kind, name, version, PackageDetails(licence, origin=origin))
    needs = [item for field in _NEEDS for item in _names(fields.get(field, ""))]
    library = "/" + "/".join(file.path.split("/")[:-2])
    yield related(entry, (name,), needs, library)


def _names(requirements: str) -> Iterator[str]:
    """`R (>= 3.5), methods, Rcpp (>= 1.0)` -> methods, Rcpp."""
    for item in requirements.split(","):
        match = _NAME.match(item.strip())
        if match and match[0] != "R":
            yield match[0]


def _source(fields: dict[str, str]) -> tuple[str, Origin]:
    """The purl's type, and where the package is from."""
    values = {key: value.strip() for key, value in fields.items()}
    remote, repository = values.get("RemoteType", ""), values.get("Repository", "")
    if remote in _HOSTS:
        place = f"{_HOSTS[remote]}{values.get('RemoteUsername')}/{values.get('RemoteRepo')}"
        return "cran", git(place, values.get("RemoteSha", ""))
    url = values.get("RemoteUrl", "")
    if remote in {"git", "git2r", "xgit"}:
        return "cran", git(url, values.get("RemoteSha", ""))
    if remote in {"url", "local"}:
        return "cran", download(url) if remote == "url" and url else local(url)
    if repository in _PUBLIC:
        return "cran", PUBLIC
    if "biocViews" in values or repository.startswith("Bioconductor"):
        return "bioconductor", PUBLIC
    return "cran", registry(repository) if repository else local()


def _parse_renv(file: WantedFile) -> Iterator[Entry]:
    packages = mapping(parse_json(file.read()), "renv.lock").get("Packages")
    for item in mapping(packages or {}, "Packages").values():
        found = {key: text(value) for key, value in mapping(item, "a package").items()}
        fields = {"RemoteType": "local" if found.get("Source") == "Local" else "", **found}
        if found.get("Source") == "Bioconductor":
            fields["biocViews"] = ""
        elif "Repository" not in found and found.get("Source") == "Repository":
            fields["Repository"] = "CRAN"
        kind, origin = _source(fields)
        details = PackageDetails(origin=origin)
        yield flat(file.path, kind, found.get("Package", ""), found.get("Version", ""), details)


EXTRACTOR: Final = GeneratorExtractor(
    "language/r-installed",
    Wants(
        names=frozenset({"DESCRIPTION"}),
        confirm=lambda path: path.count("/") > 1,
        limit=1 << 20,
    ),
    _parse,
)
RENV_EXTRACTOR: Final = GeneratorExtractor(
    "language/r-lock",
    Wants(names=frozenset({"renv.lock"}), confirm=is_project, limit=8 << 20),
    _parse_renv,
)
