"""The known sources: a written tuple, each with the facts that its reader needs.

`kind` is the way from `base` to its files: see resolvers.py. `checksum` is the publisher's means to
check a download: `repomd` (digests in the repository's index), `x-goog-hash` (a header with an
MD5), `.sha256` (a file next to it); empty for TLS alone. Licences are the data's own; "unstated" if
the publisher does not state one.
"""

from __future__ import annotations

from typing import NamedTuple

_OSV = "https://osv-vulnerabilities.storage.googleapis.com"
_AMAZON = "https://cdn.amazonlinux.com"
_RED_HAT = "https://security.access.redhat.com/data/csaf/v2"
_FEDORA = "https://dl.fedoraproject.org/pub"
_CANONICAL = "https://security-metadata.canonical.com/oval"
_GITHUB = "https://github.com"


class Source(NamedTuple):
    """One source. `file` is its path below `base`, or another value that its kind needs.

    `usual` sources are fetched if none is named: together they cover every system and language that
    an inventory knows, and none of them repeats another's records. Not among them are Windows,
    whose feed has a file a month, and systems that are made for containers. Photon OS has no feed
    that is read.
    """

    name: str
    kind: str
    base: str
    file: str
    format: str
    licence: str
    checksum: str = ""
    usual: bool = True


def _osv(name: str, ecosystem: str, licence: str, *, usual: bool = True) -> Source:
    file = f"{ecosystem}/all.zip"
    return Source(f"osv-{name}", "file", _OSV, file, "OSV", licence, "x-goog-hash", usual)


def _repository(
    name: str, base: str, path: str, licence: str = "unstated", *, usual: bool = True
) -> Source:
    return Source(name, "repomd", base, path, "updateinfo", licence, "repomd", usual)


def _amazon(name: str, path: str, kind: str = "mirrors") -> Source:
    return Source(name, kind, _AMAZON, path, "updateinfo", "unstated", "repomd")


