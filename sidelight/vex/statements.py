"""VEX statements, and which findings they suppress.

A statement is about a finding if it names the vulnerability, by its id or an alias, and a product
that is the package, by its purl. Of several the latest decides: `not_affected` and `fixed`
suppress, `affected` and `under_investigation` do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sidelight.model import SuppressedFinding, VexStatus
from sidelight.purls import PackageUrl, purl_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sidelight.model import Finding, Inventory, OperatingSystem

SUPPRESSING: Final = frozenset({VexStatus.NOT_AFFECTED, VexStatus.FIXED, VexStatus.IGNORED})
JUSTIFICATIONS: Final = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
# (vendor, product) of a platform's CPE -> os-release's ID.
_SYSTEMS: Final = {
    ("redhat", "enterprise_linux"): "rhel", ("redhat", "rhel"): "rhel",
    ("canonical", "ubuntu_linux"): "ubuntu", ("debian", "debian_linux"): "debian",
    ("suse", "sles"): "sles", ("suse", "linux_enterprise_server"): "sles",
    ("opensuse", "leap"): "opensuse-leap", ("almalinux", "almalinux"): "almalinux",
    ("rocky", "rocky"): "rocky", ("oracle", "linux"): "ol", ("amazon", "linux"): "amzn",
    ("fedoraproject", "fedora"): "fedora", ("alpinelinux", "alpine_linux"): "alpine",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VexProduct:
    """A product: a package by its purl, or any package where that is None.

    `versions` are exact ones, besides the purl's own; empty for all. `within` are the identifiers
    of what the package has to be part of, of which one has to be the machine, its operating system
    (a CPE) or a package on it; empty for anywhere.
    """

    purl: PackageUrl | None
    versions: frozenset[str] = frozenset()
    within: tuple[str, ...] = ()

    @property
    def is_of_one_state(self) -> bool:
        """Whether it is a version, or a part of a named product: only these can be fixed.

        Of a package without a version `fixed` says that some version has the fix, and older ones
        do not have it.
        """
        return bool(self.versions or self.within or (self.purl is not None and self.purl.version))


@dataclass(frozen=True, slots=True)
class VexStatement:
    """One statement. `vulnerabilities` are the id and its aliases, in capitals.

    `at` is a time in ISO 8601 (UTC), which orders statements; empty where none is written.
    """

    vulnerabilities: frozenset[str]
    products: tuple[VexProduct, ...]
    status: VexStatus
    source: str
    justification: str = ""
    statement: str = ""
    at: str = ""

    @property
    def shown(self) -> str:
        """The vulnerability and the first product, for a message."""
        names = sorted(self.vulnerabilities, key=lambda name: (not name.startswith("CVE-"), name))
        name = names[0] if names else "no vulnerability"
        named = [item.purl for item in self.products if item.purl is not None]
        more = f" ({named[0].full_name})" if named else ""
        return f"{name}{more}"


@dataclass(frozen=True, slots=True)
class VexResult:
    """Findings that stay, those that are suppressed, and statements about none of them."""

    active: list[Finding] = field(default_factory=list)
    suppressed: list[SuppressedFinding] = field(default_factory=list)
    unmatched: list[VexStatement] = field(default_factory=list)


def apply(
    findings: Iterable[Finding],
    statements: Sequence[VexStatement],
    machine: Inventory,
    names: Iterable[str],
) -> VexResult:
    """Decide on a machine's findings. `names` are its own: a statement may be about the machine."""
    by_name: dict[str, list[int]] = {}
    # The latest last; of equal times in the order of the documents.
    ordered = sorted(statements, key=lambda item: item.at)
    for number, statement in enumerate(ordered):
        for name in statement.vulnerabilities:
            by_name.setdefault(name, []).append(number)
    products = MachineProducts(
        frozenset(names), lambda: machine.os, lambda: (item.purl for item in machine.packages)
    )
    result, used = VexResult(), set()
    for finding in findings:
        numbers = sorted({number for name in names_of(finding) for number in by_name.get(name, ())})
        about = [number for number in numbers if products.has(ordered[number], finding)]
        used.update(about)
        last = ordered[about[-1]] if about else None
        if last is None or last.status not in SUPPRESSING:
            result.active.append(finding)
            continue
        result.suppressed.append(
            SuppressedFinding(finding, last.status, last.justification, last.statement, last.source)
        )
    result.unmatched.extend(item for n, item in enumerate(ordered) if n not in used)
    return result


