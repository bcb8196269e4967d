"""Updates of the advisory database from publishers: whole, resumable, and never smaller."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import AdvisoryDatabase
from sidelight.download.fetch import PublisherAccess
from sidelight.download.http import Client
from sidelight.errors import DatabaseError, DownloadError, UsageError
from sidelight.fleet.advisory_updates.ages import ages_of
from sidelight.fleet.advisory_updates.update_state import state_path
from sidelight.fleet.advisory_updates.updater import (
    UpdateHooks,
    UpdateOutcome,
    UpdatePlan,
    update,
)
from tests.fakes.publisher import Publisher, cut, status
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NPM, PYPI, OSV = "osv-npm", "osv-pypi", "https://osv-vulnerabilities.storage.googleapis.com"


class Machine:
    """A machine with an advisory database of two feeds, and its clock."""

    def __init__(self, publisher: Publisher, folder: Path) -> None:
        self.publisher = publisher
        self.database = folder / "data" / "advisories.db"
        self.now = NOW
        self.publish(npm=range(1, 301), pypi=range(1000, 1300))

    def publish(self, **feeds: range) -> None:
        paths = {"npm": "/npm/all.zip", "pypi": "/PyPI/all.zip"}
        for name, numbers in feeds.items():
            self.publisher.publish(paths[name], osv_zip(*numbers))

    def update(self, *names: str, accept_smaller: bool = False) -> UpdateOutcome:
        network = PublisherAccess(Client(silence=0.2), lambda _seconds: None)
        plan = UpdatePlan(
            self.database, self.database.with_name("feeds"), names or (NPM, PYPI),
            {OSV: self.publisher.base}, accept_smaller,
        )  # fmt: skip
        return update(plan, UpdateHooks(network=network, clock=lambda: self.now))

    def count(self) -> int:
        with AdvisoryDatabase.open(self.database) as opened:
            opened.verify()
            return opened.info().advisories

    def files(self) -> set[str]:
        return {path.name for path in self.database.parent.iterdir()}


@pytest.fixture
def machine(publisher: Publisher, tmp_path: Path) -> Machine:
    return Machine(publisher, tmp_path)


def test_one_command_makes_the_database_and_the_next_changes_nothing(machine: Machine) -> None:
    first = machine.update()
    assert (first.changed, machine.count()) == (True, 600)
    before = machine.database.stat()
    machine.publisher.requests.clear()
    machine.now += timedelta(hours=6)
    again = machine.update()
    assert not again.changed
    assert again.summary is None, "nothing is built"
    assert all("If-None-Match" in headers for _, headers in machine.publisher.requests)
    after = machine.database.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (npm, _pypi) = again.state.feeds
    assert (npm.confirmed_at, npm.changed_at, npm.records) == (machine.now, NOW, 300)
    assert again.state.built_at == NOW
    assert machine.files() == {
        "advisories.db", "advisories.db.feeds.json", ".advisories.db.lock", "feeds"
    }  # fmt: skip


def test_a_reader_of_the_old_database_has_it_until_the_new_one_is_whole(machine: Machine) -> None:
    machine.update()
    with AdvisoryDatabase.open(machine.database) as old:
        machine.publish(npm=range(1, 320))
        assert machine.update().changed
        old.verify()
        assert old.info().advisories == 600
    assert machine.count() == 619


def test_a_feed_that_cannot_be_had_keeps_its_files_and_shows_its_age(machine: Machine) -> None:
    machine.update()
    machine.publish(pypi=range(1000, 1310))
    machine.publisher.pages["/npm/all.zip"].faults = [status(403)]
    machine.now += timedelta(days=3)
    outcome = machine.update()
    assert (outcome.changed, machine.count()) == (True, 610)
    npm, pypi = outcome.state.feeds
    assert (npm.confirmed_at, npm.records) == (NOW, 300)
    assert "answered 403" in npm.error
    assert [feed.name for feed in outcome.failures] == [NPM]
    assert [feed.name for feed in outcome.state.old_feeds(machine.now)] == [NPM]
    assert (pypi.confirmed_at, pypi.error) == (machine.now, "")
    ages = ages_of(machine.database)
    assert ages is not None
    assert ages.complaint(machine.now).startswith("1 of 2 feeds not confirmed for 2 days: osv-npm")


def test_a_damaged_edition_is_refused_and_the_last_good_one_is_built(machine: Machine) -> None:
    machine.update()
    machine.publisher.publish("/npm/all.zip", b"PK\x03\x04 and then nothing of an archive")
    machine.publish(pypi=range(1000, 1310))
    machine.now += timedelta(hours=6)
    outcome = machine.update()
    assert machine.count() == 610, "of npm those of before"
    npm = outcome.state.by_name()[NPM]
    assert (npm.is_kept, npm.confirmed_at, npm.records) == (True, NOW, 300)
    assert npm.error
    # The next update does not build again, and still says so.
    again = machine.update()
    assert (again.changed, [feed.name for feed in again.failures]) == (False, [NPM])
    machine.publish(npm=range(1, 303))
    fixed = machine.update()
    assert (fixed.failures, machine.count()) == ([], 612)


def test_an_edition_that_lost_most_records_is_refused_unless_it_is_accepted(
    machine: Machine,
) -> None:
    machine.update()
    machine.publish(npm=range(1, 4))
    outcome = machine.update()
    assert machine.count() == 600
    assert "has 3 records, and the one before has 300" in outcome.state.by_name()[NPM].error
    machine.publish(pypi=range(1000, 1301))  # the refused edition stays refused
    assert machine.update().state.by_name()[NPM].is_kept
    machine.publish(pypi=range(1000, 1302))
    accepted = machine.update(accept_smaller=True)
    assert (accepted.failures, machine.count()) == ([], 305)


def test_a_lost_directory_of_feeds_makes_no_smaller_database(machine: Machine) -> None:
    machine.update()
    feeds = machine.database.with_name("feeds")
    feeds.rename(feeds.with_name("gone"))
    machine.publisher.pages["/npm/all.zip"].faults = [status(403)]
    with pytest.raises(DatabaseError, match=r"would lack feeds of the current one.*osv-npm"):
        machine.update()
    assert machine.count() == 600
    assert machine.update().failures == [], "when the publisher answers again"


def test_sources_of_the_database_are_not_left_out_by_naming_others(machine: Machine) -> None:
    machine.update()
    with pytest.raises(UsageError, match="also has osv-pypi"):
        machine.update(NPM)
    assert machine.count() == 600


def test_files_that_somebody_added_are_built_as_well(machine: Machine) -> None:
    machine.update()
    (machine.database.with_name("feeds") / "ours.zip").write_bytes(osv_zip(*range(5000, 5005)))
    assert machine.update().changed
    assert machine.count() == 605


def test_a_second_update_is_refused_while_one_runs(machine: Machine) -> None:
    machine.update()
    with (machine.database.parent / ".advisories.db.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another update of it runs"):
            machine.update()
    assert not machine.update().changed


@pytest.fixture
def volume(machine: Machine, tmp_path: Path) -> Path:
    """The file on another volume that the machine's database is a link to."""
    file = tmp_path / "volume" / "large.db"
    file.parent.mkdir()
    machine.database.parent.mkdir()
    machine.database.symlink_to(file)
    return file


