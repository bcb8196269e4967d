"""Hostile names, tags, packages, rules and errors through every command that shows a fleet."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dispatcher.cli import root
from dispatcher.cli.finding_options import Selection
from dispatcher.cli.fleet import report
from dispatcher.cli.fleet.scan import fleet
from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget
from sidelight.errors import AccessDeniedError, CloudError
from sidelight.model import (
    Cost,
    Coverage,
    FixAvailable,
    OperatingSystem,
    Package,
    Severity,
    State,
    SuppressionRule,
)
from sidelight.store import Store
from tests.fixtures.hostile_text import ONE_OF_EACH, is_inert
from tests.fixtures.stored_findings import ACCOUNT, REGION, FakeAdvisory, inventory, scanned
from tests.fixtures.stored_findings import Database as Fake

if TYPE_CHECKING:
    from pathlib import Path

H = f"x{ONE_OF_EACH}y"
STORABLE = H.encode("utf-8", "replace").decode().replace("\0", "")
CLEAN = "i-0123456789abcdef0"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hostile machine and a clean one; a scan that failed with a hostile message."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
    package = Package("deb", H, "1" + H, f"/{H}", f"pkg:deb/{H}@1", arch=H)
    good = [Package("deb", "curl", "1", f"/{n}", "pkg:deb/curl@1") for n in "abc"]
    advisories = {
        H: [FakeAdvisory(f"CVE-2026-1{STORABLE}", severity=Severity.CRITICAL)],
        "curl": [FakeAdvisory("CVE-2026-2", severity=Severity.LOW)],
    }
    machine = replace(inventory(package), os=OperatingSystem("debian", "12", H))
    with Store(url) as store:
        store.migrate()
        scanned(store, Fake(advisories), machine, STORABLE)
        scanned(store, Fake(advisories), inventory(*good), CLEAN)
        store.suppression_rules.save(
            SuppressionRule(
                STORABLE,
                json.dumps({"title": [{"comparison": "EQUALS", "value": STORABLE}]}),
                STORABLE,
            )
        )
        (failed,) = store.scans.create([(ACCOUNT, REGION, "i-2")], "here")
        held = store.scans.claim(failed.id, [State.NEW], 60)
        assert held is not None
        cost = Cost(failed.id, get_calls=1, list_calls=1, blocks=1, bytes=1, seconds=1.0, usd=0.1)
        store.costs.add(cost)
        store.instances.cover([
            Coverage(ACCOUNT, REGION, STORABLE, H, "ACTIVE", "PARTIAL", f"partial: {H}"),
            Coverage(ACCOUNT, REGION, CLEAN, "web", "ACTIVE", "SUCCESSFUL"),
            Coverage(ACCOUNT, REGION, "i-2", H, "INACTIVE", STORABLE[:9], H),
        ])  # fmt: skip
    return url


COMMANDS = [
    ("findings", "--status", "ALL"), ("coverage",), ("status", "--all"),
    ("costs", "--by", "instance"), ("events",), ("suppress", "list"), ("prune",),
]  # fmt: skip


def run(url: str, *arguments: str, status: int = 0, **environment: str) -> str:
    done = CliRunner().invoke(fleet, [*arguments, "--store", url], env=environment)
    assert done.exit_code == status, (done.output, done.exception)
    return done.output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("width", [0, 60, 80, 160])
def test_every_table_of_a_hostile_fleet_is_inert(
    url: str, command: tuple[str, ...], width: int
) -> None:
    size = str(width)
    text = (
        run(url, *command, COLUMNS=size, FORCE_COLOR="1", TERM="xterm")
        if width
        else run(url, *command)
    )
    assert is_inert(re.sub(r"\x1b\[[\d;]*m", "", text))
    text.encode("utf-8")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_document_of_a_hostile_fleet_is_ascii(url: str, command: tuple[str, ...]) -> None:
    text = run(url, *command, "--format", "json")
    assert text.isascii()
    assert is_inert(text)


def found(url: str, *options: str) -> list[dict[str, Any]]:
    return list(json.loads(run(url, "findings", *options, "--format", "json")))


def test_findings_can_be_chosen_and_limited(url: str) -> None:
    assert {row["severity"] for row in found(url)} == {"CRITICAL", "LOW"}
    assert {row["severity"] for row in found(url, "--severity", "low")} == {"LOW"}
    assert len(found(url, "--severity", "low,critical")) == 4
    assert len(found(url, "--severity", "low", "--severity", "Critical")) == 4
    assert found(url, "--severity", "medium") == []
    assert len(found(url, "--limit", "2")) == 2
    assert {row["instance"] for row in found(url, "--instance", "web")} == {CLEAN}
    assert {row["instance"] for row in found(url, "--instance", CLEAN)} == {CLEAN}
    assert found(url, "--sort", "package")[0]["package"]["name"] == "curl"
    assert "not one of" in run(url, "findings", "--severity", "bad", status=2)


def test_an_unknown_instance_is_not_one_without_findings(url: str) -> None:
    for command in ("findings", "coverage"):
        done = CliRunner().invoke(fleet, [command, "--store", url, "--instance", "i-9"])
        assert "no such instance" in str(done.exception)


def test_findings_that_no_update_fixes_can_be_left_out(url: str) -> None:
    row = next(iter(found(url)))
    assert row["fix_available"] in {one.value for one in FixAvailable}
    kept = found(url, "--ignore-unfixed")
    assert [one["arn"] for one in kept] == [
        one["arn"] for one in found(url) if one["fix_available"] != "NO"
    ]
    assert Selection(frozenset(), ignore_unfixed=True) != Selection()


def test_a_findings_row_has_the_instance_s_name_and_the_totals_are_last(url: str) -> None:
    lines = run(url, "findings").splitlines()
    titles = lines[0].split("\t")
    rows = [dict(zip(titles, line.split("\t"), strict=True)) for line in lines[1:5]]
    assert {row["Name"] for row in rows if row["Instance"] == CLEAN} == {"web"}
    assert lines[-1] == "# 4 findings: 1 critical, 3 low; on 2 instances"
    assert lines[-2].startswith("# 2 of 3 instances not scanned, or in part")


def test_paths_of_one_package_are_one_row_on_a_terminal_alone(url: str) -> None:
    options = ("findings", "--instance", "web")
    text = run(url, *options, COLUMNS="160", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")
    assert text.count("CVE-2026-2 ") == 1
    assert "/a +2 paths" in text
    assert run(url, *options).count("\tCVE-2026-2\t") == 3


def test_coverage_can_be_of_one_instance_and_ordered(url: str) -> None:
    lines = run(url, "coverage", "--instance", "web").splitlines()
    assert [line.split("\t")[1] for line in lines[1:-1]] == [CLEAN]
    by = [
        line.split("\t")[6] for line in run(url, "coverage", "--sort", "findings").splitlines()[1:4]
    ]
    assert by == ["1", "", ""]
    assert run(url, "coverage").splitlines()[-1] == (
        "# 3 instances: 2 ACTIVE, 1 INACTIVE; 1 scanned in part"
    )


def test_events_have_no_quotes_of_python(url: str) -> None:
    (line, *_) = [line for line in run(url, "events").splitlines() if CLEAN in line]
    assert line.endswith("LOW CVE-2026-2 - curl")


def test_an_error_of_aws_is_one_inert_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise CloudError(H, where=f"{H}/DescribeInstances", code=H)

    monkeypatch.setattr(root.sidelight, "invoke", fail)
    monkeypatch.setattr(sys, "argv", ["sidelight", "fleet", "status"])
    with pytest.raises(SystemExit):
        root.main()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert is_inert(error)


def test_unreached_account_regions_are_printed_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dispatcher.cli.fleet.scan import _report_unswept

    _report_unswept([UnreachableTarget(ACCOUNT, H, AccessDeniedError(H, where=H))])
    assert is_inert(capsys.readouterr().err)


def test_a_sweeps_summary_has_the_right_singular_and_plural() -> None:
    from dispatcher.sweep import Swept

    swept = Swept(live=(), orphans=("snap-1",), deleted=("snap-1",), failed=(), left=())
    (line,) = report.swept_lines([(AccountRegion(ACCOUNT, REGION), swept)])
    assert "1 orphaned snapshot, 1 deleted" in line


def test_the_file_of_an_output_takes_every_name(tmp_path: Path) -> None:
    from dispatcher.cli.output_file import opened
    from sidelight.report import as_table

    with opened(tmp_path / "out") as file:
        as_table.print_inventory(H, inventory(Package("deb", H, H, H, H)), file)
    assert is_inert((tmp_path / "out").read_text("utf-8"))
