"""Cut the demo's advisories out of complete feeds.

    python demo/advisories/cut.py FEEDS [OUT]

FEEDS is a directory of OSV records, one a line, `<name>osv.jsonl.xz`, as SOURCES names them. Kept
are the rows of the packages below; of each record what the demo shows of it. README.md beside this
file says where the feeds are from and under which licences.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

DEBIAN = """
acl adduser apache2 apt attr base-files bash bind9 bzip2 ca-certificates coreutils cron cups curl
cyrus-sasl2 dash db5.3 dbus debianutils diffutils dpkg e2fsprogs expat file findutils fontconfig
freetype gcc-12 git glib2.0 glibc gmp gnupg2 gnutls28 grep gzip icu iproute2 iptables jq keyutils
krb5 less libarchive libcap2 libffi libgcrypt20 libgd2 libgpg-error libidn2 libjpeg-turbo libpng1.6
libpsl libseccomp libselinux libsepol libssh2 libtasn1-6 libtiff libunistring libwebp libx11
libxcrypt libxml2 libxslt libyaml libzstd logrotate lz4 mariadb mawk nano ncurses netbase nettle
nghttp2 nginx node-lodash nodejs openldap openssh openssl p11-kit pam pcre2 perl php8.2 pip
postgresql-15 procps python-cryptography python-urllib3 python3.11 readline redis requests rsync
rsyslog rtmpdump screen sed shadow sqlite3 sudo sysstat systemd sysvinit tar tcpdump tzdata
ucf unzip util-linux vim wget xz-utils zlib
""".split()  # noqa: SIM905  # words, as a reader of lists wants them

RPM = """
acl audit bash bind-libs bind-utils binutils bzip2 bzip2-libs ca-certificates coreutils cpio cronie
cups-libs curl curl-minimal cyrus-sasl-lib dbus dbus-libs dnf expat file file-libs findutils
freetype gawk git git-core glib2 glibc glibc-common glibc-minimal-langpack gmp gnupg2 gnutls grep
gzip httpd httpd-core httpd-tools iproute iptables-libs jq krb5-libs less libarchive libblkid
libcap libcom_err libcurl libcurl-minimal libdnf libgcc libgcrypt libicu libmount libnghttp2
libpng libpsl librepo libselinux libsolv libssh libssh-config libstdc++ libtasn1 libtiff libuuid
libwebp libxcrypt libxml2 libxslt libyaml libzstd lz4-libs mod_ssl ncurses-base ncurses-libs nettle
nginx nginx-core openldap openssh openssh-clients openssh-server openssl openssl-libs p11-kit pam
pcre pcre2 perl-libs procps-ng python3 python3-libs python3-pip-wheel python3-requests
python3-setuptools-wheel python3-urllib3 readline rpm rpm-libs rsync rsyslog sed shadow-utils
sqlite-libs sudo systemd systemd-libs systemd-pam tar tcpdump tzdata unbound-libs util-linux
vim-common vim-enhanced vim-minimal wget xz xz-libs zlib
libopenssl1_1 libopenssl3 libcurl4 libglib-2_0-0 libexpat1 libgnutls30 libxml2-2 libz1 liblzma5
libzstd1 libsqlite3-0 libsystemd0 libudev1 libpython3_6m1_0 python3-base perl perl-base libssh4
libnghttp2-14 libtasn1-6 libgcrypt20 libpcre1 libpcre2-8-0 libpng16-16 libtiff5 libwebp7 libksba8
libsolv-tools libzypp zypper krb5 openssh-common openssl-1_1 openssl-3 vim vim-data-common
libblkid1 libmount1 libuuid1 libncurses6 ncurses-utils terminfo-base libudev1 cups-config
libacl1 libattr1 libbz2-1 libcap2 libcrypt1 libdw1 libebl-plugins libelf1 libgcc_s1 libgmp10
libgpg-error0 liblua5_3-5 libmagic1 libpopt0 libreadline7 libselinux1 libstdc++6 rpm-ndb file-magic
""".split()  # noqa: SIM905  # words, as a reader of lists wants them

LANGUAGES = """
express lodash minimist axios debug ms qs send serve-static path-to-regexp cookie body-parser
follow-redirects semver json5 tough-cookie word-wrap braces micromatch ws node-fetch moment async
ansi-regex glob-parent nth-check postcss tar ip cross-spawn underscore handlebars ejs marked
yargs-parser jsonwebtoken request
mkdirp js-yaml ini y18n http-cache-semantics undici
django requests urllib3 jinja2 flask werkzeug certifi idna pillow pyyaml cryptography setuptools pip
wheel sqlalchemy aiohttp tornado lxml numpy markdown gunicorn starlette fastapi paramiko pygments
markupsafe click
""".split()  # noqa: SIM905  # words, as a reader of lists wants them

# Feed -> (which of its ecosystems, which packages, the file that comes out).
SOURCES: dict[str, tuple[tuple[str, ...], list[str], str]] = {
    "debian-11-12-13.": (("Debian:12",), DEBIAN, "debian-12"),
    "almalinux-8-9-10.": (("AlmaLinux:9",), RPM, "almalinux-9"),
    "suse-sles15-leap15.": (
        tuple(
            f"SUSE:Linux Enterprise {product} 15 {pack}"
            for product in ("Module for Basesystem", "Module for Server Applications")
            for pack in ("SP3",)
        ),
        RPM,
        "suse-15",
    ),
    "npm.ghsa-": (("npm",), LANGUAGES, "npm.ghsa"),
    "pypi.ghsa-": (("PyPI",), LANGUAGES, "pypi.ghsa"),
    "pypi.pysec-": (("PyPI",), LANGUAGES, "pypi.pysec"),
}
TITLE = 160  # characters
REFERENCES = 2


def rows(record: dict[str, Any], ecosystems: tuple[str, ...], names: set[str]) -> list[Any]:
    """The record's rows that are kept; SUSE's with the kept binaries only."""
    kept = []
    for row in record["affected"]:
        package = row.get("package") or {}
        if package.get("ecosystem") not in ecosystems:
            continue
        specific = row.get("ecosystem_specific") or {}
        found: dict[str, Any] = {
            "package": {"ecosystem": package["ecosystem"], "name": package["name"]}
        }
        binaries = {
            name: version
            for item in specific.get("binaries", ())
            for name, version in item.items()
            if name in names
        }
        if binaries:
            found["ecosystem_specific"] = {"binaries": [binaries]}
        elif package["name"].lower() not in names or "binaries" in specific:
            continue
        elif "urgency" in specific:
            found["ecosystem_specific"] = {"urgency": specific["urgency"]}
        found["ranges"] = [span for span in row.get("ranges", ()) if span["type"] != "GIT"]
        if not found["ranges"]:
            found["versions"] = row.get("versions", [])
        kept.append(found)
    return kept


def cut(record: dict[str, Any], ecosystems: tuple[str, ...], names: set[str]) -> dict[str, Any]:
    """What the demo keeps of a record, {} where no row is kept."""
    kept = rows(record, ecosystems, names)
    if not kept:
        return {}
    out: dict[str, Any] = {
        name: record[name] for name in ("id", "modified", "published") if name in record
    }
    title = record.get("summary") or " ".join(record.get("details", "").split())
    out["summary"] = title if len(title) <= TITLE else title[: TITLE - 1] + "…"
    for name in ("aliases", "severity", "withdrawn"):
        if record.get(name):
            out[name] = record[name]
    related = [item for item in record.get("related", ()) if item.startswith("CVE-")]
    if related and not record["id"].startswith("CVE-"):
        out["related"] = related
    if "severity" in record.get("database_specific", {}):
        out["database_specific"] = {"severity": record["database_specific"]["severity"]}
    if record["id"].startswith(("GHSA-", "PYSEC-")) and record.get("references"):
        out["references"] = record["references"][:REFERENCES]
    out["affected"] = kept
    return out


def main() -> None:
    """Write one `.osv.jsonl.xz` a feed into the output directory."""
    feeds = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent
    for feed, (ecosystems, packages, name) in SOURCES.items():
        names = set(packages)
        kept = []
        with lzma.open(feeds / f"{feed}osv.jsonl.xz", "rt", encoding="utf-8") as stream:
            for line in stream:
                record = cut(json.loads(line), ecosystems, names)
                if record:
                    kept.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        out = target / f"{name}.osv.jsonl.xz"
        out.write_bytes(
            lzma.compress(("\n".join(kept) + "\n").encode(), preset=9 | lzma.PRESET_EXTREME)
        )
        print(f"{out.name}: {len(kept)} records, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
