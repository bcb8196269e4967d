"""Feeds that are cut off, of another form, contradictory or absurdly large: each format of them.

The build names the file, and the record where there are several; what was built before stays.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from dispatcher.cli.root import main
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.feeds import archives as packed
from sidelight.advisories.feeds import decoding, read
from sidelight.errors import DamagedError, FormatError, LimitError
from tests.advisories.feeds.measured_feeds import TRACKED, json_bytes, peak_of
from tests.advisories.windows_documents import Fix, cve_record, cvrf
from tests.advisories.windows_documents import csaf as microsoft_csaf
from tests.fixtures.feed_records import (
    ALAS,
    CSAF,
    ENDS,
    EPSS,
    KEV,
    NVD,
    OSV,
    OVAL,
    PHP,
    ROCKY,
    RUBYSEC,
    SECDB,
    TRACKER,
    UBUNTU,
    UBUNTU_OVAL,
    UPDATEINFO,
    _tar,
    _zip,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SOFA = {
    "OSVersions": [
        {"SecurityReleases": [{"ProductVersion": "14.6", "CVEs": {"CVE-2024-0001": False}}]}
    ],
    "XProtectPayloads": {},
}
CVE_RECORD = cve_record("CVE-2024-0001", [("Windows Server 2022", "10.0.1.0", "10.0.20348.2")])
MICROSOFT = Fix("CVE-2024-0001", "5041160", "Windows Server 2022", "10.0.20348.2655")

WHOLE: dict[str, bytes] = {
    "osv.json": json_bytes(OSV),
    "osv.jsonl": json_bytes(OSV),
    "osv.json.gz": gzip.compress(json_bytes(OSV)),
    "osv.json.bz2": bz2.compress(json_bytes(OSV)),
    "osv.json.xz": lzma.compress(json_bytes(OSV)),
    "osv.json.zst": zstandard.compress(json_bytes(OSV)),
    "osv.zip": _zip(json_bytes(OSV)),
    "osv.tar": _tar(json_bytes(OSV)),
    "osv.tar.gz": gzip.compress(_tar(json_bytes(OSV))),
    "osv.tar.zst": zstandard.compress(_tar(json_bytes(OSV))),
    "csaf.json": json_bytes(CSAF),
    "tracker.json": json_bytes(TRACKER),
    "kev.json": json_bytes(KEV),
    "nvd.json": json_bytes(NVD),
    "nvd.json.gz": gzip.compress(json_bytes(NVD)),
    "secdb.json": json_bytes(SECDB),
    "alas.json": json_bytes(ALAS),
    "ubuntu.json": json_bytes(UBUNTU),
    "rocky.json": json_bytes(ROCKY),
    "ends.json": json_bytes(ENDS),
    "sofa.json": json_bytes(SOFA),
    "cve.json": json_bytes(CVE_RECORD),
    "microsoft.json": json_bytes(microsoft_csaf(MICROSOFT)),
    "microsoft.xml": cvrf([MICROSOFT]),
    "updateinfo.xml": UPDATEINFO,
    "updateinfo.xml.gz": gzip.compress(UPDATEINFO),
    "oracle.xml": OVAL,
    "ubuntu.xml.bz2": bz2.compress(UBUNTU_OVAL),
    "rubysec.yml": RUBYSEC,
    "friendsofphp.yaml": PHP,
    "epss.csv": EPSS,
    "epss.csv.gz": gzip.compress(EPSS),
}
# Some of its real files end within a line: cut there, one is a shorter text.
CUT_WITHIN_IS_WHOLE = {"friendsofphp.yaml"}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A database that was built before."""
    feed = tmp_path / "before.json"
    feed.write_bytes(json_bytes(OSV))
    build([feed], tmp_path / "db")
    return tmp_path / "db"


def _refused(feed: Path, kept: Path, kind: type[FormatError] = FormatError) -> str:
    """Where the build says the fault is; the database of before must still be there."""
    before = kept.read_bytes()
    with pytest.raises(kind) as caught:
        build([feed], kept)
    assert caught.value.where.startswith(str(feed))
    assert kept.read_bytes() == before
    assert not [path for path in kept.parent.iterdir() if path.name.endswith(".part")]
    return caught.value.where