SOURCES: tuple[Source, ...] = (
    _osv("debian", "Debian", "MIT"),
    _osv("ubuntu", "Ubuntu", "CC-BY-SA-4.0"),
    _osv("alpine", "Alpine", "MIT"),
    _osv("almalinux", "AlmaLinux", "MIT"),
    _osv("rocky", "Rocky Linux", "BSD-3-Clause"),
    _osv("redhat", "Red Hat", "CC-BY-4.0"),
    _osv("suse", "SUSE", "CC-BY-4.0"),
    _osv("opensuse", "openSUSE", "CC-BY-4.0"),
    _osv("pypi", "PyPI", "CC-BY-4.0"),
    _osv("npm", "npm", "CC-BY-4.0"),
    _osv("go", "Go", "CC-BY-4.0"),
    _osv("crates", "crates.io", "CC0-1.0, CC-BY-4.0"),
    _osv("rubygems", "RubyGems", "CC-BY-4.0"),
    _osv("maven", "Maven", "CC-BY-4.0"),
    _osv("nuget", "NuGet", "CC-BY-4.0"),
    _osv("packagist", "Packagist", "CC-BY-4.0"),
    _osv("hex", "Hex", "CC-BY-4.0"),
    _osv("pub", "Pub", "CC-BY-4.0"),
    _osv("swift", "SwiftURL", "CC-BY-4.0"),
    _osv("cran", "CRAN", "Apache-2.0"),
    _osv("hackage", "Hackage", "CC0-1.0"),
    _osv("julia", "Julia", "unstated"),
    _osv("opam", "opam", "CC0-1.0"),
    _osv("azure-linux", "Azure Linux", "unstated"),
    _osv("openeuler", "openEuler", "unstated"),
    _osv("mageia", "Mageia", "unstated"),
    *(
        _osv(name.lower().replace(" ", "-"), name, "unstated", usual=False)
        for name in ("Alpaquita", "BellSoft Hardened Containers", "Chainguard", "CleanStart",
                     "Echo", "MinimOS", "Wolfi")
    ),
    Source("debian-tracker", "file", "https://security-tracker.debian.org", "tracker/data/json",
           "Debian tracker", "MIT"),
    *(
        Source(f"debian-packages-{suite}-{machine}", "file", "https://deb.debian.org",
               f"{archive}/dists/{suite}/main/binary-{machine}/Packages.xz",
               "Debian Packages", "unstated", usual=False)
        for release in ("bullseye", "bookworm", "trixie")
        for archive, suite in (("debian", release), ("debian-security", f"{release}-security"))
        for machine in ("amd64", "arm64")
    ),
    _amazon("amazon-1", "2018.03/updates/x86_64/mirror.list")._replace(
        base="https://packages.us-west-2.amazonaws.com", usual=False),
    _amazon("amazon-2", "2/core/latest/x86_64/mirror.list"),
    _amazon("amazon-2-extras", "2/extras-catalog.json", "amazon-extras"),
    _amazon("amazon-2023", "al2023/core/mirrors/latest/x86_64/mirror.list"),
    _amazon("amazon-2023-livepatch", "al2023/kernel-livepatch/mirrors/latest/x86_64/mirror.list"),
    Source("oracle", "file", "https://linux.oracle.com",
           "security/oval/com.oracle.elsa-all.xml.bz2", "Oracle OVAL", "unstated"),
    Source("bottlerocket", "file", "https://advisories.bottlerocket.aws", "updateinfo.xml.gz",
           "updateinfo", "unstated"),
    *(
        _repository(f"fedora-{release}", _FEDORA,
                    f"fedora/linux/updates/{release}/Everything/x86_64")
        for release in (42, 43, 44)
    ),
    *(
        _repository(f"epel-{release}", _FEDORA, f"epel/{release}/Everything/x86_64")
        for release in (8, 9, 10)
    ),
    *(
        _repository(f"almalinux-{release}-{name.lower()}", "https://repo.almalinux.org",
                    f"almalinux/{release}/{name}/x86_64/os", "MIT", usual=False)
        for release in (8, 9, 10) for name in ("BaseOS", "AppStream")
    ),
    *(
        _repository(f"rocky-{release}-{name.lower()}", "https://dl.rockylinux.org",
                    f"pub/rocky/{release}/{name}/x86_64/os", "BSD-3-Clause", usual=False)
        for release in (8, 9, 10) for name in ("BaseOS", "AppStream")
    ),
    *(
        Source(f"alpine-{release}-{name}", "file", "https://secdb.alpinelinux.org",
               f"{release}/{name}.json", "Alpine secdb", "unstated", usual=False)
        for release in ("v3.20", "v3.21", "v3.22", "v3.23", "v3.24", "edge")
        for name in ("main", "community")
    ),
    *(
        Source(f"ubuntu-oval-{name}", "file", _CANONICAL, f"com.ubuntu.{name}.cve.oval.xml.bz2",
               "Ubuntu OVAL", "CC-BY-SA-4.0", usual=False)
        for name in ("bionic", "focal", "jammy", "noble", "resolute")
    ),
    Source("redhat-csaf", "csaf-archive", f"{_RED_HAT}/advisories", "archive_latest.txt",
           "CSAF", "CC-BY-4.0", ".sha256", usual=False),
    Source("redhat-vex", "csaf-archive", f"{_RED_HAT}/vex", "archive_latest.txt",
           "CSAF", "CC-BY-4.0", ".sha256", usual=False),
    Source("suse-csaf", "file", "https://ftp.suse.com/pub/projects/security", "csaf.tar.bz2",
           "CSAF", "CC-BY-4.0", usual=False),
    Source("rubysec", "file", _GITHUB, "rubysec/ruby-advisory-db/archive/refs/heads/master.tar.gz",
           "RubySec", "public domain", usual=False),
    Source("friendsofphp", "file", _GITHUB,
           "FriendsOfPHP/security-advisories/archive/refs/heads/master.tar.gz",
           "FriendsOfPHP", "Unlicense", usual=False),
    Source("kev", "file", "https://www.cisa.gov",
           "sites/default/files/feeds/known_exploited_vulnerabilities.json", "KEV", "CC0-1.0"),
    Source("epss", "file", "https://epss.empiricalsecurity.com", "epss_scores-current.csv.gz",
           "EPSS", "free with attribution"),
    *(
        Source(f"nvd-{year}", "file", "https://nvd.nist.gov",
               f"feeds/json/cve/2.0/nvdcve-2.0-{year}.json.gz", "NVD", "public domain", usual=False)
        for year in range(2002, 2027)
    ),
    Source("macos", "file", "https://sofafeed.macadmins.io", "v2/macos_data_feed.json", "SOFA",
           "Apache-2.0"),
    Source("windows", "msrc-months", "https://api.msrc.microsoft.com", "cvrf/v3.0/updates",
           "Microsoft's CVRF", "free, no terms of redistribution", usual=False),
    Source("end-of-life", "file", "https://endoflife.date", "api/v1/products/full",
           "endoflife.date", "MIT"),
)  # fmt: skip
