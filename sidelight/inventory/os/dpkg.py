"""dpkg's database: /var/lib/dpkg/status, status.d (distroless images), and the file lists.

Sources: deb-control(5), dpkg-query(1) ("Package status"), deb-src-control(5) for `Source`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import LimitError
from sidelight.inventory.os.deb_relations import DebRelations, declarations, relations_of
from sidelight.inventory.protocol import (
    MAX_OWNED,
    MAX_PACKAGES,
    REMARK_LIMIT,
    Extraction,
    Wants,
    unfit,
)
from sidelight.inventory.purl import distro_of, format_purl, namespace_of
from sidelight.model import Package
from sidelight.vendors import covered_paths, is_covered, supplier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.inventory.protocol import Machine, WantedFile
    from sidelight.model import OperatingSystem

    _Installed = tuple[Package, DebRelations]

LIMIT = 64 << 20  # bytes; ten times the largest real one
_STATUS = "var/lib/dpkg/status"
_STATUS_D = "var/lib/dpkg/status.d/"
_INFO = "var/lib/dpkg/info/"
_DIVERSIONS = "var/lib/dpkg/diversions"
_BY_ADMINISTRATOR = ":"  # in place of a package that diverts a path
_SUMS = ".md5sums"
_LIST = ".list"
MAX_UPDATES = 1_000  # dpkg folds them into the status file at 250
MAX_STANZA = 1 << 20  # bytes; the largest real one has some 50 KiB
MAX_STANZAS = 4 * MAX_PACKAGES  # those of absent packages and of updates included
_BETWEEN_CHECKS = 1_000  # stanzas
_OPKG = ("usr/lib/opkg", "var/lib/opkg", "opt/lib/opkg")  # the last: Entware's

# The purl namespace where no release file names the system.
_FALLBACKS = {"deb": "debian", "opkg": "openwrt"}

# "not-installed" and "config-files" have no files of the package on the disk. Every other state
# has: dpkg-query lists them, and so does a scanner.
_ABSENT = frozenset((b"not-installed", b"config-files"))

# The fields that are kept, found in a whole stanza at once. `Status` goes first in most stanzas.
_FIELD = re.compile(
    rb"^(Package|Status|Version|Architecture|Source|Maintainer|Vendor|Origin|License"
    rb"|Depends|Pre-Depends|Provides)"
    rb"[ \t]*:[ \t]*([^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
# One character class, no group: a group that repeats costs memory for each time.
_BLANK_LINES = re.compile(rb"\n[ \t\r\n]*\n")
# A field goes on in lines that begin with a space; dpkg's own database has none of the kept ones.
_FOLDED = re.compile(rb"\n[ \t]")
_SOURCE = re.compile(r"(\S+)(?:\s+\(([^()]*)\))?").match


def _text(data: bytes) -> str:
    return data.strip().decode("utf-8", "surrogateescape")


class DpkgStatus:
    """Installed packages from `status`, or from one file of `status.d`."""

    name = "os/dpkg"
    wants = Wants(
        paths=frozenset((_STATUS,)),
        directories=frozenset((_STATUS_D.rstrip("/"),)),
        limit=LIMIT,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages. A stanza without a name or version is a Problem."""
        path = f"/{file.path}"
        if file.path.endswith(_SUMS):
            return _owned(file, _after_sums, file.path.removesuffix(_SUMS))
        if file.path != _STATUS:
            found = parse_status(
                file.read(), path, machine.os, needs_status=False, check_time=file.check_time
            )
            own = any(_is_own(package, machine.os) for package in found.packages)
            found.installed = {file.path} if own else set()
            return found
        data, fault = with_updates(file)
        found = parse_status(data, path, machine.os, owners=_INFO, check_time=file.check_time)
        if fault:
            found.note(path, fault)
        return found


def with_updates(file: WantedFile) -> tuple[bytes, str]:
    """The status file, then the stanzas that dpkg wrote since, which replace those before them.

    A running dpkg writes each change of state to updates/0000, 0001, … and folds them into the
    status file at the end; a snapshot taken in between has both, and dpkg-query reads both.
    The second value says what was left out; it is empty where nothing was.
    """
    parts = [file.read()]
    left = LIMIT
    for number in range(MAX_UPDATES):
        update = file.sibling(f"updates/{number:04}", limit=1 << 20)
        if update is None:
            return b"\n\n".join(parts), ""
        left -= len(update)
        if left < 0:
            break
        parts.append(update)
    what = f"more updates than {MAX_UPDATES}, or than {LIMIT >> 20} MiB: the rest does not count"
    return b"\n\n".join(parts), what


