"""The dispatcher's update of the advisory database: in a process that has only what it needs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from dispatcher.advisory_updater import COMMAND, AdvisoryUpdater
from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import DownloadError, UsageError
from sidelight.fleet.settings import Settings
from sidelight.fleet.settings.validation import validate
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.publisher import Publisher


def wait(_seconds: float) -> None:
    """The process is looked at again at once."""


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_the_process_gets_neither_store_nor_broker_nor_credentials(tmp_path: Path) -> None:
    settings = Settings.of(
        store_url="postgresql://sidelight:secret@db/sidelight", broker_url="redis://:secret@q/0",
        advisories=str(tmp_path / "a.db"), external_id="secret", advisory_sources="osv-npm",
    )  # fmt: skip
    environment = {
        "PATH": "/bin", "HOME": "/home/a", "AWS_SECRET_ACCESS_KEY": "secret",
        "SIDELIGHT_STORE_URL": "secret", "SIDELIGHT_MIRRORS": "osv-npm=http://mirror",
    }  # fmt: skip
    variables = AdvisoryUpdater(settings, environment).environment()
    assert variables == {
        "PATH": "/bin", "HOME": "/home/a", "SIDELIGHT_MIRRORS": "osv-npm=http://mirror",
        "SIDELIGHT_ADVISORIES": str(tmp_path / "a.db"), "SIDELIGHT_ADVISORY_SOURCES": "osv-npm",
        "SIDELIGHT_ADVISORY_FEEDS": "", "SIDELIGHT_ADVISORY_BUNDLE": "",
        "SIDELIGHT_ADVISORY_KEYS": "", "SIDELIGHT_ADVISORY_UPDATE_HOURS": "0.0",
    }  # fmt: skip
    in_s3 = settings.replaced(advisory_bundle="s3://b/k", advisory_keys="key")
    variables = AdvisoryUpdater(in_s3, environment).environment()
    assert "AWS_SECRET_ACCESS_KEY" in variables
    assert "SIDELIGHT_STORE_URL" not in variables


def test_a_failure_is_an_error_with_its_messages_and_a_partial_update_is_none() -> None:
    failing = "import sys; print('osv-npm: answered 403', file=sys.stderr); sys.exit({})"
    with pytest.raises(DownloadError, match="advisories: osv-npm: answered 403"):
        AdvisoryUpdater(Settings(), command=program(failing.format(4))).run(lambda: False, wait)
    partial = AdvisoryUpdater(Settings(), command=program(failing.format(3)))
    assert partial.run(lambda: False, wait)


def test_a_dispatcher_that_stops_ends_the_process() -> None:
    endless = AdvisoryUpdater(Settings(), command=program("import time; time.sleep(600)"))
    assert not endless.run(lambda: True, wait)


@pytest.mark.services
@pytest.mark.slow
def test_the_real_command_makes_the_database(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish("/npm/all.zip", osv_zip(1, 2, 3))
    database = tmp_path / "data" / "advisories.db"
    settings = Settings.of(advisories=str(database), advisory_sources="osv-npm")
    environment = {
        "PATH": "/usr/bin:/bin", "SIDELIGHT_MIRRORS": f"osv-npm={publisher.base}",
        "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    assert AdvisoryUpdater(settings, environment, COMMAND).run(lambda: False, wait)
    with AdvisoryDatabase.open(database) as opened:
        assert opened.info().advisories == 3
    state = json.loads((tmp_path / "data" / "advisories.db.feeds.json").read_text())
    assert [feed["name"] for feed in state["feeds"]] == ["osv-npm"]


def test_a_bundle_without_a_key_is_refused_before_anything_starts() -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_ADVISORY_KEYS"):
        validate(Settings.of(advisory_bundle="s3://bucket/key"))
