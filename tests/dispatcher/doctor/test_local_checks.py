"""Checks without AWS: settings, store, advisory database, disk."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from dispatcher.doctor import local_checks
from dispatcher.doctor.local_checks import (
    check_advisories,
    check_disk,
    check_kernel,
    check_settings,
    check_store,
)
from dispatcher.doctor.results import Check, CheckStatus
from sidelight.advisories import build
from sidelight.fleet.advisory_updates.update_state import FeedState, UpdateState, write_state
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from sidelight.store.base import engine
from tests.fixtures.kernel_protections import NEEDS_SEAL
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def statuses(checks: Iterable[Check]) -> dict[str, CheckStatus]:
    return {check.name: check.status for check in checks}


def test_settings_that_contradict_each_other_are_an_error_that_names_the_setting() -> None:
    settings = Settings.of(kms_grants=True)
    assert statuses(check_settings(settings))["SIDELIGHT_KMS_GRANTS"] is CheckStatus.ERROR
    assert statuses(check_settings(Settings())) == {"consistency": CheckStatus.OK}


@pytest.mark.parametrize(
    "publish",
    ["nowhere", "webhook:https://hooks.example/x", "jira:https://jira.example/", "slack:http://x/",
     "webhook:file:/does/not/exist"],
)  # fmt: skip
def test_a_target_of_events_that_cannot_be_sent_to_is_an_error(publish: str) -> None:
    checks = statuses(check_settings(Settings.of(publish=publish)))
    assert checks["SIDELIGHT_PUBLISH"] is CheckStatus.ERROR
    known = Settings.of(publish="eventbridge:default slack:https://hooks.slack.example/secret")
    assert "SIDELIGHT_PUBLISH" not in statuses(check_settings(known))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"external_id": "secret"}, "SIDELIGHT_ROLE_NAME"),
        ({"inventory_bucket": "bucket"}, "SIDELIGHT_INVENTORY_BUCKET"),
        ({"usd_per_day": 0.0}, "SIDELIGHT_USD_PER_DAY"),
    ],
)
def test_a_setting_without_effect_or_cap_is_a_warning(values: dict[str, object], name: str) -> None:
    assert statuses(check_settings(Settings.of(**values)))[name] is CheckStatus.WARNING


def test_a_missing_store_is_reported_and_not_created(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    settings = Settings.of(store_url=f"sqlite:///{path}")
    with Store(settings.store.url) as store:
        assert statuses(check_store(settings, store)) == {"exists": CheckStatus.WARNING}
    assert not path.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_store_that_is_not_a_file_is_an_error(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "fleet.db"
    make(path)
    settings = Settings.of(store_url=f"sqlite:///{path}")
    with Store(settings.store.url) as store:
        (check,) = check_store(settings, store)
    assert check.status is CheckStatus.ERROR
    assert "sqlite:///FILE" in check.remedy


def test_a_store_that_cannot_be_written_says_what_has_to_be_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorname = "SQLITE_READONLY_DIRECTORY"

    def refuse(*_: object) -> None:
        raise OperationalError("BEGIN", None, error)

    monkeypatch.setattr(engine, "_begin_sqlite", refuse)
    (tmp_path / "fleet.db").touch()
    settings = Settings.of(store_url=f"sqlite:///{tmp_path}/fleet.db")
    with Store(settings.store.url) as store:
        (check,) = check_store(settings, store)
    assert "its directory have to be writable" in check.detail
    assert "writable" in check.remedy


def test_an_advisory_database_that_is_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "advisories.db")
    settings = Settings.of(advisories=str(tmp_path / "advisories.db"))
    assert statuses(check_advisories(settings)) == {"database": CheckStatus.ERROR}


@pytest.mark.parametrize(
    ("revision", "oldest", "status"),
    [
        ("", "", CheckStatus.OK),
        ("0001", "", CheckStatus.WARNING),
        ("9999", "0035", CheckStatus.WARNING),
        ("9999", "9999", CheckStatus.ERROR),
    ],
)
def test_a_store_of_another_version_is_reported_and_not_migrated(
    tmp_path: Path, revision: str, oldest: str, status: CheckStatus
) -> None:
    path = tmp_path / "fleet.db"
    settings = Settings.of(store_url=f"sqlite:///{path}")
    with Store(settings.store.url) as store:
        store.migrate()
        if revision:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
                named = "UPDATE properties SET value = ? WHERE name = 'oldest code'"
                connection.execute(named, (oldest,))
        found = statuses(check_store(settings, store))
        assert found["reachable"] is CheckStatus.OK
        assert found["version"] is status
        assert store.revisions()[0] == (revision or store.revisions()[1])


def test_a_store_that_is_not_one_is_an_error() -> None:
    checks = statuses(check_store(Settings(), None))
    assert checks == {"SIDELIGHT_STORE_URL": CheckStatus.ERROR}


def test_an_advisory_database_is_reported_with_its_age(tmp_path: Path) -> None:
    path = tmp_path / "advisories.db"
    feed = tmp_path / "feed.json"
    feed.write_text(
        '{"id": "DSA-1-1", "modified": "2020-01-31T00:00:00Z", "affected": [{"package": '
        '{"ecosystem": "Debian:12", "name": "bash"}, "ranges": [{"type": "ECOSYSTEM", "events": '
        '[{"introduced": "0"}, {"fixed": "2"}]}]}]}'
    )
    build([feed], path)
    settings = Settings.of(advisories=str(path))
    assert statuses(check_advisories(settings)) == {
        "database": CheckStatus.OK,
        "age": CheckStatus.OK,
        "feeds": CheckStatus.WARNING,
    }
    month = time.time() - 30 * 86_400
    os.utime(path, (month, month))
    assert statuses(check_advisories(settings))["age"] is CheckStatus.WARNING


def test_feeds_that_were_not_confirmed_are_listed_with_their_failure(tmp_path: Path) -> None:
    path = tmp_path / "advisories.db"
    (tmp_path / "feed.zip").write_bytes(osv_zip(1))
    summary = build([tmp_path / "feed.zip"], path)
    now = datetime.now(UTC)
    old = now - timedelta(days=5)
    feeds = (
        FeedState("kev", now, now, 1), FeedState("osv-npm", old, old, 2, "answered 403"),
        FeedState("epss", error="answered 404"),
    )  # fmt: skip
    write_state(path, UpdateState(summary.sha256, old, now, feeds=feeds))
    checks = {item.name: item for item in check_advisories(Settings.of(advisories=str(path)))}
    assert {name: item.status for name, item in checks.items()} == {
        "database": CheckStatus.OK, "age": CheckStatus.OK, "feeds": CheckStatus.OK,
        "osv-npm": CheckStatus.WARNING, "epss": CheckStatus.WARNING,
    }  # fmt: skip
    assert checks["osv-npm"].detail == "last confirmed 5 days ago: answered 403"
    assert checks["epss"].detail == "never had: answered 404"


def test_no_advisory_database_is_an_error_with_the_command_that_makes_one(tmp_path: Path) -> None:
    for settings in (Settings(), Settings.of(advisories=str(tmp_path / "absent"))):
        (check,) = check_advisories(settings)
        assert check.status is CheckStatus.ERROR
        assert check.remedy == "sidelight advisories update"


def test_too_little_space_for_the_block_cache_is_a_warning(tmp_path: Path) -> None:
    settings = Settings.of(block_cache=str(tmp_path / "cache"), block_cache_gib=1e9)
    assert statuses(check_disk(settings))["block cache"] is CheckStatus.WARNING
    assert not (tmp_path / "cache").exists()
    settings = settings.replaced(block_cache_gib=0.001)
    assert statuses(check_disk(settings))["block cache"] is CheckStatus.OK


@pytest.mark.parametrize(
    ("values", "status"),
    [({}, CheckStatus.WARNING), ({"cage_required": True}, CheckStatus.ERROR)],
)
def test_a_kernel_that_cannot_seal_a_reader_is_reported(
    values: dict[str, object], status: CheckStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"Landlock": "Function not implemented"}
    monkeypatch.setattr(local_checks, "missing_protections", lambda: missing)
    found = statuses(check_kernel(Settings.of(**values)))
    assert (found["seccomp"], found["Landlock"]) == (CheckStatus.OK, status)


def test_reading_without_a_cage_is_a_warning() -> None:
    found = statuses(check_kernel(Settings.of(cage=False)))
    assert found["SIDELIGHT_CAGE"] is CheckStatus.WARNING


@NEEDS_SEAL
def test_the_kernel_is_reported() -> None:
    assert statuses(check_kernel(Settings())) == {
        "Linux": CheckStatus.OK,
        "seccomp": CheckStatus.OK,
        "Landlock": CheckStatus.OK,
        "SIDELIGHT_CAGE": CheckStatus.OK,
    }