@pytest.mark.parametrize("name", WHOLE)
def test_each_whole_file_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(WHOLE[name])
    list(read.read(tmp_path / name))


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - CUT_WITHIN_IS_WHOLE))
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_reported(
    tmp_path: Path, kept: Path, name: str, part: float
) -> None:
    data = WHOLE[name]
    # A tar's end is padding, and a CSV is whole at a line's end.
    size = 600 if name == "osv.tar" else int(len(data) * part)
    size = size - 5 if name == "epss.csv" and data[:size].endswith(b"\n") else size
    feed = tmp_path / name
    feed.write_bytes(data[:size])
    _refused(feed, kept)


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.endswith((".json", "jsonl"))])
def test_other_bytes_under_a_feeds_name_are_reported(tmp_path: Path, kept: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html><title>Service unavailable</title></html>")
    _refused(tmp_path / name, kept)


WRONG: dict[str, Any] = {
    "osv": OSV | {"affected": {"a": 1}},
    "osv severity": OSV | {"severity": "HIGH"},
    "tracker": {"a": {"CVE-2024-0001": {"releases": {"bookworm": {"status": 1}}}}},
    "kev": KEV | {"vulnerabilities": "none"},
    "nvd": NVD | {"vulnerabilities": [1]},
    "nvd without a list": NVD | {"vulnerabilities": {}},
    "secdb": SECDB | {"packages": [1]},
    "alas": ALAS | {"Pkglist": {"Collection": {"Package": "a"}}},
    "ubuntu": UBUNTU | {"packages": {"jammy": 1}},
    "rocky": ROCKY | {"cves": 1},
    "csaf": CSAF | {"product_tree": []},
    "ends": {"lastDays": {"Debian:12": "soon"}},
    "nothing known": {"hello": "world"},
    "no object": 7,
    "a list of no objects": [1],
}


@pytest.mark.parametrize("name", WRONG)
def test_another_schema_is_reported(tmp_path: Path, kept: Path, name: str) -> None:
    feed = tmp_path / "wrong.json"
    feed.write_bytes(json_bytes(WRONG[name]))
    _refused(feed, kept)


def test_the_record_is_named_in_every_kind_of_file(tmp_path: Path, kept: Path) -> None:
    wrong = json_bytes(OSV | {"id": "GHSA-2", "affected": 1})
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(json_bytes(OSV) + b"\n" + wrong)
    assert _refused(lines, kept) == f"{lines}: record 2 (GHSA-2)"
    listed = tmp_path / "list.json"
    listed.write_bytes(b"[" + json_bytes(OSV) + b"," + wrong + b"]")
    assert _refused(listed, kept) == f"{listed}[1] (GHSA-2)"
    packed = tmp_path / "all.zip"
    packed.write_bytes(_zip(wrong))
    assert _refused(packed, kept) == f"{packed}: 1.json (GHSA-2)"


def test_an_id_twice_with_other_contents_is_reported_with_both_files(
    tmp_path: Path, kept: Path
) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(json_bytes(OSV) + b"\n" + json_bytes(OSV | {"summary": "another"}))
    with pytest.raises(FormatError, match="GHSA-1 is already at record 1"):
        build([lines], kept)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> int:
    """Limits that a test can go beyond at little cost; by nature they are the same ones."""
    limit = 1 << 20
    for module, name in (
        (packed, "MAX_RECORD"),
        (read, "MAX_DOCUMENT"),
        (packed, "MAX_STREAM"),
    ):
        monkeypatch.setattr(module, name, limit)
    return limit


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "bomb.json": bytes,
    "bomb.jsonl": bytes,
    "bomb.json.gz": gzip.compress,
    "bomb.json.bz2": bz2.compress,
    "bomb.jsonl.xz": lzma.compress,
    "bomb.json.zst": zstandard.compress,
    "bomb.zip": _zip,
    "bomb.tar.gz": lambda data: gzip.compress(_tar(data)),
    "bomb.xml.gz": lambda data: gzip.compress(b"<updates>" + data),
    "bomb.csv.xz": lambda data: lzma.compress(b"cve,epss\n#" + data),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_unpacks_to_too_much_is_stopped_there(
    tmp_path: Path, kept: Path, name: str, small_limits: int
) -> None:
    feed = tmp_path / name
    feed.write_bytes(BOMBS[name](b" " * (8 * small_limits)))
    _refused(feed, kept, LimitError if name != "bomb.csv.xz" else FormatError)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("deep.json", b"[" * 100_000),
        ("digits.json", b'{"a": ' + b"9" * 100_000 + b"}"),
        (
            "laughs.xml",
            b"<!DOCTYPE a [<!ENTITY b 'cc'><!ENTITY d '&b;&b;'>]><updates>&d;</updates>",
        ),
        ("outside.xml", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><updates/>"),
        ("laughs.yml", b"a: &a [x,x]\nb: &b [*a,*a]\ngem: [*b,*b]\npatched_versions: [*b]\n"),
        ("object.yml", b"gem: !!python/object/apply:os.system ['true']\n"),
        ("sexagesimal.yml", b"gem: a\ntitle: b\nosvdb: 1" + b":1" * 200_000 + b"\n"),
        ("sexagesimals.yml", b"gem: a\ntitle: b\ncvss_v3: 1" + b":1" * 2_000 + b".5\n"),
        ("digits.yml", b"gem: a\ntitle: b\nosvdb: " + b"9" * 100_000 + b"\n"),
    ],
)
def test_documents_made_to_hurt_their_reader_are_reported(
    tmp_path: Path, kept: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    _refused(tmp_path / name, kept)


def _decoded_nothing(*_arguments: object, **_options: object) -> None:
    pytest.fail("the library was given what is past a bound")


_LISTS = b'{"a":[' + b"[]," * (decoding.MAX_NODES // 2) + b"[]]}"
_OBJECTS = b'{"a":[' + b'{"":0},' * (decoding.MAX_NODES // 2) + b"{}]}"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("small.json", _LISTS),
        ("small.jsonl", _OBJECTS + b"\n"),
        ("small.json.gz", gzip.compress(_LISTS, 1)),
        ("small.yml", b"- a\n" * (decoding.MAX_YAML // 4) + b"- a\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_very_many_small_values_do_not_reach_the_library(
    tmp_path: Path, kept: Path, name: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(data)
    monkeypatch.setattr("json.loads", _decoded_nothing)
    monkeypatch.setattr("yaml.load", _decoded_nothing)
    _refused(tmp_path / name, kept, LimitError)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "G" * 2000},
        {"aliases": ["CVE-2024-0001\0"]},
        {"affected": [{"package": {"ecosystem": "npm", "name": "a" * 70_000}, "versions": ["1"]}]},
    ],
)
def test_names_of_absurd_size_are_reported(
    tmp_path: Path, kept: Path, change: dict[str, object]
) -> None:
    (tmp_path / "absurd.json").write_bytes(json_bytes(OSV | change))
    _refused(tmp_path / "absurd.json", kept)


def test_a_version_of_absurd_size_loses_its_row_and_is_reported(tmp_path: Path, kept: Path) -> None:
    span = {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1" * 100_000}]}
    row = {"package": {"ecosystem": "npm", "name": "b"}, "ranges": [span]}
    (tmp_path / "absurd.json").write_bytes(json_bytes(OSV | {"affected": [*OSV["affected"], row]}))
    summary = build([tmp_path / "absurd.json"], kept)
    assert (summary.rows, summary.problem_count) == (1, 1)
    with AdvisoryDatabase.open(kept) as database:
        assert database.info().problems == 1


def test_the_command_ends_with_4_and_names_the_place(
    tmp_path: Path,
    kept: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_bytes(json_bytes(OSV) + b"\n{")
    before = kept.read_bytes()
    monkeypatch.setattr("sys.argv", ["x", "advisories", "build", "--out", str(kept), str(feed)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 4
    assert f"{feed}: record 2" in capsys.readouterr().err.replace("\n", "")
    assert kept.read_bytes() == before


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_a_document_of_records_that_is_cut_off_is_reported(tmp_path: Path, at: int) -> None:
    for name, data in (
        ("list.json", b"[%s,%s]" % (json_bytes(OSV), json_bytes(OSV | {"id": "GHSA-2"}))),
        ("tracker.json", b"{%s,%s}" % (TRACKED % (1, 1), TRACKED % (2, 2))),
    ):
        whole, cut = tmp_path / name, tmp_path / f"cut-{name}"
        whole.write_bytes(data)
        assert peak_of(whole)[0] == 2
        for wrong in (data[: min(at, len(data) - 1)], data + b",", data + data, data[:-1] + b",]"):
            cut.write_bytes(wrong)
            assert peak_of(cut)[0] == -1


def test_a_package_that_the_tracker_lists_twice_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "tracker.json"
    path.write_bytes(b"{%s,%s}" % (TRACKED % (1, 1), TRACKED % (1, 2)))
    with pytest.raises(DamagedError, match="'p1' occurs twice"):
        list(read.read(path))
