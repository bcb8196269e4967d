"""build.sbt.lock, which sbt-dependency-lock writes. Source: the plugin's documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, maven
from sidelight.inventory.language.safe_parsers import mapping, parse_json, sequence
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHIPPED: Final = frozenset(("compile", "runtime", "default"))


def _parse(file: WantedFile) -> Iterator[Entry]:
    data = mapping(parse_json(file.read()), "the lock file")
    for item in sequence(data.get("dependencies"), "dependencies"):
        found = mapping(item, "a dependency")
        used = {text(name) for name in sequence(found.get("configurations"), "configurations")}
        group, name, version = (text(found.get(key)) for key in ("org", "name", "version"))
        details = PackageDetails(dev=not used & _SHIPPED if used else None)
        yield maven(file.path, group, name, version, details)


EXTRACTOR: Final = GeneratorExtractor(
    "language/sbt-lock", Wants(names=frozenset({"build.sbt.lock"}), limit=16 << 20), _parse
)