def test_a_database_that_is_a_link_stays_one_and_its_file_is_replaced(
    machine: Machine, volume: Path
) -> None:
    for count in (300, 320):
        machine.publish(npm=range(1, count + 1))
        assert machine.update().changed
        assert machine.database.is_symlink()
        assert machine.count() == count + 300
    assert {path.name for path in volume.parent.iterdir()} == {
        "large.db", "large.db.feeds.json", ".large.db.lock"
    }  # fmt: skip
    assert machine.files() == {"advisories.db", "feeds"}
    by_link, by_file = ages_of(machine.database), ages_of(volume)
    assert by_link == by_file
    assert by_link is not None
    assert by_link.feeds


def test_updates_by_a_link_and_by_its_file_keep_each_other_out(
    machine: Machine, volume: Path
) -> None:
    machine.update()
    with (volume.parent / ".large.db.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another update of it runs"):
            machine.update()


def test_a_link_whose_volume_is_not_mounted_is_refused(machine: Machine, volume: Path) -> None:
    volume.parent.rmdir()
    with pytest.raises(UsageError, match="does not exist: is its volume mounted"):
        machine.update()
    assert not volume.parent.exists()
    machine.database.unlink()
    machine.database.symlink_to(machine.database)
    with pytest.raises(UsageError, match="leads to itself"):
        machine.update()


def test_without_any_feed_there_is_an_error_and_no_file(machine: Machine) -> None:
    machine.publisher.pages.clear()
    with pytest.raises(DownloadError, match="answered 404"):
        machine.update()
    assert not machine.database.exists()


def test_the_state_of_another_database_does_not_count(machine: Machine) -> None:
    machine.update()
    document = json.loads(state_path(machine.database).read_text())
    state_path(machine.database).write_text(json.dumps({**document, "sha256": "0" * 64}))
    ages = ages_of(machine.database)
    assert ages is not None
    assert ages.feeds == ()
    assert machine.update().changed, "it is built again"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"sha256": 1}', '{"feeds": 7}', "[" * 5000, "null"]
)
def test_a_damaged_state_is_none(machine: Machine, text: str) -> None:
    machine.update()
    state_path(machine.database).write_text(text)
    ages = ages_of(machine.database)
    assert ages is not None
    assert ages.feeds == ()


PROGRAM = """
import sys, os, signal
from pathlib import Path
from sidelight.fleet.advisory_updates import updater
from sidelight.fleet.advisory_updates.updater import UpdateHooks, UpdatePlan, update
where, base, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def die(*_arguments, **_names):
    os.kill(os.getpid(), signal.SIGKILL)
hooks = UpdateHooks(building=die) if point == "building" else UpdateHooks()
if point == "placing":
    updater.put_in_place = die
if point == "state":
    from sidelight.fleet.advisory_updates import placing
    placing.write_state = die
update(UpdatePlan(where, where.with_name("feeds"), ("osv-npm", "osv-pypi"),
                  {"https://osv-vulnerabilities.storage.googleapis.com": base}), hooks)
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["building", "placing", "state"])
def test_a_killed_update_leaves_a_whole_database_and_the_next_ends_it(
    machine: Machine, point: str
) -> None:
    machine.update()
    machine.publish(npm=range(1, 320))
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(machine.database), machine.publisher.base, point],
        check=False, env=dict(os.environ),
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert machine.count() == (619 if point == "state" else 600)
    outcome = machine.update()
    assert (outcome.failures, machine.count()) == ([], 619)
    assert not [name for name in machine.files() if "candidate" in name]


def test_an_interrupted_download_goes_on_where_it_ended(machine: Machine) -> None:
    machine.publisher.pages["/npm/all.zip"].faults = [cut(1000)]
    assert machine.update().failures == []
    ranges = [headers.get("Range") for path, headers in machine.publisher.requests if "npm" in path]
    assert ranges == [None, "bytes=1000-"]
