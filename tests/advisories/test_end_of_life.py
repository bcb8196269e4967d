"""Last days of operating systems: a file of one's own, then a feed, then the table."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.advisories import AdvisoryDatabase, between, build
from sidelight.advisories.end_of_life import AS_OF, LAST_DAY
from sidelight.errors import DamagedError
from sidelight.matching import match
from sidelight.model import Inventory, OperatingSystem, Status

if TYPE_CHECKING:
    from pathlib import Path


def product(name: str, **days: str) -> dict[str, Any]:
    field = "eoesFrom" if name == "debian" else "eolFrom"
    releases = [{"name": key[1:].replace("_", "."), field: day} for key, day in days.items()]
    return {"name": name, "label": name, "releases": releases}


def feed(*products: dict[str, Any]) -> dict[str, Any]:
    return {"schema_version": "1.2.0", "total": len(products), "result": list(products)}


def built(folder: Path, *documents: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, document in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(document))
    build([folder], folder / "db")
    return folder / "db"


def ended(path: Path, system: str, version: str, day: date) -> bool:
    with AdvisoryDatabase.open(path) as database:
        os = OperatingSystem(id=system, version_id=version)
        return bool(match(Inventory(Status.COMPLETE, os), database, today=day))


def test_a_feed_goes_before_the_table_and_a_file_of_ones_own_before_both(tmp_path: Path) -> None:
    assert LAST_DAY["Debian:11"] == date(2026, 8, 31)
    feed_document = feed(product("debian", _11="2026-10-01"), product("nodejs", _18="2025-04-30"))
    by_feed = built(tmp_path / "1", feed_document)
    assert not ended(by_feed, "debian", "11", date(2026, 10, 1))
    assert ended(by_feed, "debian", "11", date(2026, 10, 2))
    own = {"lastDays": {"Debian:11": "2031-06-30"}, "source": "a contract of extended support"}
    by_contract = built(tmp_path / "2", own, feed_document)
    assert not ended(by_contract, "debian", "11", date(2031, 6, 30))
    # What no feed says, the table does.
    assert ended(by_contract, "debian", "10", date(2026, 1, 1))


def test_windows_server_and_macos_end_as_the_feed_says(tmp_path: Path) -> None:
    windows = {"name": "windows-server", "releases": [{"name": "2012-r2", "eolFrom": "2023-10-10"}]}
    known = built(tmp_path, feed(windows, product("macos", _13="2025-09-15")))

    assert ended(known, "windows-server", "2012 R2", date(2023, 10, 11))
    assert not ended(known, "windows-server", "2022", date(2026, 11, 29))
    with AdvisoryDatabase.open(known) as database:
        system = Inventory(Status.COMPLETE, OperatingSystem("windows-server", "2012 R2"))
        (finding,) = match(system, database, today=date(2026, 11, 29))
    assert finding.package.purl == "pkg:generic/windows-server@2012%20R2"
    assert finding.package.path.endswith("ntoskrnl.exe")
    assert ended(known, "macos", "13.7.8", date(2025, 9, 16))
    assert not ended(known, "macos", "26.1", date(2026, 11, 29))


def test_centos_ends_by_itself_and_not_as_the_stream_of_its_number(tmp_path: Path) -> None:
    feed_document = feed(
        product("centos-stream", _8="2024-05-31", _9="2027-05-31"),
        product("centos", _8="2021-12-31"),
    )
    path = built(tmp_path / "1", feed_document)
    assert ended(path, "centos", "8", date(2022, 1, 1))
    assert not ended(path, "centos", "9", date(2027, 5, 31))


def test_one_product_alone_and_releases_without_a_day(tmp_path: Path) -> None:
    alone = {"schema_version": "1.2.0", "result": product("alpine-linux", _3_99="2030-01-01")}
    rolling = {"name": "fedora", "releases": [{"name": "99", "eolFrom": None, "isEol": False}]}
    path = built(tmp_path / "1", alone, feed(rolling))
    assert ended(path, "alpine", "3.99.1", date(2030, 1, 2))
    assert not ended(path, "fedora", "99", date(2099, 1, 1))


def test_a_changed_last_day_is_listed_as_a_change(tmp_path: Path) -> None:
    older = built(tmp_path / "1", feed(product("ubuntu", _22_04="2027-06-01")))
    newer = built(tmp_path / "2", feed(product("ubuntu", _22_04="2027-07-01")))
    with AdvisoryDatabase.open(older) as one, AdvisoryDatabase.open(newer) as other:
        assert between(one, other).ecosystems == {"Ubuntu:22.04"}


@pytest.mark.parametrize("day", [1, "soon", "2026-13-01", True])
def test_what_is_no_day_is_damage(tmp_path: Path, day: object) -> None:
    with pytest.raises(DamagedError, match=r"0\.json.*is not a day"):
        built(tmp_path / "1", {"lastDays": {"Debian:12": day}})


def test_the_table_is_of_one_day_and_has_no_day_before_the_first_release() -> None:
    assert all(date(2010, 1, 1) < day < date(2040, 1, 1) for day in LAST_DAY.values())
    # What the supported systems of today's fleets need.
    for name in ("Debian:13", "Ubuntu:26.04", "Amazon Linux:2023", "Red Hat:10", "Oracle Linux:9"):
        assert LAST_DAY[name] > AS_OF
