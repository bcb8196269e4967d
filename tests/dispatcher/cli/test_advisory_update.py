"""`sidelight advisories update` and `bundle`, and the commands that show ages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dispatcher.cli.advisory_age import warn_of_age
from dispatcher.cli.root import sidelight
from sidelight.errors import UsageError
from sidelight.fleet.advisory_updates.update_state import read_state, state_path
from sidelight.fleet.settings import Settings
from tests.fakes.publisher import Publisher, status
from tests.fixtures.bundle_keys import write_keys
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publisher: Publisher) -> Path:
    """The user's own place for the database, whose publishers are on loopback."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    osv = "https://osv-vulnerabilities.storage.googleapis.com"
    monkeypatch.setenv("SIDELIGHT_MIRRORS", f"{osv}={publisher.base}")
    publisher.publish("/npm/all.zip", osv_zip(*range(1, 201)))
    publisher.publish("/PyPI/all.zip", osv_zip(*range(1001, 1201)))
    return tmp_path / "sidelight" / "advisories.db"


def run(*arguments: str | Path, exit_code: int = 0) -> str:
    done = CliRunner().invoke(sidelight, [str(item) for item in arguments], catch_exceptions=False)
    assert done.exit_code == exit_code, done.output
    return done.output


def test_after_an_update_commands_find_the_database_without_a_setting(place: Path) -> None:
    output = run("advisories", "update", "osv-npm", "osv-pypi")
    assert f"{place}: 400 advisories on 400 packages" in output
    assert "nothing changed" in run("advisories", "update", "osv-npm", "osv-pypi")
    assert Settings.from_environment({}).findings.advisories_path == place
    shown = run("advisories", "info")
    assert "osv-npm" in shown
    assert "checked less than a minute ago" in shown


def test_a_failed_feed_is_status_3_and_all_failed_is_4(place: Path, publisher: Publisher) -> None:
    update = ("advisories", "update", "osv-npm", "osv-pypi")
    run(*update)
    publisher.pages["/npm/all.zip"].faults = [status(403)]
    output = run(*update, exit_code=3)
    assert "osv-npm: failed" in output
    assert "its files of before are used" in output
    for page in publisher.pages.values():
        page.faults = [status(403)]
    output = run(*update, "--format", "json", exit_code=4)
    document = json.loads(output[output.index("{") :].rpartition("}")[0] + "}")
    assert [bool(feed["error"]) for feed in document["feeds"]] == [True, True]
    assert place.exists()


def test_old_feeds_are_warned_of_with_the_command_that_updates_them(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("advisories", "update", "osv-npm", "osv-pypi")
    settings = Settings.from_environment({})
    warn_of_age(settings)
    assert capsys.readouterr().err == ""
    document = json.loads(state_path(place).read_text())
    document["feeds"][0]["confirmed_at"] = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    state_path(place).write_text(json.dumps(document))
    warn_of_age(settings)
    assert capsys.readouterr().err == (
        "sidelight: 1 of 2 feeds not confirmed for 2 days: osv-npm (9 days);"
        " newer advisories: sidelight advisories update\n"
    )
    assert "not confirmed for 2 days: osv-npm (9 days)" in run("advisories", "info")


def test_a_bundle_is_taken_by_the_settings_and_refused_for_sources(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("advisories", "update", "osv-npm")
    private, public = write_keys(tmp_path)
    bundle = tmp_path / "b.bundle"
    run("advisories", "bundle", "--sign", private, "--out", bundle)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("SIDELIGHT_ADVISORY_BUNDLE", str(bundle))
    monkeypatch.setenv("SIDELIGHT_ADVISORY_KEYS", str(public))
    assert "200 advisories on 200 packages, built" in run("advisories", "update")
    other = tmp_path / "other" / "sidelight" / "advisories.db"
    assert other.read_bytes() == place.read_bytes()
    state = read_state(other, json.loads(state_path(other).read_text())["sha256"])
    assert state is not None
    assert state.bundle == str(bundle)
    assert "nothing changed" in run("advisories", "update")


@pytest.mark.parametrize("bundle", [None, ""])
def test_a_key_without_a_bundle_downloads_nothing_unsigned(
    bundle: str | None, place: Path, tmp_path: Path
) -> None:
    """An unset variable of a shell makes an empty address."""
    _private, public = write_keys(tmp_path)
    address = [] if bundle is None else ["--from", bundle]
    with pytest.raises(UsageError, match="no bundle is named"):
        run("advisories", "update", "--key", public, *address)
    assert not place.exists()
