"""`sidelight doctor` names the configuration files in use, and what others could do to them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from dispatcher.cli import root
from dispatcher.cli.config.file_checks import configuration_checks
from dispatcher.cli.config.locations import ConfigLocation
from dispatcher.cli.config.session import configure


def lines(text: str, mode: int = 0o600) -> list[str]:
    path = Path("own.toml")
    path.write_text(text)
    path.chmod(mode)
    with click.Context(root.sidelight) as context:
        configure(context, [ConfigLocation("own.toml", is_trusted=True)])
        return [f"{check.status} {check.detail}" for check in configuration_checks()]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_file_doctor_reports_none() -> None:
    with click.Context(root.sidelight):
        (check,) = configuration_checks()
    assert check.detail.startswith("none: ")


def test_the_file_in_use_is_named_with_what_the_environment_overrides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIDELIGHT_CACHE_MIB", "9")
    text = "[settings]\ncache_mib = 5\nin_flight = 2\n[scan]\nlimit = 1"
    assert lines(text) == ["OK own.toml: 3 keys; overridden: SIDELIGHT_CACHE_MIB"]


def test_a_file_that_others_can_write_is_a_warning() -> None:
    assert lines("", 0o666)[1] == "WARNING own.toml: other users can write it"


@pytest.mark.parametrize(
    "setting",
    ["store_url = 'postgresql://me:password@db/x'", "sentinel_password = 'x'",
     "oidc_client_secret = 'x'", "message_keys = 'x'", "webhook_secret = 'x'"],
)  # fmt: skip
def test_a_secret_that_others_can_read_is_a_warning(setting: str) -> None:
    assert "other users can read it" in lines(f"[settings]\n{setting}", 0o644)[1]
    assert len(lines(f"[settings]\n{setting}", 0o600)) == 1


def test_a_url_without_a_password_is_no_secret() -> None:
    assert len(lines("[settings]\nstore_url = 'postgresql://me@db/x'", 0o644)) == 1
