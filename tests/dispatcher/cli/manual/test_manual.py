"""`sidelight help`, `version`, `completion` and `man`, read by the shells and by man."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dispatcher.cli import root
from dispatcher.cli.manual.commands import SHELLS
from dispatcher.cli.manual.man_pages import page_of
from sidelight import __version__
from tests.fixtures.commands import ALL

EACH = [pytest.param(path, id=" ".join(path)) for path, *_ in ALL]


def output(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert root.run(arguments) == status
    shown = capsys.readouterr()
    return shown.out if status == 0 else shown.err


@pytest.mark.parametrize("path", EACH)
def test_help_shows_what_the_command_s_own_help_shows(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert output(capsys, "help", *path) == output(capsys, *path, "--help")


def test_help_of_no_command_is_that_of_sidelight(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "help") == output(capsys, "--help")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fleet", "findigns"), "Did you mean 'findings'?"),
        (("findings",), "Did you mean 'fleet findings'?"),
        (("scan", "x"), "sidelight scan: has no commands of its own"),
    ],
)
def test_help_of_an_unknown_command_names_the_nearest(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in output(capsys, "help", *words, status=2)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["fleet", "findigns"], "findings"), (["findings"], "fleet findings"),
     (["suppress", "add"], "fleet suppress"), (["fleet", "suppress", "ad"], "add"),
     (["scan", "--formt", "json", "x"], "--format"), (["versoin"], "version"),
     (["fleet", "accounts", "lst"], "list"), (["fleet", "findings", "--limt", "1"], "--limit")],
)  # fmt: skip
def test_what_is_misspelt_is_refused_with_the_nearest_name(
    arguments: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = output(capsys, *arguments, status=2)
    assert "id you mean" in shown
    assert f"'{name}'" in shown.partition("id you mean")[2]


def test_version_names_sidelight_and_python(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = output(capsys, "version").splitlines()
    assert first == f"sidelight {__version__}"
    assert second.startswith("Python 3.")


@pytest.mark.parametrize("path", EACH)
def test_every_page_has_its_command_s_options(path: tuple[str, ...]) -> None:
    context = click.Context(root.sidelight, info_name="sidelight")
    for word in path:
        group = context.command
        assert isinstance(group, click.Group)
        command = group.get_command(context, word)
        assert command is not None
        context = click.Context(command, info_name=word, parent=context)
    page = page_of(context)
    name = "-".join(("sidelight", *path)).replace("-", "\\-")
    assert f".SH NAME\n{name} \\- " in page
    assert page.isascii()
    for option in context.command.params:
        if isinstance(option, click.Option) and option.help and not option.hidden:
            assert option.opts[-1].replace("-", "\\-") in page
    # Only requests begin with a dot or an apostrophe.
    assert set(re.findall(r"^[.'](\w*)", page, re.MULTILINE)) <= {
        "TH", "SH", "TP", "PP", "B", "nh", "ad",
    }  # fmt: skip


def test_all_pages_are_written_with_the_date_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769860800")
    assert root.run(["man", "--into", str(tmp_path / "man1")]) == 0
    pages = {path.name: path.read_text() for path in (tmp_path / "man1").iterdir()}
    assert len(pages) == len(ALL) + 1
    assert {"sidelight.1", "sidelight-fleet-findings.1", "sidelight-access-user-list.1"} <= set(
        pages
    )
    assert all('1 "2026-01-31"' in page for page in pages.values())
    assert root.run(["man", "--into", str(tmp_path / "man1/sidelight.1/x")]) == 2
    assert root.run(["man", "scan", "--into", str(tmp_path)]) == 2


@pytest.mark.slow
def test_groff_and_mandoc_read_every_page_without_a_warning(tmp_path: Path) -> None:
    assert root.run(["man", "--into", str(tmp_path)]) == 0
    pages = sorted(map(str, tmp_path.iterdir()))
    programs = {
        "groff": ["groff", "-man", "-ww", "-Tutf8", "-Z", *pages],
        "mandoc": ["mandoc", "-Tlint", "-Wwarning", *pages],
    }
    found = [words for name, words in programs.items() if shutil.which(name)]
    if not found:
        pytest.skip("needs groff or mandoc")
    for words in found:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        assert ": WARNING:" not in done.stdout


PROGRAM = """#!/bin/sh
exec {python} -c 'from dispatcher.cli.root import main; main()' "$@"
"""
SCRIPTS = {
    "bash": 'eval "$(sidelight completion bash)"; COMP_WORDS=(sidelight fleet fi); COMP_CWORD=2;'
            ' _sidelight_completion sidelight; echo "${COMPREPLY[@]}"',
    "fish": 'sidelight completion fish | source; complete -C "sidelight fleet fi"',
    "zsh": 'autoload -U compinit; compinit -u -D; eval "$(sidelight completion zsh)";'
           " _describe() { print -l -- ${(P)3} };"
           " words=(sidelight fleet fi); CURRENT=3; _sidelight_completion",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_by_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    program = tmp_path / "sidelight"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb",
        "PYTHONPATH": str(Path(__file__).resolve().parents[4]),
    }  # fmt: skip
    words = [shell, *(["-f"] if shell == "zsh" else []), "-c", SCRIPTS[shell]]
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert "findings" in done.stdout, done.stderr
