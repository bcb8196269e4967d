"""Snaps: an unpacked snap's meta/snap.yaml, and snapd's own list of what is installed.

The snaps themselves are squashfs images that are mounted only while a machine runs: of a disk at
rest the list gives name and revision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from sidelight.errors import DamagedError, LimitError
from sidelight.inventory.language.safe_parsers import check_yaml, parse_json
from sidelight.inventory.protocol import NAME_LIMIT, Extraction, Wants, unfit
from sidelight.inventory.purl import format_purl
from sidelight.model import Package

if TYPE_CHECKING:
    from sidelight.inventory.protocol import Machine, WantedFile

_MAX_EVENTS = 100_000  # of YAML's: a real file has a few hundred
_MAX_ARCHITECTURES = 16
_MAX_DEPTH = 64  # the scanner's time grows with its square


class SnapYaml:
    """meta/snap.yaml: name, version and architectures."""

    name = "os/snap"
    wants = Wants(
        names=frozenset(("snap.yaml",)),
        confirm=lambda path: path.endswith("/meta/snap.yaml"),
        limit=1 << 20,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """One snap. Raises DamagedError where it is not named."""
        path = f"/{file.path}"
        fields = top_level(file.read(), path)
        name, version = (
            value if isinstance(value := fields.get(key), str) else ""
            for key in ("name", "version")
        )
        if not name or not version:
            raise DamagedError("a snap without a name or a version", where=path)
        if fault := unfit(name, version):
            raise LimitError(fault, where=path)
        listed = fields.get("architectures")
        arch = (
            " ".join(listed[:_MAX_ARCHITECTURES])[:NAME_LIMIT] if isinstance(listed, list) else ""
        )
        licence = fields.get("license")
        licence = licence if isinstance(licence, str) else ""
        return Extraction(packages=[_package(name, version, path, arch, licence)])


class SnapState:
    """snapd's state.json: the snaps that are installed, by their current revision."""

    name = "os/snap-state"
    wants = Wants(paths=frozenset(("var/lib/snapd/state.json",)), limit=32 << 20)

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """One package a snap; its version is `revision <number>`, since nothing else is known."""
        path = f"/{file.path}"
        document = parse_json(file.read())
        snaps: object = document.get("data", {}) if isinstance(document, dict) else {}
        snaps = snaps.get("snaps", {}) if isinstance(snaps, dict) else {}
        if not isinstance(snaps, dict):
            raise DamagedError("no table of snaps", where=path)
        found = Extraction()
        for name, snap in snaps.items():
            revision = snap.get("current") if isinstance(snap, dict) else None
            text = revision if isinstance(revision, str) else ""
            if isinstance(revision, int) and abs(revision) < 1 << 63:
                text = str(revision)
            if fault := unfit(name, text):
                found.note(path, fault)
            elif text:
                found.packages.append(_package(name, f"revision {text}", path, "", ""))
            elif revision is not None:
                found.note(path, f"{name[:80]!r} has a revision that is not one")
        return found


def _package(name: str, version: str, path: str, arch: str, licence: str) -> Package:
    return Package(
        type="snap",
        name=name,
        version=version,
        path=path,
        purl=format_purl("snap", "", name, version, (("arch", arch.replace(" ", ",")),)),
        arch=arch,
        licence=licence,
    )


def top_level(data: bytes, where: str) -> dict[str, str | list[str]]:
    """The scalars, and lists of scalars, of a YAML mapping's first level.

    Read as events: no aliases are expanded, no depth costs a stack, no tag makes an object.
    Raises DamagedError, and LimitError for more than a snap has.
    """
    check_yaml(data)
    reader = _TopLevel()
    try:
        for count, event in enumerate(yaml.parse(data, Loader=yaml.CSafeLoader)):
            if count > _MAX_EVENTS or reader.depth > _MAX_DEPTH:
                raise LimitError("more or deeper YAML than any snap has", where=where)
            if isinstance(event, yaml.ScalarEvent):
                reader.scalar(event.value)
            elif isinstance(event, yaml.AliasEvent):
                reader.alias()
            elif isinstance(event, yaml.CollectionStartEvent):
                reader.start(is_list=isinstance(event, yaml.SequenceStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                reader.end()
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        raise DamagedError(f"no readable YAML: {error}"[:300], where=where) from error
    return reader.found


class _TopLevel:
    """Where a stream of YAML events is: the depth, and the first level's current key."""

    def __init__(self) -> None:
        self.found: dict[str, str | list[str]] = {}
        self.depth = 0
        self._key = ""

    def scalar(self, value: str) -> None:
        if self.depth == 1 and not self._key:
            self._key = value
        elif self.depth == 1:
            self.found[self._key] = value
            self._key = ""
        elif self.depth == 2 and isinstance(listed := self.found.get(self._key), list):
            listed.append(value)

    def alias(self) -> None:
        """A reference to what stood before: it takes the place of a key or a value."""
        if self.depth == 1:
            self._key = "" if self._key else "*"

    def start(self, *, is_list: bool) -> None:
        if self.depth == 1 and is_list and self._key:
            self.found[self._key] = []
        self.depth += 1

    def end(self) -> None:
        self.depth -= 1
        if self.depth == 1:
            self._key = ""
