"""Gentoo's database of installed packages: /var/db/pkg/<category>/<name-version>/.

Source: Package Manager Specification, "Names and versions", and portage(5) for the files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.protocol import MAX_OWNED, MAX_PATH, Extraction, Wants
from sidelight.inventory.purl import distro_of, format_purl
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile

_PATH = re.compile(r"var/db/pkg/([^/]+)/[^/]+/(?:PF|CONTENTS)")
_NAME = re.compile(
    r"(.+?)-(\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)\d*)*(?:-r\d+)?)", re.ASCII
)
_MAX_NAME = 255  # it is a directory's name, too
_OWNED = re.compile(r"(?:obj /(.+) [0-9a-f]{32} \d+|sym /(.+) -> .*)")


class PortageDatabase:
    """Installed packages from `PF`, and from `CONTENTS` what they own."""

    name = "os/portage"
    wants = Wants(
        names=frozenset(("PF", "CONTENTS")), confirm=lambda path: _PATH.fullmatch(path) is not None
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """One package. Raises DamagedError where its name does not end in a version."""
        data = file.read()
        directory, _, base_name = file.path.rpartition("/")
        if base_name == "CONTENTS":
            return _owned(data, f"/{file.path}", directory)
        text = data[: _MAX_NAME + 2].decode("utf-8", "surrogateescape").strip()
        match = _NAME.fullmatch(text) if len(text) <= _MAX_NAME else None
        category = _PATH.fullmatch(file.path)
        if match is None or category is None:
            raise DamagedError(f"{text[:80]!r} is not a name and version")
        name, version = match[1], match[2]
        package = Package(
            type="ebuild",
            name=f"{category[1]}/{name}",
            version=version,
            path=f"/{file.path}",
            purl=format_purl(
                "ebuild", category[1], name, version, (("distro", distro_of(machine.os)),)
            ),
        )
        found = Extraction(packages=[package])
        if directory.rpartition("/")[2] == text:
            found.installed = {directory}
        else:
            found.note(f"/{file.path}", f"Portage goes by the directory's name, not by {text!r}")
        return found


def _owned(data: bytes, where: str, owner: str) -> Extraction:
    """Raises LimitError where there are too many lines."""
    if data.count(b"\n") > MAX_OWNED:
        raise LimitError(f"a list of more than {MAX_OWNED} paths: none of them counts as owned")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    matches = (_OWNED.fullmatch(line) for line in lines if len(line) <= 2 * MAX_PATH)
    found = Extraction(owner=owner)
    found.own(where, {match[1] or match[2] for match in matches if match})
    return found
