"""`sidelight.toml`: found, checked, and overridden by the environment and by options."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.cli import root, scan
from dispatcher.cli.config import trust
from dispatcher.cli.config.config_files import MAX_BYTES, read_config
from dispatcher.cli.config.locations import ConfigLocation, config_locations
from dispatcher.cli.config.option_defaults import defaults_by_name
from dispatcher.cli.exit_status import WRONG_USAGE
from dispatcher.cli.setting_options import SettingOption
from sidelight.advisories import build
from sidelight.errors import UsageError
from sidelight.fleet.settings.settings import DEFINITIONS
from tests.fixtures.commands import ALL
from tests.fixtures.matches import osv

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

PAGE = Path(__file__).resolve().parents[4] / "docs" / "config-file.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory, and a home without a configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Reading:
    """What `sidelight inventory` and `scan` are called with."""

    settings: Settings
    options: Any

    def __call__(self, options: Any, settings: Settings) -> None:
        self.settings, self.options = settings, options
        raise UsageError("nothing is read")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    found = Reading()
    monkeypatch.setattr(scan, "read", found)
    Path("feed.jsonl").write_text(json.dumps(osv("DSA-1", "Debian:12", "openssl", "3.0.2-1")))
    build([Path("feed.jsonl")], Path("x"))
    return found


def own(text: str) -> None:
    path = Path("home/sidelight/sidelight.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def complaint(text: str, *, trusted: bool = True) -> str:
    """The error of a file with this text."""
    Path("file.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_config(ConfigLocation("file.toml", trusted), root.sidelight)
    return str(caught.value)


def test_an_option_overrides_the_environment_and_that_the_file(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    own('[settings]\nin_flight = 3\ncache_mib = 5\nusd_per_day = "off"\n[inventory]\nreader="own"')
    root.run(["inventory", "disk.img"])
    assert reading.settings.reading.in_flight == 3
    assert reading.settings.reading.cache_mib == 5
    assert reading.settings.budget.usd_per_day == 0
    monkeypatch.setenv("SIDELIGHT_IN_FLIGHT", "4")
    root.run(["inventory", "disk.img"])
    assert reading.settings.reading.in_flight == 4
    root.run(["inventory", "disk.img", "--in-flight", "6"])
    assert reading.settings.reading.in_flight == 6
    assert reading.settings.reading.cache_mib == 5


def test_the_environment_is_as_before_once_the_command_has_ended(reading: Reading) -> None:
    own("[settings]\nin_flight = 3")
    root.run(["inventory", "disk.img"])
    assert reading.settings.reading.in_flight == 3
    assert "SIDELIGHT_IN_FLIGHT" not in os.environ


def test_a_command_s_table_has_the_defaults_of_its_options(reading: Reading) -> None:
    own('[scan]\nformat = "json"\nignore-unfixed = true\nseverity = ["high", "low"]\n'
        'volume = ["vol-1"]\n[inventory]\nformat = "table"')  # fmt: skip
    root.run(["scan", "disk.img", "--advisories", "x", "--severity", "critical"])
    assert reading.options["form"] == "json"
    assert reading.options["ignore_unfixed"] is True
    assert [str(level) for level in reading.options["severity"]] == ["CRITICAL"]
    assert reading.options["volumes"] == ("vol-1",)
    root.run(["inventory", "disk.img"])
    assert reading.options["form"] == "table"


def test_a_value_that_an_option_refuses_is_reported_with_its_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own('[fleet.findings]\nlimit = 0\n[scan]\nformat="jsn"')
    assert root.run(["fleet", "findings"]) == WRONG_USAGE
    assert "sidelight.toml: fleet.findings.limit: 0 is not in the range" in capsys.readouterr().err
    assert root.run(["scan", "x"]) == WRONG_USAGE
    assert "sidelight.toml: scan.format: 'jsn' is not one of" in capsys.readouterr().err
    # An option's own value is reported as before.
    assert root.run(["fleet", "findings", "--limit", "-1"]) == WRONG_USAGE
    assert "Invalid value for '--limit'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[settings]\nstor_url='x'", "there is no such setting; did you mean 'store_url'?"),
        ("[scan]\nignore_unfixed=true", "no such option; did you mean 'ignore-unfixed'?"),
        ("[flet]\n", "flet: there is no such command; did you mean 'fleet'?"),
        ("[setings]\na=1", "setings: there is no such command; did you mean 'settings'?"),
        ("[fleet.finding]\nlimit=1", "fleet.finding: there is no such command; did you mean"),
        ("store_url='x'", "store_url: belongs into a table"),
        ("settings=1", "settings: is a table"),
        ("[fleet]\nscan=1", "fleet.scan: is a command: write a table"),
        ("[fleet]\nformat='json'", "fleet.format: there is no such command"),
        ("[scan]\nadvisories='x'", "scan.advisories: is a setting: write advisories in [settings]"),
        ("[scan]\nhelp=true", "scan.help: `sidelight scan` has no such option"),
        ("[scan]\nignore-unfixed='yes'", "takes true or false"),
        ("[scan]\nlimit='3'", "takes a number, without quotes"),
        ("[scan]\nlimit=true", "takes text in quotes, or a number"),
        ("[scan]\nlimit=[1]", "takes text in quotes, or a number"),
        ("[scan]\nvex=[['a']]", "takes text in quotes, or a number"),
        ("[settings]\nscanner_account=123456789012", "takes text, in quotes"),
        ("[settings]\ncontainers=1", "takes true or false"),
        ("[settings]\nin_flight='3'", "takes a whole number"),
        ("[settings]\nin_flight=1025", "is above 1024"),
        ("[settings]\nin_flight=2.5", "'2.5' is not a whole number"),
        ("[settings]\nusd_per_day='of'", "or 'off' in quotes"),
        ("[settings]\nin_flight=" + "9" * 1000, "is above 1024"),
        ('[settings]\nstore_url="a\\u0000b"', "has a null character"),
        ("[settings]\nusd_per_day=nan", "is not off or a number"),
        ("[settings\n", "is not valid TOML: "),
        ("a=1\na=2", "is not valid TOML: "),
        ("x" * (MAX_BYTES + 1), f"has more than {MAX_BYTES >> 10} KiB"),
        ("a." * 1000 + "b=1", "is not valid TOML: TOML line of more than 16 dots"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_reported_with_file_and_key(text: str, message: str) -> None:
    shown = complaint(text)
    assert shown.startswith("file.toml: ")
    assert message in shown


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    Path("any.toml").write_bytes(data)
    try:
        read_config(ConfigLocation("any.toml", is_trusted=False), root.sidelight)
    except UsageError as error:
        assert str(error).startswith("any.toml: ")  # noqa: PT017 - either is right


def test_a_file_that_cannot_be_read_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["--config", "absent.toml", "ls", "x"]) == WRONG_USAGE
    assert "absent.toml: cannot be read: No such file" in capsys.readouterr().err
    Path("sidelight.toml").mkdir()
    assert root.run(["ls", "x"]) == WRONG_USAGE
    assert "sidelight.toml: cannot be read: Is a directory" in capsys.readouterr().err


def test_a_pipe_in_the_current_directory_stops_no_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    os.mkfifo("sidelight.toml")
    assert root.run(["ls", "x"]) == WRONG_USAGE
    assert "sidelight.toml: is not a file" in capsys.readouterr().err


def test_where_files_are_looked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_locations(None) == []
    own("")
    home = str(folder / "home/sidelight/sidelight.toml")
    assert config_locations(None) == [(home, True)]
    Path("sidelight.toml").write_text("")
    assert config_locations(None) == [(home, True), ("sidelight.toml", False)]
    monkeypatch.setenv("SIDELIGHT_CONFIG", "named.toml")
    assert config_locations(None) == [("named.toml", True)]
    assert config_locations("other.toml") == [("other.toml", True)]
    monkeypatch.setenv("SIDELIGHT_CONFIG", "")
    assert config_locations(None) == []
    monkeypatch.delenv("SIDELIGHT_CONFIG")
    # A relative directory is ignored, as the XDG specification wants.
    monkeypatch.setenv("XDG_CONFIG_HOME", "home")
    monkeypatch.setenv("HOME", str(folder / "nobody"))
    assert config_locations(None) == [("sidelight.toml", False)]
    # The user's own file is also that of the directory that has it.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    monkeypatch.chdir(folder / "home/sidelight")
    assert config_locations(None) == [(home, True)]


# A repository's file, which nobody named.


def test_a_file_in_the_current_directory_overrides_no_more_than_it_sets(
    reading: Reading, capsys: pytest.CaptureFixture[str]
) -> None:
    own('[settings]\ncage_required = true\n[scan]\nformat = "json"\nlimit = 3')
    Path("sidelight.toml").write_text("[settings]\ncontainers = true\n[scan]\nlimit = 7")
    root.run(["scan", "disk.img", "--advisories", "x"])
    assert reading.settings.reading.cage_required
    assert reading.settings.reading.containers
    assert reading.options["form"] == "json"
    line = (
        "sidelight: sidelight.toml in the current directory sets SIDELIGHT_CONTAINERS, scan.limit"
    )
    assert line in capsys.readouterr().err


def test_what_a_file_in_the_current_directory_sets_is_reported_by_nested_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("sidelight.toml").write_text('[fleet.findings]\nseverity = ["low"]')
    root.run(["fleet", "findings", "--store", "sqlite:///absent.db"])
    assert "in the current directory sets fleet.findings.severity\n" in capsys.readouterr().err
    root.run(["fleet", "status", "--store", "sqlite:///absent.db"])
    assert "in the current directory" not in capsys.readouterr().err


def test_what_the_user_named_is_not_reported(
    reading: Reading, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("sidelight.toml").write_text("[settings]\nin_flight = 2")
    root.run(["--config", "sidelight.toml", "inventory", "disk.img"])
    assert reading.settings.reading.in_flight == 2
    assert "current directory" not in capsys.readouterr().err


def sample(option: click.Option) -> str:
    """A value of an option's type, as TOML."""
    if option.is_flag:
        return "true"
    return "1" if isinstance(option.type, click.IntRange | click.FloatRange) else '"x"'