class DpkgLists:
    """Which paths dpkg's packages own: /var/lib/dpkg/info/*.list, less what is diverted."""

    name = "os/dpkg-lists"
    wants = Wants(
        paths=frozenset((_DIVERSIONS,)),
        directories=frozenset((_INFO.rstrip("/"), *(f"{path}/info" for path in _OPKG))),
        confirm=lambda path: path.endswith(_LIST) or path == _DIVERSIONS,
    )

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """The owned paths, without the leading slash, and the package that owns them."""
        if file.path == _DIVERSIONS:
            return Extraction(diverted=_diverted(_lines(file)))
        return _owned(file, _after_slash, file.path.removesuffix(_LIST))


def _after_slash(line: str) -> str:
    return line[1:] if len(line) > 2 else ""


def _after_sums(line: str) -> str:
    """`<32 hexadecimal digits>  usr/bin/foo`."""
    return line[34:]


def _owned(file: WantedFile, path_of: Callable[[str], str], owner: str) -> Extraction:
    """The paths of a list's lines, which count if the owner is installed."""
    found = Extraction(owner=owner)
    paths = covered_paths(path for line in _lines(file) if (path := path_of(line)))
    found.own(f"/{file.path}", paths)
    return found


def _lines(file: WantedFile) -> list[str]:
    """Raises LimitError where there are too many."""
    data = file.read()
    if data.count(b"\n") > MAX_OWNED:
        raise LimitError(f"a list of more than {MAX_OWNED} paths: none of them counts as owned")
    return data.decode("utf-8", "surrogateescape").split("\n")


def _diverted(lines: list[str]) -> dict[str, str]:
    """Three lines each: the path, where it went, the package that may keep its own there."""
    return {
        path[1:]: "" if package == _BY_ADMINISTRATOR else _INFO + package
        for path, package in zip(lines[0::3], lines[2::3], strict=False)
    }


class OpkgStatus:
    """OpenWrt's and Yocto's opkg: the same format, beside its own lists."""

    name = "os/opkg"
    wants = Wants(paths=frozenset(f"{path}/status" for path in _OPKG))

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:
        """All installed packages."""
        return parse_status(
            file.read(),
            f"/{file.path}",
            machine.os,
            kind="opkg",
            owners=file.path.removesuffix("status") + "info/",
            check_time=file.check_time,
        )


def parse_status(  # noqa: PLR0913 - all but the first three have a default
    data: bytes,
    path: str,
    system: OperatingSystem,
    *,
    kind: str = "deb",
    needs_status: bool = True,
    owners: str = "",
    check_time: Callable[[], None] = lambda: None,
) -> Extraction:
    """The installed packages of a deb822 file; the last stanza of a name and architecture counts.

    `needs_status`: whether a stanza without `Status` counts as not installed, as in the one
    database; in status.d a stanza is there because its package is. `kind`: `deb` or `opkg`.
    `owners`: the directory of the packages' lists, which begins the keys of what is installed.
    Raises what `check_time` does.
    """
    found = Extraction()
    namespace, distro = namespace_of(system, _FALLBACKS[kind]), distro_of(system)
    packages, vouched = _Packages(), set[str]()
    if b"\0" in data:
        found.note(path, "zero bytes in a text file: it is damaged")
    for count, stanza in enumerate(_stanzas(data)):
        if count % _BETWEEN_CHECKS == 0:
            check_time()
        if len(packages.last) >= MAX_PACKAGES or count >= MAX_STANZAS:
            what = f"more than {MAX_PACKAGES} packages, or than {MAX_STANZAS} stanzas"
            found.note(path, f"{what}: the rest is left out")
            break
        fields = _fields(stanza if needs_status else _FOLDED.sub(b" ", stanza), path, found)
        if not fields:
            continue
        key = (fields.get(b"package", b""), fields.get(b"architecture", b""))
        status = fields.get(b"status", b"").lower().split()
        if (status and status[-1] in _ABSENT) or (not status and needs_status):
            packages.forget(key)
            continue
        package = _package(fields, path, kind, namespace, distro)
        if _is_of_distribution(fields) and isinstance(package, Package):
            vouched.add(package.name)
        if isinstance(package, str):
            packages.set(key, None)
            found.note(path, package)
        else:
            packages.set(key, (package, relations_of(fields)))
    _relate(found, packages, path, is_whole=needs_status)
    if owners:
        own = [
            item
            for item in found.packages
            if _is_own(item, system, is_vouched=item.name in vouched)
        ]
        # A list is called by the architecture too where several may be installed.
        found.installed = {f"{owners}{package.name}" for package in own}
        found.installed |= {f"{owners}{package.name}:{package.arch}" for package in own}
    return found


