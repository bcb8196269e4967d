"""A worker answers by the database that is there now, without a restart."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import build
from sidelight.errors import DatabaseError, UsageError
from sidelight.fleet.advisory_file import AdvisoryFile
from sidelight.fleet.settings import Settings
from sidelight.model import Inventory, OperatingSystem, Package, Status

if TYPE_CHECKING:
    from pathlib import Path

HOST = Inventory(
    Status.COMPLETE,
    OperatingSystem(id="debian", version_id="12"),
    (Package("npm", "a", "1.0.0", "/a", ""),),
)


def built(path: Path, *numbers: int) -> Path:
    row = {
        "package": {"ecosystem": "npm", "name": "a"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
    }
    feed = path.with_name("feed.jsonl")
    records = [{"id": f"CVE-2024-000{n}", "modified": "1", "affected": [row]} for n in numbers]
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([feed], path)
    return path


def found(advisories: AdvisoryFile) -> list[str]:
    return [finding.vulnerability[-1] for finding in advisories.match(HOST)]


def test_a_new_database_is_picked_up_and_a_failed_build_changes_nothing(tmp_path: Path) -> None:
    path = built(tmp_path / "db", 1)
    advisories = AdvisoryFile(Settings.of(advisories=str(path)))
    assert found(advisories) == ["1"]
    built(path, 1, 2)
    assert found(advisories) == ["1", "2"]
    (tmp_path / "feed.jsonl").write_text("{")
    with pytest.raises(Exception, match="cut off"):
        build([tmp_path / "feed.jsonl"], path)
    assert found(advisories) == ["1", "2"]


def test_threads_that_match_while_it_is_replaced_each_see_one_database(tmp_path: Path) -> None:
    path = built(tmp_path / "db", 1)
    advisories = AdvisoryFile(Settings.of(advisories=str(path)))
    seen: list[list[str]] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            seen.append(found(advisories))

    threads = [threading.Thread(target=work) for _thread in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 8):
        built(path, 1, number)
    stop.set()
    for thread in threads:
        thread.join()
    assert found(advisories) == ["1", "7"]
    assert seen
    assert all(answer == ["1"] or len(answer) == 2 for answer in seen)


def test_no_database_and_a_damaged_one_are_reported_at_first_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        found(AdvisoryFile(Settings()))
    advisories = AdvisoryFile(Settings.of(advisories=str(tmp_path / "db")))
    with pytest.raises(DatabaseError):
        found(advisories)
    built(tmp_path / "db", 3)
    assert found(advisories) == ["3"]
