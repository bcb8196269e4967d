"""A small feed of every format, and the same with a fault of each kind."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from tests.fixtures.feed_records import (
    ALAS,
    CSAF,
    EPSS,
    KEV,
    NVD,
    OSV,
    OVAL,
    PACKAGES,
    PHP,
    ROCKY,
    RUBYSEC,
    SECDB,
    TRACKER,
    UBUNTU,
    UPDATEINFO,
    archived,
)

ABSURD = "a" * 5000  # characters: no id, package or CVE is so long


class Feed(NamedTuple):
    """A file's name, its whole contents, the same cut off, and faults: what -> contents."""

    name: str
    whole: bytes
    cut: bytes
    faults: dict[str, bytes]


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def _lines(*values: object) -> bytes:
    return b"\n".join(map(json_bytes, values))


def _yaml_archive(name: str, text: bytes, *faults: tuple[str, bytes]) -> Feed:
    """An archive of one advisory, with a member's end where it is cut off."""
    whole = archived(name, text)
    cut = whole[: whole.index(text) + 512] if name.endswith(".tar") else whole[:-60]
    return Feed(name, whole, cut, {what: archived(name, fault) for what, fault in faults})


def _of_json(name: str, whole: Any, **faults: bytes) -> Feed:
    data = json_bytes(whole)
    twice = data[:-1] + b", " + data[1:]  # every field again
    return Feed(name, data, data[:-9], {"fields twice": twice, "nothing": b"[]", **faults})


