"""What a package.json beside a lock file asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.errors import FormatError
from sidelight.inventory.language.safe_parsers import parse_json
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.inventory.protocol import WantedFile


@dataclass(frozen=True, slots=True)
class PackageJsonRequirements:
    """Name to range of what is asked for, to run and to develop."""

    run: dict[str, str]
    develop: dict[str, str]
    workspaces: bool

    @property
    def any(self) -> bool:
        """Whether anything is asked for: a file without dependencies says nothing of others."""
        return bool(self.run or self.develop)

    def direct(self, name: str) -> bool:
        """Whether this name is asked for at all."""
        return name in self.run or name in self.develop


def requested_by(manifest: dict[str, object]) -> PackageJsonRequirements:
    """The dependencies of one package.json, or of a lock file's copy of it."""
    return PackageJsonRequirements(
        run=_ranges(manifest, ("peerDependencies", "optionalDependencies", "dependencies")),
        develop=_ranges(manifest, ("devDependencies",)),
        workspaces=bool(manifest.get("workspaces")),
    )


def requirements_beside(file: WantedFile) -> PackageJsonRequirements | None:
    """Those of the package.json in the same directory; None where there is none to be read."""
    try:
        data = file.sibling("package.json", 4 << 20)
        manifest = None if data is None else parse_json(data)
    except FormatError:
        return None  # the file itself is not what was asked for: it shows nothing then
    return requested_by(manifest) if isinstance(manifest, dict) else None


def _ranges(manifest: dict[str, object], kinds: Iterable[str]) -> dict[str, str]:
    ranges: dict[str, str] = {}
    for kind in kinds:
        part = manifest.get(kind)
        if isinstance(part, dict):
            ranges.update((name, text(wanted)) for name, wanted in part.items())
    return ranges
