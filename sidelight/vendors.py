"""Who ships an operating system's package: the distribution, or another vendor.

A distribution's advisories are about its own builds. For a package of another vendor they say
nothing: its epoch, version and release do not compare with theirs, and its files are covered by
nobody. The evidence is what the package databases keep (docs/decisions/0012): rpm's Vendor, dpkg's
Maintainer (or the Vendor, Origin and License fields that only vendors' tools write), apk's and
pacman's packager, and the marks that known vendors put into their releases.

Without evidence a package counts as the distribution's. Of a system that is not listed here, only
packages of well-known vendors do not count as its own. Where it is in doubt who ships a package,
the distribution's advisories are about it and its files are read as well (`is_covered`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import OperatingSystem

# rpm's Vendor, from its beginning -> the database's name of the distribution that builds so. A
# machine that was converted has builds of several: each is judged by its own builder's errata.
_BUILDERS: Final = (
    (re.compile(r"red ?hat\b"), "Red Hat"),
    (re.compile(r"centos\b"), "Red Hat"),
    (re.compile(r"almalinux\b"), "AlmaLinux"),
    (re.compile(r"rocky"), "Rocky Linux"),
    (re.compile(r"oracle america\b"), "Oracle Linux"),
    (re.compile(r"fedora project\b"), "EPEL"),
)
_ENTERPRISE: Final = frozenset({"rhel", "centos", "almalinux", "rocky", "ol"})
_SUSE: Final = re.compile(r"(?:open)?suse\b|novell\b")
# By os-release's ID, the beginning of the Vendor of its own builds; lower case.
_OWN: Final = {
    "amzn": re.compile(r"amazon\b"),
    "fedora": re.compile(r"fedora project\b"),
    "opensuse-leap": _SUSE,
    "opensuse-leap-micro": _SUSE,
    "opensuse-tumbleweed": _SUSE,
    "opensuse-microos": _SUSE,
    "sles": _SUSE,
    "sles_sap": _SUSE,
    "sled": _SUSE,
    "sle_hpc": _SUSE,
    "sle-micro": _SUSE,
    "sl-micro": _SUSE,
    "mariner": re.compile(r"microsoft\b"),
    "azurelinux": re.compile(r"microsoft\b"),
    "photon": re.compile(r"vmware\b|broadcom\b"),
    "openeuler": re.compile(r"(?:https?://)?(?:www\.)?openeuler\b|huawei\b"),
    "mageia": re.compile(r"mageia\b"),
}
# Of a distribution's name, but built by its users.
_BY_USERS: Final = re.compile(
    r"copr|\bsig\b|special interest|\bcbs\b|obs://|\bhome:|build service|user "
)

# The release's tag of a build that Fedora made for its own distribution, and for Red Hat's.
_FOR_FEDORA: Final = re.compile(r"\.fc[0-9]+(?![a-z0-9])")

_BEFORE_HOST: Final = re.compile(r"^(?:https?://(?:www\.)?|[\w.+-]+@)")

# Marks in an rpm's release, whatever its Vendor says.
_RPM_MARKS: Final = re.compile(
    r"[._](?:(?P<Remi>remi)|(?P<NGINX>ngx)|(?P<ELRepo>elrepo)|(?P<CIQ>ciq(?:lts|fips)?)|(?P<TuxCare>tuxcare)"
    r"|(?P<IUS>ius)|(?P<Percona>percona)|(?P<cPanel>cpanel)|(?P<Atomicorp>art)"
    r"|(?P<CentOS_SIG>el[0-9]+s))(?![a-z])|(?P<PostgreSQL>pgdg)|(?P<NodeSource>nodesource)|^(?P<Zabbix>release[0-9]+\.)",
    re.IGNORECASE,
)
# Marks in a deb's version.
_CODENAMES = (
    "wheezy|jessie|stretch|buster|bullseye|bookworm|trixie|forky|trusty|xenial|bionic|focal|jammy"
    "|noble|oracular|plucky|questing|resolute"
)
_DEB_MARKS: Final = re.compile(
    # Where a mark may begin: cheaper than to try each one.
    r"(?=[-.~+](?:[a-z+]|0~|0[0-9]{5})|~[0-9]{2}\.|[psn][a-z])"
    r"(?:(?P<PostgreSQL>\.pgdg[0-9+.])|(?P<Sury>sury\.org|\+0~20[0-9]{6}\.)|(?P<PPA>[~+.]ppa[0-9.]*|ppa[0-9]+"
    r"|~[0-9]{2}\.[0-9]{2}\.[a-z]{2,}[0-9]+)"
    r"|(?P<NodeSource>nodesource)|(?P<MariaDB>[~+]maria)|(?P<Percona>percona)"
    r"|(?P<Raspberry_Pi>[+~]rp[ti][0-9])|(?P<TuxCare>[.+~]tuxcare)"
    # Of Debian's and Ubuntu's people, outside the archive: their security lists leave it out.
    r"|(?P<Ubuntu_Cloud_Archive>~cloud[0-9])|(?P<Ubuntu_Backports>~bpo[0-9]{2}\.[0-9]{2})"
    r"|(?P<Debian_FastTrack>~fto[0-9])|(?P<Debian_Multimedia>-dmo[0-9])"
    r"|(?P<Ubuntu_mainline_kernels>-0[0-9]{5}(?:rc[0-9]+)?\.20[0-9]{10}$)"
    r"|(?P<Docker>~(?:debian|ubuntu)\.[0-9])|(?P<LLVM>~\+\+[0-9]{8})"
    rf"|(?P<another_vendor>[~.+](?:{_CODENAMES})[0-9]*$))"
)

VENDOR_LIMIT: Final = 256  # characters of a vendor's name that are looked at
# Vendors whose answers are cached. A machine has thousands of packages, of some hundred vendors.
_DISTINCT: Final = 1 << 12
_ADDRESS: Final = re.compile(r"([^<]*)<([^<>@\s]+)@([^<>\s]+)>")
_DEBIAN_DOMAIN: Final = re.compile(r"(?:.*\.)?(?:debian\.(?:org|net)|ubuntu\.com|canonical\.com)")
_DEBIAN_NAME: Final = re.compile(r"\b(?:debian|ubuntu|canonical|kubuntu|xubuntu|lubuntu)\b")
# Hosts of mailing lists and of free software: teams of volunteers, in Debian's archive.
_COMMUNITY: Final = re.compile(
    r"lists\..*|groups\.io|googlegroups\.com|(?:.*\.)?(?:gnu|nongnu|kernel|xiph|freedesktop)\.org"
    r"|.*\.edu|chiark\.greenend\.org\.uk|users\.(?:sourceforge\.net|noreply\.github\.com)"
)
# Providers of personal mail.
_MAIL: Final = re.compile(
    r"(?:gmail|googlemail|outlook|hotmail|live|yahoo|ymail|gmx|web|icloud|me|mail|posteo|proton"
    r"|protonmail|free|riseup|fastmail|zoho|yandex|qq|163|foxmail)\.(?:\w+|co\.\w+)"
)
# Words of a team's or a company's name; no person in Debian's archive has one.
_ORGANISATION: Final = re.compile(
    r"\b(?:teams?|maintain\w*|develop\w*|packag\w*|group|projects?|communit\w+|labs?|incorporated"
    r"|inc|corp(?:oration)?|gmbh|ltd|limited|llc|ag|bv|pty|plc|s\.?a\.?s|software|authors"
    r"|support|foundation|engineering|engineers|systems|technolog\w+|release|builds?|bot|ci"
    r"|services?|solutions|networks?|security|cloud|linux|company|agent|admins?|operations|ops"
    r"|devops|infrastructure|platform|org|consortium|enterprise|server|desktop|cli|sdk)\b"
)
# Addresses that are not a person's.
_ROLE: Final = re.compile(
    r"(?:[\w.-]*[-_.+])?(?:support|info|contact|hello|sales|packages?|packaging|packagers?|pkg"
    r"|devs?|builds?|builders?|releases?|engineering|devops|sre|ops|it|root|no-?reply|repos?|teams?"
    r"|maintainers?|feedback|security|admin|operations|oss|opensource|infra|help|hostmaster|bot"
    r"|postmaster|sysadmin|platform|dev-?team)(?:[-_.+][\w.-]*)?"
)
# Companies whose own packages name a person.
_VENDORS: Final = re.compile(
    r"(?:.*\.)?(?:docker\.(?:com|io)|elastic\.co|nodesource\.com|kohsuke\.org|jenkins\.io"
    r"|hashicorp\.com|grafana\.com|mongodb\.com|percona\.com|nginx\.(?:com|org)|f5\.com"
    r"|influxdata\.com|confluent\.io|datadoghq\.com|gitlab\.com|mysql\.com|oss\.oracle\.com"
    r"|mariadb\.(?:com|org)|microsoft\.com|tailscale\.com|clickhouse\.com|timescale\.com"
    r"|zabbix\.com|proxmox\.com|deb-multimedia\.org|xanmod\.org|liquorix\.net)"
)
# Where the Filesystem Hierarchy Standard keeps what no distribution installs. Debian's policy (9.1)
# and Alpine's abuild forbid packages to put files there. Red Hat, SUSE and Amazon use /opt.
_ADD_ON_PLACES: Final = ("opt/", "usr/local/", "srv/", "home/", "root/")


def supplier(kind: str, vendor: str, version: str, os: OperatingSystem) -> str:
    """The vendor of a package that the machine's distribution does not ship, "" for one it does.

    `kind` is the package's type, `vendor` what its database says of who made it, as Package has
    them. EPEL's packages, and those of another rebuild of Red Hat's distribution, are not another
    vendor's: they have advisories of their own.
    """
    vendor = vendor[:VENDOR_LIMIT]
    if kind == "rpm":
        return _of_rpm(vendor, version, os.id)
    if kind == "deb":
        return _of_deb(vendor, version, os.id)
    if kind == "apk":
        return _apk_supplier(vendor)
    if kind == "alpm" and vendor.strip().lower() == "unknown packager":
        return "an unknown packager"
    return ""


def is_covered(kind: str, vendor: str, version: str, os: OperatingSystem) -> bool:
    """Whether the distribution's advisories cover the files of a package, so that none is read.

    The arguments are those of `supplier`. Nothing is lost where this says no for the distribution's
    own: its advisories are still about it, and the packages in its files are listed as well. So it
    says no in doubt: for a deb of a person outside of Debian's hosts whose version is not a build
    of an upstream release. Of Debian 12's 66,550 packages 112 are such, and most debs made by hand.
    """
    if supplier(kind, vendor, version, os):
        return False
    return not (kind == "deb" and "-" not in version and _is_by_a_person(vendor[:VENDOR_LIMIT]))


def covered_paths(paths: Iterable[str]) -> set[str]:
    """Those of a deb's or an apk's paths (no leading slash) where a distribution installs files."""
    return {path for path in paths if not path.startswith(_ADD_ON_PLACES)}


@lru_cache(maxsize=_DISTINCT)
def builder(vendor: str) -> str:
    """The database's name of the rpm distribution that a Vendor stands for, else "".

    Of Red Hat's family only, whose packages are found on each other's systems: `EPEL` for Fedora's.
    """
    lower = _bare(vendor)
    if _BY_USERS.search(lower):
        return ""
    return next((name for pattern, name in _BUILDERS if pattern.match(lower)), "")


def _bare(vendor: str) -> str:
    """In lower case, a page or an address alone by its host: `https://www.suse.com/`."""
    return _BEFORE_HOST.sub("", vendor.strip().lower())


@lru_cache(maxsize=_DISTINCT)
def _apk_supplier(vendor: str) -> str:
    match = _ADDRESS.fullmatch(vendor.strip())
    return _named(match[1], match[3]) if match and _VENDORS.fullmatch(match[3].lower()) else ""


def _of_rpm(vendor: str, version: str, identity: str) -> str:
    mark = _rpm_mark(version.rpartition("-")[2])
    if mark or (identity not in _OWN and identity not in _ENTERPRISE):
        return mark
    is_for_fedora = ".fc" in version and _FOR_FEDORA.search(version) is not None
    return _rpm_supplier(vendor, identity, is_for_fedora=is_for_fedora)


@lru_cache(maxsize=_DISTINCT)
def _rpm_mark(release: str) -> str:
    mark = _RPM_MARKS.search(release)
    return "" if mark is None else str(mark.lastgroup).replace("_", " ")


@lru_cache(maxsize=_DISTINCT)
def _rpm_supplier(vendor: str, identity: str, *, is_for_fedora: bool) -> str:
    """Return the supplier of an rpm without a mark in its release."""
    lower = _bare(vendor)
    if not lower:
        return ""
    built_by = builder(vendor)
    if built_by == "EPEL" and identity != "fedora" and is_for_fedora:
        return "Fedora"  # EPEL's advisories are not about it
    has_advisories = built_by and (
        identity in _ENTERPRISE or (built_by == "EPEL" and identity == "amzn")
    )
    own = _OWN.get(identity)
    is_own = own is not None and own.match(lower) and not _BY_USERS.search(lower)
    return "" if has_advisories or is_own else _shown(vendor)


def _of_deb(vendor: str, version: str, identity: str) -> str:
    if not vendor:
        return ""
    mark = _DEB_MARKS.search(version)
    return _deb_supplier(vendor, "" if mark is None else str(mark.lastgroup), identity)


@lru_cache(maxsize=_DISTINCT)
def _deb_supplier(vendor: str, mark: str, identity: str) -> str:
    """Return the supplier of a deb; `mark` is the name of the mark in its version, or ""."""
    if not vendor.strip():
        return ""
    match = _ADDRESS.search(vendor)
    if identity not in {"debian", "ubuntu"}:
        return _on_another_system(mark, match)
    if mark:
        name = mark.replace("_", " ")
        return name if name != "another vendor" or match is None else _named(match[1], match[3])
    if _DEBIAN_NAME.search(vendor.lower()):
        return ""
    if match is None:
        # A bare name is what only vendors' tools write, a bare address is a vendor's too.
        return _shown(vendor)
    name, local, domain = match[1].strip(), match[2].lower(), match[3].lower()
    is_own = _DEBIAN_DOMAIN.fullmatch(domain) or (
        not _VENDORS.fullmatch(domain)
        and (_COMMUNITY.fullmatch(domain) or _is_a_person(name, local, domain))
    )
    return "" if is_own else _named(name, domain)


@lru_cache(maxsize=_DISTINCT)
def _is_by_a_person(vendor: str) -> bool:
    """Whether a maintainer is known neither as the distribution's nor as another vendor."""
    match = _ADDRESS.search(vendor)
    if match is None or _DEBIAN_NAME.search(vendor.lower()):
        return False
    domain = match[3].lower()
    return not (_DEBIAN_DOMAIN.fullmatch(domain) or _COMMUNITY.fullmatch(domain))


def _on_another_system(mark: str, match: re.Match[str] | None) -> str:
    """A well-known vendor of a deb on a system whose own maintainers are not listed here."""
    if match is not None and _VENDORS.fullmatch(match[3].lower()):
        return _named(match[1], match[3])
    return "" if mark in {"another_vendor", "Raspberry_Pi"} else mark


def _is_a_person(name: str, local: str, domain: str) -> bool:
    """Whether a maintainer is a person, as that of each twelfth package of Debian is."""
    if _ORGANISATION.search(name.lower()):
        return False
    if _MAIL.fullmatch(domain):
        return True
    if _ROLE.fullmatch(local):
        return False
    words = re.findall(r"[^\W\d_][\w'.-]*", name)
    # A single name is a person's where the address has it too: no `Docker <support@…>`.
    return len(words) > 1 or (bool(words) and words[0].lower().replace(" ", "") in local)


def _named(name: str, domain: str) -> str:
    return _shown(name) or domain


def _shown(vendor: str) -> str:
    """A vendor's name, without its address or page."""
    return re.sub(r"\s*[<(].*", "", vendor.strip(), flags=re.DOTALL).strip(" \"'")[:80] or "another"
