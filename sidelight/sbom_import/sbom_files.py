"""Read a bill of materials as the inventory of a machine.

What cannot be judged is a Problem, which makes the inventory partial: a component without a
package URL or version, a document that says that it is incomplete. A document without any package
is failed, not clean.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sidelight.advisories import ecosystems
from sidelight.errors import DamagedError, LimitError, NotRecognisedError, SourceError
from sidelight.inventory.allowance import Allowance
from sidelight.json_texts import decode_json, utf8_of
from sidelight.model import Inventory, OperatingSystem, Problem, Status
from sidelight.sbom_import import cyclonedx, cyclonedx_xml, spdx
from sidelight.sbom_import.packages import package_of
from sidelight.sbom_import.systems import chosen, of_distro, system_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sidelight.model import Package
    from sidelight.purls import PackageUrl
    from sidelight.sbom_import.bill_contents import BillContents, ListedComponent

MAX_BYTES: Final = 256 << 20
MAX_NODES: Final = 6_000_000  # commas and openings of a JSON text
_NAMED: Final = 5  # components that a Problem names
# Components of these kinds are not packages; without a package URL they are nothing to judge.
_NOT_PACKAGES: Final = frozenset(
    {"file", "data", "cryptographic-asset", "machine-learning-model", "container", "platform",
     "device", "device-driver", "source", "archive"}
)  # fmt: skip
# Trivy's components that stand for a lock file or for a set of packages.
_CLASS: Final = "aquasecurity:trivy:Class"


def read_sbom(path: Path) -> Inventory:
    """Read a file. Raises SourceError, DamagedError, LimitError, NotRecognisedError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(error.strerror or type(error).__name__, where=str(path)) from error
    try:
        return inventory_of(data)
    except (DamagedError, LimitError, NotRecognisedError) as error:
        raise type(error)(error.what, where=str(path)) from error


def inventory_of(data: bytes) -> Inventory:
    """Return the inventory that a document lists. Raises as `read_sbom` does."""
    if len(data) > MAX_BYTES:
        raise LimitError(f"more than {MAX_BYTES >> 20} MiB")
    contents = _contents(utf8_of(data))
    reading = _ComponentReading()
    packages = list(reading.packages(contents.components))
    listed = [system_of(item) for item in contents.systems]
    system, doubt = chosen(listed, reading.purls)
    labelled = list(_labelled(packages, reading.distros, system))
    problems = [Problem("sbom", text) for text in contents.remarks]
    if doubt:
        problems.append(Problem("sbom", doubt))
    problems += reading.problems()
    problems += _own_problems(contents)
    problems += _source_problems(packages, contents)
    if contents.is_incomplete and not problems:
        problems.append(Problem("sbom", "it says that it is incomplete"))
    if not packages:
        problems.append(Problem("sbom", "it lists no package with a package URL and a version"))
    status = Status.PARTIAL if problems else Status.COMPLETE
    return Inventory(
        status=status if packages else Status.FAILED,
        os=system,
        packages=tuple(dict.fromkeys(labelled)),
        problems=tuple(problems),
        left_out=tuple(text for name, text in contents.subject if name == "sidelight:left_out"),
        skipped=tuple(text for name, text in contents.subject if name == "sidelight:skipped"),
        dependencies=tuple(_dependencies(contents, reading.references, labelled)),
    )


def _dependencies(
    contents: BillContents, references: Sequence[str], packages: Sequence[Package]
) -> list[tuple[int, ...] | None]:
    """Return what each package requires, as `Inventory.dependencies`; equal packages are one.

    `references` are those of `packages`.
    """
    numbers: dict[Package, int] = {}
    indexes: dict[str, int] = {}
    for reference, package in zip(references, packages, strict=True):
        number = numbers.setdefault(package, len(numbers))
        if reference:
            indexes.setdefault(reference, number)
    found: list[set[int] | None] = [None] * len(numbers)
    for reference, targets in contents.requires.items():
        own = indexes.get(reference)
        if own is None:
            continue
        required = {indexes[target] for target in targets if target in indexes} - {own}
        if required or reference in contents.known:
            found[own] = required | (found[own] or set())
    if all(item is None for item in found):
        return []
    return [None if item is None else tuple(sorted(item)) for item in found]