def names_of(finding: Finding) -> frozenset[str]:
    """Return the names by which statements mean a finding's vulnerability, in capitals."""
    return frozenset(name.upper() for name in (finding.vulnerability, *finding.advisories))


class MachineProducts:
    """What a product may be, or be part of, on one machine.

    `names` are the machine's own. Its operating system and the purls of its packages are asked for
    where a statement needs them.
    """

    def __init__(
        self,
        names: frozenset[str],
        system: Callable[[], OperatingSystem],
        purls: Callable[[], Iterable[str]],
    ) -> None:
        self._names = names
        self._system = system
        self._all_purls = purls
        self._purls: list[PackageUrl] | None = None
        self._parsed: dict[str, PackageUrl | None] = {}
        self._here: dict[str, bool] = {}

    def has(self, statement: VexStatement, finding: Finding) -> bool:
        """Whether a product of a statement is a finding's package."""
        package = self._purl(finding.package.purl)
        version = finding.package.version
        return any(
            (item.purl is None or (package is not None and is_of(package, item.purl)))
            and (not item.versions or version in item.versions)
            and (statement.status is not VexStatus.FIXED or item.is_of_one_state)
            and (not item.within or any(map(self._is_here, item.within)))
            for item in statement.products
        )

    def _is_here(self, identifier: str) -> bool:
        # A product is looked for once, however many statements and findings are about it.
        if identifier not in self._here:
            self._here[identifier] = self._has_product(identifier)
        return self._here[identifier]

    def _has_product(self, identifier: str) -> bool:
        if identifier in self._names:
            return True
        if identifier.startswith("cpe:"):
            return is_system(identifier, self._system())
        wanted = self._purl(identifier)
        if wanted is None:
            return False
        if self._purls is None:
            found = map(self._purl, self._all_purls())
            self._purls = [item for item in found if item is not None]
        return any(is_of(item, wanted) for item in self._purls)

    def _purl(self, text: str) -> PackageUrl | None:
        if text not in self._parsed:
            self._parsed[text] = purl_or_none(text)
        return self._parsed[text]


def normal_time(text: str) -> str:
    """Return a time of RFC 3339 as UTC, so that times have an order; "" for any other text."""
    try:
        time = datetime.fromisoformat(text)
        aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        return aware.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return ""


def is_of(package: PackageUrl, product: PackageUrl) -> bool:
    """Whether a package is a product: equal in all that the product's purl has.

    A product without a version is each version; qualifiers that it does not have do not count. An
    epoch may be in the version or a qualifier.
    """
    if package.type != product.type:
        return False
    names = (package.full_name, product.full_name)
    if package.type == "golang":
        names = (names[0].lower(), names[1].lower())
    if names[0] != names[1]:
        return False
    if product.version and _full_version(package) != _full_version(product):
        return False
    own = dict(package.qualifiers)
    return all(own.get(key) == value for key, value in product.qualifiers if key != "epoch")


def _full_version(purl: PackageUrl) -> str:
    epoch = purl.qualifier("epoch")
    is_missing = epoch not in {"", "0"} and ":" not in purl.version
    version = f"{epoch}:{purl.version}" if is_missing else purl.version
    return version.removeprefix("0:")


def is_system(cpe: str, system: OperatingSystem) -> bool:
    """Whether a CPE (2.2 or 2.3) names an operating system of this version.

    Red Hat has parts of its system as applications: `cpe:/a:redhat:enterprise_linux:9::appstream`.
    """
    parts = cpe.removeprefix("cpe:2.3:").removeprefix("cpe:/").split(":")
    if (
        len(parts) < 4
        or parts[0] not in {"a", "o"}
        or _SYSTEMS.get((parts[1], parts[2])) != system.id
    ):
        return False
    version = parts[3]
    whole = system.version_id
    return bool(version) and (whole == version or whole.startswith(f"{version}."))