def test_no_other_setting_can_be_set_in_the_current_directory() -> None:
    for key, definition in DEFINITIONS.items():
        default = definition.format(definition.default)
        value = {"text": '"x"', "yes or no": "true"}.get(definition.kind.value, "1")
        text = f"[settings]\n{key} = {value}"
        if key in trust.SETTINGS:
            continue
        assert "may not set this" in complaint(text, trusted=False), default
    assert DEFINITIONS.keys() >= trust.SETTINGS


def test_no_other_option_can_be_set_in_the_current_directory() -> None:
    for path, command, _ in ALL:
        if isinstance(command, click.Group):
            continue
        allowed = trust.OPTIONS.get(path, frozenset())
        known = defaults_by_name(command)
        assert allowed <= known.keys()
        for name, option in known.items():
            text = f"[{'.'.join(path)}]\n{name} = {sample(option)}"
            if name not in allowed:
                assert "may not set this" in complaint(text, trusted=False)
            assert not (name in allowed and isinstance(option, SettingOption))


def test_the_page_lists_what_a_file_in_the_current_directory_may_set() -> None:
    rows = re.findall(r"^\| `\[([a-z.-]+)\]` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    listed = {table: re.findall(r"`([^`]+)`", keys) for table, keys in rows}
    tables = {".".join(path): sorted(names) for path, names in trust.OPTIONS.items()}
    assert listed == {"settings": sorted(trust.SETTINGS)} | tables


def test_the_page_s_example_is_read(folder: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (folder / "example.toml").write_text(example)
    config = read_config(ConfigLocation("example.toml", is_trusted=True), root.sidelight)
    assert config.settings["SIDELIGHT_USD_PER_DAY"] == "10"
    assert config.options["fleet", "findings"] == {"form": "json", "order": "score"}