def _contents(data: bytes) -> BillContents:
    if data.lstrip()[:1] == b"<":
        return cyclonedx.contents_of(cyclonedx_xml.document_of(data))
    document = decode_json(data, MAX_NODES)
    if isinstance(document, dict):
        if document.get("bomFormat") == "CycloneDX":
            return cyclonedx.contents_of(document)
        if isinstance(document.get("spdxVersion"), str):
            return spdx.contents_of(document)
        if isinstance(document.get("@graph"), list):
            raise NotRecognisedError("SPDX 3: CycloneDX 1.4 to 1.7 and SPDX 2.3 are read")
    raise NotRecognisedError("JSON that is neither CycloneDX nor SPDX")


@dataclass(slots=True)
class _ComponentReading:
    """Makes packages of components, and keeps why others are none."""

    purls: list[PackageUrl] = field(default_factory=list)
    references: list[str] = field(default_factory=list)  # of the packages
    distros: dict[str, PackageUrl] = field(default_factory=dict)  # by their texts: have a distro
    _allowance: Allowance = field(default_factory=Allowance)
    _unjudged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def packages(self, components: Sequence[ListedComponent]) -> Iterator[Package]:
        """Yield the packages; those of OS types are in the order of `purls`."""
        for component in components:
            package, purl, why = package_of(component)
            if package is None:
                if why != "without a package URL" or not _is_no_package(component):
                    shown = f"{component.full_name} {component.version}".strip()[:80]
                    self._unjudged[why].append(shown or "a component without a name")
                continue
            for kept in self._allowance.packages([package]):
                if purl is not None:
                    self.purls.append(purl)
                    if purl.qualifier("distro"):
                        self.distros[component.purl] = purl
                self.references.append(component.reference)
                yield kept

    def problems(self) -> Iterator[Problem]:
        """Yield one Problem for each reason, with the first components."""
        for why, names in self._unjudged.items():
            more = ", …" if len(names) > _NAMED else ""
            shown = ", ".join(names[:_NAMED]) + more
            count = f"{len(names)} component{'s' * (len(names) != 1)}"
            yield Problem("sbom", f"{count} {why}, not judged: {shown}")
        yield from self._allowance.all_problems()


def _is_no_package(component: ListedComponent) -> bool:
    is_set = component.kind == "application" and _CLASS in component.properties
    return is_set or component.kind in _NOT_PACKAGES


def _labelled(
    packages: Iterable[Package], distros: Mapping[str, PackageUrl], system: OperatingSystem
) -> Iterator[Package]:
    """Yield packages; one of another system than the document's is judged by its own."""
    labels: dict[tuple[str, str], str] = {}
    for package in packages:
        purl = distros.get(package.purl)
        if purl is None or package.layer or package.type not in ecosystems.OS_TYPES:
            yield package
            continue
        key = (purl.namespace, purl.qualifier("distro"))
        if key not in labels:
            own = of_distro(purl)
            is_other = own is not None and not _is_same(own, system)
            labels[key] = f"{own.id}-{own.version_id}" if own is not None and is_other else ""
        yield replace(package, layer=labels[key]) if labels[key] else package


def _is_same(one: OperatingSystem, other: OperatingSystem) -> bool:
    if one.id != other.id:
        return False
    first, second = sorted((one.version_id, other.version_id), key=len)
    return second.startswith(first) or ecosystems.of_machine(one) == ecosystems.of_machine(other)


def _own_problems(contents: BillContents) -> Iterator[Problem]:
    """Yield the problems of the scan that Sidelight wrote the document of."""
    listed = 0
    for name, value in contents.subject:
        if name == "sidelight:problem":
            where, _colon, what = value.partition(": ")
            listed += 1
            yield Problem(where, what)
    count = dict(contents.subject).get("sidelight:problems", "")
    if count.isdigit() and len(count) < 10 and int(count) > listed:
        yield Problem("sbom", f"{int(count) - listed} more problems of the scan are not listed")


def _source_problems(packages: Sequence[Package], contents: BillContents) -> Iterator[Problem]:
    """Yield a Problem where no package names its source, which advisories of these systems name."""
    binary = [item for item in packages if item.type in {"deb", "apk"}]
    is_known = any(
        name.startswith(("sidelight:", "aquasecurity:trivy:", "syft:"))
        for item in contents.components
        for name in item.properties
    ) or any("upstream=" in item.purl for item in binary)
    if binary and not is_known and all(item.source_name == item.name for item in binary):
        what = "no package names its source: packages of another source's name are not matched"
        yield Problem("sbom", f"{what} ({len(binary)} of {len(packages)} packages)")
