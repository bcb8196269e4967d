"""Hostile and damaged feeds: whatever bytes they are, only errors of this project come out."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.feeds import read as feeds
from sidelight.errors import SidelightError
from tests.fixtures.hypothesis_profiles import many

if TYPE_CHECKING:
    from pathlib import Path


RECORDS: list[dict[str, Any]] = [
    {
        "id": "GHSA-1",
        "modified": "2024-01-01T00:00:00Z",
        "aliases": ["CVE-2024-0001"],
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "database_specific": {"severity": "HIGH"},
        "references": [{"type": "WEB", "url": "https://x"}],
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": "x"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.0"}]}],
                "versions": ["0.1.0"],
                "ecosystem_specific": {"urgency": "low", "binaries": [{"x": "1"}]},
            }
        ],
    },
    {
        "ID": "ALAS2-2024-1",
        "Title": "t",
        "Severity": "low",
        "Issued": {"Date": "2024"},
        "References": {"Reference": [{"Type": "cve", "ID": "CVE-2024-0001", "Href": "h"}]},
        "Pkglist": {
            "Collection": {
                "Package": [{"Name": "x", "Epoch": "0", "Version": "1", "Release": "1.amzn2"}]
            }
        },
    },
    {
        "id": "CVE-2024-0001",
        "priority": "low",
        "cvss": {"nvd": "x"},
        "packages": {"jammy": {"x": {"status": "released", "note": "1.0"}}},
    },
    {
        "distroversion": "v3.19",
        "packages": [{"pkg": {"name": "x", "secfixes": {"1-r0": ["CVE-2024-0001"]}}}],
    },
    {"x": {"CVE-2024-0001": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}}}},
    {"catalogVersion": "1", "vulnerabilities": [{"cveID": "CVE-2024-0001", "dateAdded": "2024"}]},
    {"gem": "x", "cve": "2024-0001", "title": "t", "patched_versions": ["~> 1.2", ">= 2"]},
    {
        "reference": "composer://a/b",
        "title": "t",
        "branches": {"1.x": {"versions": [">=1.0", "<1.2"]}},
    },
    {
        "name": "RLSA-1",
        "affectedProducts": [],
        "cves": [{"name": "CVE-2024-0001"}],
        "rpms": {"Rocky Linux 9": {"nvras": ["x-0:1-1.el9.x86_64.rpm"]}},
    },
    {
        "document": {
            "category": "csaf_vex",
            "publisher": {"name": "Red Hat Product Security"},
            "tracking": {"id": "CVE-2024-0001"},
        },
        "product_tree": {
            "branches": [
                {
                    "category": "product_name",
                    "product": {
                        "name": "P",
                        "product_id": "P",
                        "product_identification_helper": {
                            "cpe": "cpe:/o:redhat:enterprise_linux:9::baseos"
                        },
                    },
                },
                {
                    "category": "product_version",
                    "product": {"name": "x-1-1.x86_64", "product_id": "x"},
                },
            ],
            "relationships": [
                {
                    "full_product_name": {"product_id": "P:x"},
                    "product_reference": "x",
                    "relates_to_product_reference": "P",
                }
            ],
        },
        "vulnerabilities": [{"cve": "CVE-2024-0001", "product_status": {"fixed": ["P:x"]}}],
    },
]

_leaf = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\x00", "0", "CVE-2024-0001", "1" * 300, "a-b-c.d"])
)
_value = st.recursive(
    _leaf,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every item of a record."""
    found = [path] if path else []
    if isinstance(value, dict):
        for name, item in value.items():
            found += _places(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += _places(item, (*path, number))
    return found


def _replaced(record: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    out = copy.deepcopy(record)
    inner: Any = out
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return out


@pytest.mark.slow
@many(400)
@given(data=st.data())
def test_a_record_with_any_field_replaced_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    record = data.draw(st.sampled_from(RECORDS))
    changed = _replaced(record, data.draw(st.sampled_from(_places(record))), data.draw(_value))
    folder = tmp_path_factory.getbasetemp()
    path: Path = folder / "hostile.json"
    path.write_text(json.dumps(changed))
    try:
        build([path], folder / "hostile.db")
        with AdvisoryDatabase.open(folder / "hostile.db") as database:
            for ecosystem, name in database.packages():
                for row in database.lookup(ecosystem, name):
                    row.advisory.encode()
            for number in range(database.info().vulnerabilities):
                database.vulnerability(number).title.encode()
    except SidelightError as error:
        place = error.where
    else:
        place = str(path)
    assert place.startswith(str(path))


@many(200)
@given(
    kind=st.sampled_from([".json", ".jsonl", ".yml", ".xml", ".csv", ".json.gz", ".zip", ".tar"]),
    data=st.binary(max_size=200),
)
def test_any_bytes_are_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"hostile{kind}"
    path.write_bytes(data)
    try:
        list(feeds.read(path))
    except SidelightError as error:
        place = error.where
    else:
        place = str(path)
    assert place.startswith(str(path))


def test_every_record_is_taken_as_it_is(tmp_path: Path) -> None:
    for number, record in enumerate(RECORDS):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(record))
        assert list(feeds.read(path)), record


def test_what_no_encoding_has_becomes_a_question_mark(tmp_path: Path) -> None:
    """In the fields that are kept of a whole database too: its newest date, a state, a source."""
    lone = "\ud800"
    release = {"status": "open", "nodsa": "x", "nodsa_reason": lone}
    feeds = {
        "osv": {**RECORDS[0], "modified": lone},
        "tracker": {"x": {"CVE-2024-0001": {"releases": {"bookworm": release}}}},
        "days": {"source": lone, "lastDays": {"Debian:12": "2030-01-01"}},
    }
    for name, feed in feeds.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(feed))
    build([tmp_path], tmp_path / "db")
    with AdvisoryDatabase.open(tmp_path / "db") as database:
        assert database.info().newest == "?"
        (row,) = database.lookup("Debian:12", "x")
        assert row.state == "?"