def _of_text(name: str, whole: bytes, **changes: tuple[str, str]) -> Feed:
    faults = {}
    for what, (old, new) in changes.items():
        assert old.encode() in whole
        faults[what] = whole.replace(old.encode(), new.encode())
    return Feed(name, whole, whole[: len(whole) * 2 // 3], faults)


def _osv(**change: object) -> dict[str, Any]:
    row = {"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0.0"]}
    return OSV | {"affected": [row | change]}


def _listing(binaries: object) -> dict[str, Any]:
    """A record of Ubuntu's, with the binaries of a source package."""
    package = {"ecosystem": "Ubuntu:22.04:LTS", "name": "openssl"}
    return OSV | {"id": "UBUNTU-CVE-2024-0001"} | {
        "affected": [{"package": package, "versions": ["1"],
                      "ecosystem_specific": {"binaries": binaries}}]}  # fmt: skip


def _alas(version: str, name: str = "x") -> dict[str, Any]:
    package = {"Name": name, "Epoch": "0", "Version": version, "Release": "1.amzn2"}
    return ALAS | {"Pkglist": {"Collection": {"Package": [package]}}}


def _rocky(version: str, name: str = "x") -> dict[str, Any]:
    builds = [f"{name}-0:{version}-1.el9.x86_64.rpm"]
    cves = [{"name": "CVE-2024-0001"}]
    return ROCKY | {"cves": cves, "rpms": {"Rocky Linux 9": {"nvras": builds}}}


def _ubuntu(note: str, name: str = "x") -> dict[str, Any]:
    return UBUNTU | {"packages": {"jammy": {name: {"status": "released", "note": note}}}}


def _tracker(status: str, name: str = "a") -> dict[str, Any]:
    return {name: {"CVE-2024-0001": {"releases": {"bookworm": {"status": status}}}}}


def _secdb(name: str, version: str = "1-r0") -> dict[str, Any]:
    return {"pkg": {"name": name, "secfixes": {version: ["CVE-2024-0001"]}}}


def _nvd(*entries: dict[str, Any]) -> bytes:
    return json_bytes(NVD | {"vulnerabilities": [{"cve": entry} for entry in entries]})


def _updates(data: bytes, release: str) -> dict[str, tuple[str, str]]:
    """What can be wrong with any one update: what -> (its text, another)."""
    update = re.findall(rb"<update .*</update>", data, re.DOTALL)[0].decode()
    again = update.replace('version="1"', 'version="2"')
    return {
        "version_missing": ('version="1"', ""), "release_missing": (f'release="{release}"', ""),
        "type_missing": (' type="security"', ""), "schema": (update, "<erratum/>"),
        "contradiction": (update, update + again),
    }  # fmt: skip


def _ruby(version: str) -> dict[str, Any]:
    return {"gem": "a", "cve": "2024-0001", "title": "t", "patched_versions": [f">= {version}"]}


def _php(version: str) -> dict[str, Any]:
    return {"reference": "composer://a/b", "title": "t", "cve": "CVE-2024-0001",
            "branches": {"1.x": {"versions": [f"<{version}"]}}}  # fmt: skip


def _scored(vector: str, name: str = "CVE-2024-0001") -> dict[str, Any]:
    metric = {"source": "nvd@nist.gov", "cvssData": {"vectorString": vector}}
    return {"id": name, "metrics": {"cvssMetricV31": [metric]}}


_NO_ID = {key: value for key, value in OSV.items() if key != "id"} | {"id": ""}
_UPDATE = re.findall(rb"<update .*</update>", UPDATEINFO, re.DOTALL)[0].decode()
_ELSA = re.findall(rb"<definition .*</definition>", OVAL, re.DOTALL)[0].decode()

_HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
_LOW = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"
_FEDORA = b"""<updates><update from="bodhi" type="security"><id>FEDORA-2024-1</id>
<title>a-1-1.fc43</title><release>Fedora 43</release><references><reference type="bugzilla" id="1"
title="CVE-2024-0001 a"/></references><pkglist><collection short="F43"><name>Fedora 43</name>
<package name="a" version="1" release="1.fc43" epoch="0"/></collection></pkglist></update>
</updates>"""
_ALMA = b"""<updates><update from="packager@almalinux.org" type="security"><id>ALSA-2024:1</id>
<title>Low: a</title><release>0</release><references><reference type="cve" id="CVE-2024-0001"/>
</references><pkglist><collection short="baseos"><name>almalinux-9</name><package name="a"
version="1" release="1.el9" epoch="0"/></collection></pkglist></update></updates>"""
_NOTICE = b"""<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">
<definitions><definition id="oval:com.ubuntu.jammy:def:1"><metadata><title>CVE-2024-0001 on Ubuntu
</title></metadata><criteria><criterion test_ref="t:1" comment="a package in jammy"/></criteria>
</definition></definitions><tests><textfilecontent54_test id="t:1" comment="Does the 'a' package
 exist"><state state_ref="s:1"/></textfilecontent54_test></tests><states><textfilecontent54_state
id="s:1"><subexpression operation="less than">0:1-1</subexpression></textfilecontent54_state>
</states></oval_definitions>"""
_UBUNTU_DEFINITION, _UBUNTU_STATE = (
    re.findall(pattern, _NOTICE, re.DOTALL)[0].decode()
    for pattern in (rb"<definition .*</definition>", rb"<textfilecontent54_state.*54_state>")
)
# As real files have their fields: what names the database is last.
_COMPOSER = b"""title: t
link: https://x
branches:
    1.x: {time: 2024-01-01, versions: ['<1.2']}
    1.1: {time: 2024-01-01, versions: ['<1.1.9']}
reference: composer://a/b
"""

# Microsoft's months, notices and records, and SOFA's releases: each the least that says something.
_CVRF = b"""<cvrfdoc xmlns="http://www.icasi.org/CVRF/schema/cvrf/1.1"><ProductTree>
<FullProductName ProductID="1">Windows Server 2022</FullProductName></ProductTree>
<Vulnerability><Title>t</Title><CVE>CVE-2024-0001</CVE><Remediations>
<Remediation Type="Vendor Fix"><Description>5041160</Description><ProductID>1</ProductID>
<FixedBuild>10.0.20348.2655</FixedBuild></Remediation></Remediations></Vulnerability></cvrfdoc>"""
_VULNERABILITY = re.findall(rb"<Vulnerability>.*</Vulnerability>", _CVRF, re.DOTALL)[0].decode()


def _msrc(build: str, name: str = "CVE-2024-0001") -> dict[str, Any]:
    fixed = {"category": "product_version_range", "name": f"<{build}",
             "product": {"product_id": "1"}}  # fmt: skip
    product = {"category": "product_name", "name": "Windows Server 2022", "branches": [fixed]}
    return CSAF | {
        "document": {"category": "csaf_security_advisory", "publisher": {"name": "Microsoft"},
                     "tracking": {"id": "msrc_CVE-2024-0001"}},
        "product_tree": {"branches": [product]},
        "vulnerabilities": [{"cve": name, "product_status": {"known_affected": ["1"]}}],
    }  # fmt: skip


def _record(build: str, name: str = "CVE-2024-0001") -> dict[str, Any]:
    versions = [{"version": "10.0.0", "lessThan": build, "status": "affected"}]
    cna = {"affected": [{"product": "Windows Server 2022", "versions": versions}]}
    return {"dataType": "CVE_RECORD", "containers": {"cna": cna},
            "cveMetadata": {"cveId": name, "assignerShortName": "microsoft"}}  # fmt: skip


def _sofa(*versions: str, cve: str = "CVE-2024-0001") -> dict[str, Any]:
    releases = [{"ProductVersion": version, "ReleaseDate": f"2024-01-0{day}", "CVEs": {cve: False}}
                for day, version in enumerate(versions, 1)]  # fmt: skip
    return {"XProtectPayloads": {}, "OSVersions": [{"SecurityReleases": releases}]}


def _ends(system: str, day: str) -> dict[str, Any]:
    return {"lastDays": {system: day}, "source": "me"}


FEEDS: dict[str, Feed] = {
    "OSV": _of_json(
        "osv.json", OSV,
        id_missing=json_bytes(_NO_ID),
        package_missing=json_bytes(_osv(package={"ecosystem": "npm"})),
        range_unknown=json_bytes(_osv(ranges=[{"type": "FOO", "events": [{"introduced": "0"}]}])),
        events_missing=json_bytes(_osv(ranges=[{"type": "SEMVER"}])),
        absurd=json_bytes(_osv(package={"ecosystem": "npm", "name": ABSURD})),
    ),
    "OSV of Ubuntu": _of_json(
        "ubuntu-osv.json", _listing([{"binary_name": "libssl3", "binary_version": "1"}]),
        binaries_no_list=json_bytes(_listing("libssl3")),
        binary_no_object=json_bytes(_listing(["libssl3"])),
        name_no_text=json_bytes(_listing([{"binary_name": 3, "binary_version": "1"}])),
        version_no_text=json_bytes(_listing([{"binary_name": "libssl3", "binary_version": 1}])),
        absurd=json_bytes(_listing([{"binary_name": ABSURD, "binary_version": "1"}])),
        unprintable=json_bytes(_listing([{"lib\nssl3": "1"}])),
    ),
    "OSV, lines": Feed(
        "osv.jsonl", _lines(OSV), _lines(OSV, OSV)[:-9],
        {"contradiction": _lines(OSV, OSV | {"summary": "another"}), "nothing": b"",
         "absurd": _lines(OSV | {"id": ABSURD})},
    ),
    "ALAS": _of_json("alas.json", ALAS, absurd=json_bytes(_alas("1", ABSURD)),
                     schema=json_bytes(ALAS | {"Pkglist": [1]})),
    "ALAS, lines": Feed("alas.jsonl", _lines(_alas("1")), _lines(_alas("1"))[:-9],
                        {"contradiction": _lines(_alas("1"), _alas("2"))}),
    "Ubuntu": _of_json("ubuntu.json", UBUNTU, absurd=json_bytes(_ubuntu("1", ABSURD)),
                       schema=json_bytes(UBUNTU | {"packages": [1]})),
    "Ubuntu, lines": Feed("ubuntu.jsonl", _lines(_ubuntu("1")), _lines(_ubuntu("1"))[:-9],
                          {"contradiction": _lines(_ubuntu("1"), _ubuntu("2"))}),
    "Debian tracker": _of_json("tracker.json", TRACKER, absurd=json_bytes(_tracker("open", ABSURD)),
                               status_unknown=json_bytes(_tracker("perhaps")),
                               status_missing=json_bytes(_tracker(""))),
    "secdb": _of_json("secdb.json", SECDB, schema=json_bytes(SECDB | {"packages": [{"name": "a"}]}),
                      absurd=json_bytes(SECDB | {"packages": [
                          _secdb(ABSURD)]}),
                      contradiction=json_bytes(
                          SECDB | {"packages": [_secdb("a"), _secdb("a", "2-r0")]}),
                      **{f"named {name!r}": json_bytes(SECDB | {"packages": [_secdb(name)]})
                         for name in ("", "a b", "a\n", "../a", "a;b", "\ud800")}),
    "secdb, lines": Feed("secdb.jsonl", _lines(SECDB), _lines(SECDB)[:-9], {
        "contradiction": _lines(SECDB, SECDB | {"packages": [_secdb("a", "2-r0")]})}),
    "NVD": _of_json(
        "nvd.json", NVD,
        schema=json_bytes(NVD | {"vulnerabilities": [{"id": "CVE-2024-0001"}]}),
        metrics=_nvd({"id": "CVE-2024-0001", "metrics": [1]}),
        empty=_nvd(), absurd=_nvd(_scored(_HIGH, ABSURD)),
        inner_fields_twice=_nvd(_scored(_HIGH)).replace(b'{"id":', b'{"id": "CVE-1", "id":'),
        contradiction=_nvd(_scored(_HIGH), _scored(_LOW)),
    ),
    "Rocky errata": _of_json("rocky.json", _rocky("1"), absurd=json_bytes(_rocky("1", ABSURD)),
                             schema=json_bytes(_rocky("1") | {"rpms": [1]}),
                             id_missing=json_bytes(_rocky("1") | {"name": ""})),
    "Rocky errata, lines": Feed("rocky.jsonl", _lines(_rocky("1")), _lines(_rocky("1"))[:-9],
                                {"contradiction": _lines(_rocky("1"), _rocky("2"))}),
    "CSAF": _of_json("csaf.json", CSAF, schema=json_bytes(CSAF | {"vulnerabilities": {"a": 1}}),
                     id_missing=json_bytes(CSAF | {"document": {"category": "csaf_vex"}})),
    "Microsoft's CVRF": _of_text(
        "cvrf.xml", _CVRF, id_missing=("<CVE>CVE-2024-0001</CVE>", ""),
        products_missing=("FullProductName", "Other"), absurd=("CVE-2024-0001", f"CVE-{ABSURD}"),
        endless=("<Title>t", "<Title>" + "t" * (5 << 20)),
        contradiction=(_VULNERABILITY,
                       _VULNERABILITY + _VULNERABILITY.replace(".2655", ".2656")),
    ),
    "Microsoft's CSAF": _of_json(
        "msrc.json", _msrc("10.0.20348.2655"),
        absurd=json_bytes(_msrc("10.0.20348.2655", f"CVE-{ABSURD}")),
        schema=json_bytes(_msrc("10.0.20348.2655") | {"product_tree": [1]}),
        id_missing=json_bytes(_msrc("1.0") | {"document": {
            "category": "csaf_security_advisory", "publisher": {"name": "Microsoft"}}})),
    "CVE records": _of_json(
        "record.json", _record("10.0.20348.2655"),
        absurd=json_bytes(_record("10.0.20348.2655", ABSURD)),
        schema=json_bytes(_record("10.0.20348.2655") | {"containers": [1]}),
        id_missing=json_bytes(_record("10.0.20348.2655", ""))),
    "CVE records, lines": Feed(
        "record.jsonl", _lines(_record("10.0.20348.1")), _lines(_record("10.0.20348.1"))[:-9],
        {"contradiction": _lines(_record("10.0.20348.1"), _record("10.0.20348.2"))}),
    "SOFA": _of_json("sofa.json", _sofa("14.1"), empty=json_bytes(_sofa()),
                     schema=json_bytes(_sofa("14.1") | {"OSVersions": {"a": 1}}),
                     version_missing=json_bytes(_sofa("")), absurd=json_bytes(_sofa(ABSURD)),
                     contradiction=json_bytes(_sofa("14.1", "14.1"))),
    "KEV": _of_json(
        "kev.json", KEV,
        schema=json_bytes(KEV | {"vulnerabilities": [{"cve": "CVE-2024-0001"}]}),
        empty=json_bytes(KEV | {"vulnerabilities": []}),
        contradiction=json_bytes(KEV | {"vulnerabilities": [
            {"cveID": "CVE-2024-0001", "dateAdded": day} for day in ("2024-01-01", "2024-02-02")]}),
        absurd=json_bytes(KEV | {"vulnerabilities": [{"cveID": ABSURD}]}),
    ),
    "end of life": _of_json("ends.json", _ends("Debian:12", "2028-06-30"),
                            schema=json_bytes(_ends("Debian:12", "soon")),
                            absurd=json_bytes(_ends(ABSURD, "2028-06-30"))),
    "Debian Packages": _of_text(
        "dists_bookworm_main_binary-amd64_Packages", PACKAGES,
        schema=("Version: 5.2.15-2\n", ""), contradiction=("Version: 5", "Version: 1\nVersion: 5"),
        absurd=("Package: jq", f"Package: {ABSURD}"),
        endless=("Source: openssl", "Source: " + "a" * (2 << 20)),
        other=("Package: ", "Name: "), text=("Version: 4", "Version 4"),
    ),
    "EPSS": _of_text("epss.csv", EPSS, schema=("epss,", "score,"), absurd=("CVE-2024-0001", ABSURD),
                     contradiction=("0.5\n", "0.5\nCVE-2024-0001,0.2,0.5\n"),
                     beyond=("0.1", "1.1"), other=("CVE-2024-0001", "a")),
    "updateinfo": _of_text(
        "updateinfo.xml", UPDATEINFO,
        id_missing=("<id>ALAS2-2024-1</id>", ""), version_missing=(' version="1"', ""),
        schema=(_UPDATE, "<advisory/>"), absurd=("ALAS2-2024-1", f"ALAS2-{ABSURD}"),
        endless=("<title>t", "<title>" + "t" * (5 << 20)),
        contradiction=(_UPDATE, _UPDATE + _UPDATE.replace('version="1"', 'version="2"')),
    ),
    "Fedora's updateinfo": _of_text(
        "fedora.xml", _FEDORA, id_missing=("<id>FEDORA-2024-1</id>", ""),
        system_missing=("Fedora 43", ""), absurd=("FEDORA-2024-1", f"FEDORA-{ABSURD}"),
        endless=("<title>a", "<title>" + "t" * (5 << 20)), **_updates(_FEDORA, "1.fc43"),
    ),
    "AlmaLinux's updateinfo": _of_text(
        "alma.xml", _ALMA, id_missing=("<id>ALSA-2024:1</id>", ""),
        absurd=('name="a"', f'name="{ABSURD}"'),
        endless=('name="a"', 'name="' + "a" * (5 << 20) + '"'), **_updates(_ALMA, "1.el9"),
    ),
    "Ubuntu's OVAL": _of_text(
        "ubuntu.xml", _NOTICE, title_missing=("CVE-2024-0001 on", ""),
        criteria_missing=("criteria>", "other>"), test_missing=('id="t:1"', 'id="t:2"'),
        state_missing=('id="s:1"', 'id="s:2"'), absurd=("'a' package", f"'{ABSURD}' package"),
        endless=("CVE-2024-0001 on", "CVE-" + "1" * (5 << 20)),
        state_twice=(_UBUNTU_STATE, _UBUNTU_STATE + _UBUNTU_STATE.replace("0:1-1", "0:2-1")),
        contradiction=(_UBUNTU_DEFINITION, _UBUNTU_DEFINITION
                       + _UBUNTU_DEFINITION.replace("on Ubuntu", "on Ubuntu Pro FIPS")),
    ),
    "Oracle's OVAL": _of_text(
        "oracle.xml", OVAL, title_missing=("ELSA-2024-1: a", ""),
        absurd=("a is e", f"{ABSURD} is e"),
        criteria_missing=("criteria>", "other>"),
        contradiction=(_ELSA, _ELSA + _ELSA.replace("0:1-1", "0:2-1")),
    ),
    "RubySec": _of_text("rubysec.yml", RUBYSEC, schema=("  - '>= 1.2'", "  a: 1"),
                        absurd=("gem: a", f"gem: {ABSURD}"), half=("'>= 1.2'", "'>= 1.2"),
                        twice=("title: t", "title: t\ntitle: u"), id_missing=("cve: 2024-0001", ""),
                        id_wrong=("2024-0001", "0001"), named=("gem: a", "gem: a b"),
                        nameless=("gem: a", "gem: ''"), last_line=("1.2'\n", "1.2'")),
    "RubySec, archive": _yaml_archive(
        "rubysec.tar", RUBYSEC, ("cut within", RUBYSEC[:-4]), ("cut at a title", RUBYSEC[:-45]),
        ("fields twice", RUBYSEC + b"gem: b\n"), ("schema", b"- gem\n"),
        ("contradiction", RUBYSEC + b"---\n" + RUBYSEC),
    ),
    "RubySec, lines": Feed("rubysec.jsonl", _lines(_ruby("1")), _lines(_ruby("1"))[:-9],
                           {"contradiction": _lines(_ruby("1"), _ruby("2"))}),
    "FriendsOfPHP, archive": _yaml_archive(
        "php.zip", _COMPOSER, ("cut within", _COMPOSER[:100]), ("cut at a line", _COMPOSER[:-27]),
        ("branch twice", _COMPOSER.replace(b"1.1:", b"1.x:")), ("schema", b"- 1\n"),
        ("version no text", _COMPOSER.replace(b"'<1.2'", b"1.10")),
    ),
    "FriendsOfPHP, lines": Feed("php.jsonl", _lines(_php("1")), _lines(_php("1"))[:-9],
                                {"contradiction": _lines(_php("1"), _php("2"))}),
    "FriendsOfPHP": _of_text("php.yaml", PHP, schema=("['<1.2']", "7"),
                             absurd=("//a/b", f"//a/{ABSURD}"), half=("['<1.2']", "['<1.2'"),
                             twice=("1.x:", "1.x: {versions: ['<1']}\n    1.x:"),
                             named=("a/b", "b"), title_missing=("title: t", "title: ''"),
                             id_wrong=("title: t", "title: t\ncve: '2024-1'"),
                             anchor=("title: t", "title: &t t\ncve: *t")),
}  # fmt: skip