def _relate(found: Extraction, packages: _Packages, path: str, *, is_whole: bool) -> None:
    """Give the packages, and what they require: of one file of status.d by names."""
    kept = [item for item in packages.last.values() if item is not None]
    found.packages = [package for package, _relations in kept]
    relations = [item for _package, item in kept]
    if is_whole:
        found.relate(path, list(declarations(found.packages, relations)))
    else:
        scope = path.rpartition("/")[0]
        found.declared = list(declarations(found.packages, relations, scope))


def _is_own(package: Package, system: OperatingSystem, *, is_vouched: bool = False) -> bool:
    """Whether the distribution's advisories are about its files; `is_vouched`: by its Origin."""
    evidence = package.type, package.vendor, package.version, system
    return not supplier(*evidence) if is_vouched else is_covered(*evidence)


def _fields(stanza: bytes, path: str, found: Extraction) -> dict[bytes, bytes]:
    """The known fields by their names in lower case; none, with a Problem, for what is not text."""
    if len(stanza) > MAX_STANZA:
        found.note(path, f"a stanza of {len(stanza)} bytes: only {MAX_STANZA} are looked at")
    fields = {key.lower(): value for key, value in _FIELD.findall(stanza[:MAX_STANZA])}
    if not fields and stanza.strip():
        found.note(path, "a stanza without any known field")
    return fields


def removed(status: bytes) -> list[tuple[str, str, str]]:
    """Name, version and architecture of packages that are removed with configuration files left."""
    found = []
    for stanza, _ in zip(_stanzas(status), range(MAX_STANZAS), strict=False):
        fields = {key.lower(): value for key, value in _FIELD.findall(stanza[:MAX_STANZA])}
        if fields.get(b"status", b"").lower().split()[-1:] == [b"config-files"]:
            name, version, arch = (
                _text(fields.get(key, b"")) for key in (b"package", b"version", b"architecture")
            )
            found.append((name, version, arch))
    return found


class _Packages:
    """What the stanzas said last of each name and architecture."""

    def __init__(self) -> None:
        self.last: dict[tuple[bytes, bytes], _Installed | None] = {}
        # The architectures of each name: an absent package is looked up by its name alone.
        self._architectures: dict[bytes, set[bytes]] = {}

    def set(self, key: tuple[bytes, bytes], package: _Installed | None) -> None:
        """Note a package, or that its stanza gave none."""
        self.last[key] = package
        if key[1]:
            self._architectures.setdefault(key[0], set()).add(key[1])

    def forget(self, key: tuple[bytes, bytes]) -> None:
        """An absent package replaces what was said before; a purged one has no architecture."""
        self.set(key, None)
        same = self._architectures.get(key[0], set())
        if not key[1] and len(same) == 1:
            (architecture,) = same
            self.last[key[0], architecture] = None


def _stanzas(data: bytes) -> Iterator[bytes]:
    start = 0
    for blank in _BLANK_LINES.finditer(data):
        yield data[start : blank.start()]
        start = blank.end()
    yield data[start:]


def _package(
    fields: dict[bytes, bytes], path: str, kind: str, namespace: str, distro: str
) -> Package | str:
    """A stanza's package, or why it gives none."""
    name, version, arch, source = (
        _text(fields.get(key, b"")) for key in (b"package", b"version", b"architecture", b"source")
    )
    if not name or not version:
        return f"{name[:80] or 'a stanza'} has no name or no version"
    if fault := unfit(name, version, arch, source):
        return fault
    source_name, source_version, upstream = name, version, ""
    match = _SOURCE(source)
    if match:
        source_name, source_version = match[1], (match[2] or version).strip()
        upstream = f"{source_name}@{source_version}" if match[2] else source_name
    qualifiers = (("arch", arch), ("distro", distro), ("upstream", upstream))
    return Package(
        type=kind,
        name=name,
        version=version,
        path=path,
        purl=format_purl(kind, namespace, name, version, qualifiers),
        arch=arch,
        source_name=source_name,
        source_version=source_version,
        vendor=_vendor(fields)[:REMARK_LIMIT],
    )


def _is_of_distribution(fields: dict[bytes, bytes]) -> bool:
    return _text(fields.get(b"origin", b"")).lower().startswith(("debian", "ubuntu"))


def _vendor(fields: dict[bytes, bytes]) -> str:
    """The maintainer; where a field says that no distribution built it, a name without address.

    Vendor and License are written by packaging tools of vendors alone: none of 63,678 packages of
    Debian 12 has one. Origin names the distribution, where it is there.
    """
    maintainer = _text(fields.get(b"maintainer", b""))
    vendor, origin = (_text(fields.get(name, b"")) for name in (b"vendor", b"origin"))
    if _is_of_distribution(fields) or not (vendor or origin or b"license" in fields):
        return maintainer
    named = "" if vendor.lower() in {"none", "unknown"} else vendor
    name = named or origin or maintainer.partition("<")[0].strip() or maintainer
    return name.partition("<")[0].strip() or "a vendor without a name"
