"""Inventories for comparisons: real names and builds, as the advisories and Debian name them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sidelight.model import OperatingSystem, Package
from sidelight.versions import sort_key

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.advisories import AdvisoryDatabase

SIZE = 2000  # packages


class Host(NamedTuple):
    """A system or a project: os-release's words, ecosystem, type of package, Trivy's words."""

    id: str
    version: str
    ecosystem: str
    kind: str
    trivy: str = ""
    namespace: str = ""

    @property
    def os(self) -> OperatingSystem:
        """Its os-release."""
        return OperatingSystem(id=self.id, version_id=self.version)

    def packages(self, database: AdvisoryDatabase, chance: random.Random) -> list[Package]:
        """Packages, each of a version that some advisory names: of the later half of them."""
        names = sorted(name for own, name in database.packages() if own == self.ecosystem)
        found: list[Package] = []
        for name in chance.sample(names, min(SIZE, len(names))):
            rows = database.lookup(self.ecosystem, name)
            ends = {
                (span.end, row.module)
                for row in rows if not row.stream.startswith("livepatch") and row.module != "?"
                for span in row.intervals if span.end
            }  # fmt: skip
            if not ends:
                continue
            ordered = sorted(ends, key=lambda end: (sort_key(self.ecosystem, end[0]), end))
            version, module = chance.choice(ordered[len(ordered) // 2 :])
            label = f"{module}:20240101:abcdef" if module else ""
            source = "" if self.kind == "rpm" else name
            found.append(
                Package(self.kind, name, version, "/", "", source_name=source, modularity=label)
            )
        return found


HOSTS = (
    Host("debian", "11", "Debian:11", "deb", "debian", "debian"),
    Host("debian", "12", "Debian:12", "deb", "debian", "debian"),
    Host("debian", "13", "Debian:13", "deb", "debian", "debian"),
    Host("ubuntu", "22.04", "Ubuntu:22.04", "deb", "ubuntu", "ubuntu"),
    Host("amzn", "2", "Amazon Linux:2", "rpm", "amazon", "amazon"),
    Host("amzn", "2023", "Amazon Linux:2023", "rpm", "amazon", "amazon"),
    Host("almalinux", "9.3", "AlmaLinux:9", "rpm", "alma", "alma"),
    Host("almalinux", "8.9", "AlmaLinux:8", "rpm", "alma", "alma"),
    Host("rocky", "9.3", "Rocky Linux:9", "rpm", "rocky", "rocky"),
    Host("rocky", "8.9", "Rocky Linux:8", "rpm", "rocky", "rocky"),
    Host("alpine", "3.19.1", "Alpine:v3.19", "apk", "alpine", "alpine"),
    Host("debian", "12", "npm", "npm"),
    Host("debian", "12", "PyPI", "pypi"),
    Host("debian", "12", "Maven", "maven"),
)


def debian_packages(folder: Path, host: Host, chance: random.Random) -> list[Package]:
    """Packages of a Debian release, from its archive's Packages file (`11` in the folder)."""
    records = list(_records((folder / host.version).read_text()))
    found = []
    for record in chance.sample(records, SIZE):
        match = re.fullmatch(r"(\S+)(?: \((.*)\))?", record.get("Source", record["Package"]))
        source, version = match.groups() if match else ("", None)
        found.append(
            Package("deb", record["Package"], record["Version"], "/", "", source_name=source or "",
                    source_version=version or record["Version"])
        )  # fmt: skip
    return found


def _records(text: str) -> Iterator[dict[str, str]]:
    for paragraph in text.split("\n\n"):
        fields = [line.partition(": ") for line in paragraph.splitlines() if line[:1] > " "]
        if fields:
            yield {name: value for name, _colon, value in fields}
