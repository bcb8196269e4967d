"""An option of a setting overrides its variable when it is given, in every command."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from dispatcher.cli import root
from dispatcher.cli.setting_options import SettingOption
from sidelight.fleet.settings import Settings
from sidelight.fleet.settings.definition import Definition, Kind
from sidelight.fleet.settings.settings import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
# The arguments that a command needs to be called.
ARGUMENTS = {
    "advisories bundle": ["--sign", os.devnull, "--out", "bundle"],
    "access create": ["alice", "--account", "1" * 12],
    "access revoke": ["SLKAEXAMPLE"],
    "access user create": ["alice", "--account", "1" * 12],
    "access user password": ["alice"],
    "access user revoke": ["alice"],
    "access user reactivate": ["alice"],
    "fleet accounts delegate": ["o-1"],
    "fleet accounts release": ["o-1"],
    "fleet sbom": ["--into", "documents"],
    "fleet suppress add-vex": [os.devnull],
    "fleet suppress remove-vex": ["name"],
    "scan": ["disk.img"],
    "inventory": ["disk.img"],
    "ls": ["disk.img"],
    "cat": ["disk.img", "/etc/passwd"],
    "tree": ["disk.img"],
    "fleet worker": ["waiting"],
    "fleet suppress add": ["rule"],
    "fleet suppress remove": ["rule"],
}
# What `fleet scan` has and `fleet run` has not: how one run of a command waits, and what is for the
# workers, which read their own settings.
ONE_RUN = {"--format", "--instance", "--due", "--dry-run", "--wait", "--logs", "--embedded",
           "--concurrency", "--advisories", "--containers", "--tag", "--vpc", "--yes"}  # fmt: skip


class SettingsRead(Exception):  # noqa: N818 - ends a command where it has read its settings
    """The settings that a command reads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings


def every_command(
    command: click.Command = root.sidelight, path: str = ""
) -> Iterator[tuple[str, click.Command]]:
    """Yield all commands that are not groups, by their words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from every_command(child, f"{path} {name}".strip())


def setting_options() -> Iterator[tuple[str, SettingOption]]:
    for path, command in every_command():
        for option in command.params:
            if isinstance(option, SettingOption):
                yield path, option


CASES = [
    pytest.param(path, option, id=f"{path} {option.opts[0]}") for path, option in setting_options()
]


@pytest.fixture
def read_by(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command's settings, read from its words as at a start."""
    real = Settings.from_environment

    def capture(*arguments: Any, **options: Any) -> Settings:
        raise SettingsRead(real(*arguments, **options))

    def read(path: str, *options: str) -> Settings:
        words = [*path.split(), *options, *ARGUMENTS.get(path, [])]
        with pytest.raises(SettingsRead) as found:
            root.sidelight.main(words, standalone_mode=False)
        return found.value.settings

    monkeypatch.setattr(Settings, "from_environment", staticmethod(capture))
    return read


def texts(definition: Definition) -> tuple[str, str]:
    """Two values that differ from each other and from the default."""
    if definition.kind is Kind.SWITCH:
        return "yes", "no"
    if definition.kind in (Kind.WHOLE, Kind.NUMBER):
        return "7", "9"
    return "of-the-environment", "of-the-option"


@pytest.mark.parametrize(("path", "option"), CASES)
def test_an_option_overrides_its_variable_and_that_the_default(
    path: str, option: SettingOption, read_by: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = option.definition
    variable, argument = texts(definition)
    words = [option.opts[0], argument]
    if definition.kind is Kind.SWITCH:
        words = [option.secondary_opts[0]]

    def expected(text: str) -> Settings:
        return Settings.of(**{definition.key: definition.parse(text)})

    assert read_by(path) == Settings()
    assert read_by(path, *words) == expected(argument)
    monkeypatch.setenv(definition.variable, variable)
    assert read_by(path) == expected(variable)
    assert read_by(path, *words) == expected(argument)


@pytest.mark.parametrize(("path", "option"), CASES)
def test_an_options_help_names_its_variable(path: str, option: SettingOption) -> None:
    assert f"[{option.definition.variable}" in str(option.help), path


def test_an_option_whose_help_names_a_setting_is_that_settings_option() -> None:
    for path, command in every_command():
        for option in command.params:
            text = getattr(option, "help", None) or ""
            named = [name for item in DEFINITIONS.values() if (name := f"[{item.variable}") in text]
            assert not named or isinstance(option, SettingOption), f"{path}: {option.opts}"


def test_an_options_switch_can_be_turned_off_and_on(
    read_by: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDELIGHT_CONTAINERS", "no")
    assert read_by("scan", "--containers").reading.containers
    monkeypatch.setenv("SIDELIGHT_CONTAINERS", "yes")
    assert not read_by("scan", "--no-containers").reading.containers


@pytest.mark.parametrize(("path", "option"), CASES)
def test_an_option_has_the_bounds_of_its_variable(path: str, option: SettingOption) -> None:
    definition = option.definition
    if definition.kind not in (Kind.WHOLE, Kind.NUMBER):
        return
    for text in ("-1", "0", "0.5", "1", str(definition.most), str(definition.most + 1), "x"):
        taken = accepts(option.type.convert, text, option, None)
        assert taken == accepts(definition.parse, text), f"{path} {text}"


def accepts(convert: Any, *arguments: Any) -> bool:
    try:
        convert(*arguments)
    except Exception:  # noqa: BLE001 - a refusal, of whichever kind
        return False
    return True


def test_a_mirror_that_is_given_overrides_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    command = dict(every_command())["advisories fetch"]
    monkeypatch.setenv("SIDELIGHT_MIRRORS", "osv=https://a kev=https://b")
    assert command.make_context("fetch", []).params["mirrors"] == ("osv=https://a", "kev=https://b")
    mirrors = command.make_context("fetch", ["--mirror", "osv=https://c"]).params["mirrors"]
    assert mirrors == ("osv=https://c",)


def test_fleet_run_has_every_limit_of_fleet_scan() -> None:
    commands = dict(every_command())
    scan, run = options_of(commands["fleet scan"]), options_of(commands["fleet run"])
    assert scan.keys() - run.keys() == ONE_RUN
    for name in scan.keys() & run.keys():
        assert scan[name].to_info_dict() == run[name].to_info_dict()


def options_of(command: click.Command) -> dict[str, click.Parameter]:
    return {name: option for option in command.params for name in option.opts}


@pytest.mark.slow
def test_settings_are_read_in_one_place_of_a_process() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for package in ("sidelight", "workers", "dispatcher")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "from_environment"
    }
    assert readers == {"dispatcher/cli/setting_options.py", "sidelight/fleet/bootstrap.py"}


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "NaN"])
@pytest.mark.parametrize(
    "command",
    ["fleet scan --existing-snapshots", "fleet run --every", "local up --latency",
     "probe --patience"],
)  # fmt: skip
def test_a_number_is_finite(command: str, text: str) -> None:
    result = CliRunner().invoke(root.sidelight, [*command.split(), text])
    assert result.exit_code == 2
    assert "Invalid value for" in result.output
