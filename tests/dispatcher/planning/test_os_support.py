"""Which method reads which operating system: the included table, and an operator's own over it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discovery.os_support_file import support_table
from dispatcher.planning.decisions import Method
from dispatcher.planning.eligibility import AgentView, Configuration, judge
from dispatcher.planning.facts import OsSupport
from dispatcher.planning.os_support import included, table_of
from sidelight.errors import UsageError
from sidelight.model import Instance, ManagedInstance, PingStatus, PlatformType, Volume

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LINUX = PlatformType.LINUX
OWN = {
    "source": "our own image team",
    "checked": "2026-12-01",
    "operating_systems": [
        {"prefix": "Debian GNU/Linux 9", "agent_based": False, "agentless": True},
        {"prefix": "Debian GNU/Linux 1", "agent_based": False, "agentless": False},
        {"prefix": "Alpine", "agent_based": True, "agentless": True},
        {"prefix": "Microsoft Windows Server 2012", "platform": "Windows", "agent_based": False,
         "agentless": False},
    ],
}  # fmt: skip


def written(folder: Path, document: object) -> str:
    (folder / "support.json").write_text(json.dumps(document))
    return str(folder / "support.json")


def test_the_included_table_has_a_source_a_day_and_every_platform() -> None:
    table = included()
    assert "docs/filesystem-features.md" in table.source
    assert table.checked > date(2026, 1, 1)
    assert set(table.platforms) == set(PlatformType)
    assert support_table("") is table


def test_an_operators_rows_go_before_the_included_ones(tmp_path: Path) -> None:
    table = support_table(written(tmp_path, OWN))

    assert table.of(LINUX, "Alpine Linux", "3.21") is OsSupport.BOTH
    assert table.of(LINUX, "Debian GNU/Linux", "9.13") is OsSupport.AGENTLESS
    assert table.of(LINUX, "Debian GNU/Linux", "12") is OsSupport.BOTH, "not Debian 1"
    assert table.of(LINUX, "Gentoo") is OsSupport.AGENTLESS, "as included"
    assert table.of(PlatformType.WINDOWS, "Microsoft Windows Server 2012 R2") is OsSupport.NEITHER
    assert table.of(PlatformType.WINDOWS, "Alpine") is OsSupport.AGENT_BASED
    assert table.of(PlatformType.MACOS, "macOS", "15") is OsSupport.AGENT_BASED
    assert (table.source, table.checked) == ("our own image team", date(2026, 12, 1))


def test_the_longest_row_that_includes_a_system_decides() -> None:
    rows = [
        {"prefix": "Ubuntu", "agent_based": False, "agentless": True},
        {"prefix": "Ubuntu 22.04", "agent_based": True, "agentless": False},
    ]
    for order in (rows, rows[::-1]):
        table = table_of(json.dumps(OWN | {"operating_systems": order}), "own").above(included())
        assert table.of(LINUX, "Ubuntu", "22.04") is OsSupport.AGENT_BASED
        assert table.of(LINUX, "ubuntu", "24.04") is OsSupport.AGENTLESS


def test_an_operators_table_decides_how_an_instance_is_scanned(tmp_path: Path) -> None:
    volumes = (Volume("vol-1", "/dev/xvda", 8),)
    instance = Instance("i-1", "123456789012", "us-east-1", "running", volumes)
    managed = ManagedInstance("i-1", PingStatus.ONLINE, platform_type=LINUX, inventory_at=NOW,
                              platform_name="Debian GNU/Linux", platform_version="9")  # fmt: skip
    agent, own = AgentView(managed, NOW), support_table(written(tmp_path, OWN))

    assert judge(instance, Configuration(), agent=agent).method is Method.AGENT_BASED
    verdict = judge(instance, Configuration(os_support=own), agent=agent)
    assert verdict.method is Method.AGENTLESS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"source": ""}, "source is not text"),
        ({"checked": "soon"}, "Invalid isoformat"),
        ({"checked": None}, "checked is not text"),
        ({"platforms": []}, "platforms is not an object"),
        ({"platforms": {"BeOS": {"agent_based": True, "agentless": True}}}, "BeOS"),
        ({"operating_systems": {}}, "operating_systems is not a list"),
        ({"operating_systems": [{}] * 1001}, "at most 1000 rows"),
        ({"operating_systems": ["Debian"]}, "row 0 is not an object"),
        ({"operating_systems": [{"prefix": "x", "agent_based": 1, "agentless": True}]}, "row 0"),
        ({"operating_systems": [{"agent_based": True, "agentless": True}]}, "prefix is not text"),
        ({"operating_systems": [
            {"prefix": "x", "agent_based": True, "agentless": True, "platform": []}]}, "\\[\\]"),
    ],
)  # fmt: skip
def test_another_shape_is_an_error_with_its_place(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        support_table(written(tmp_path, OWN | change))

    assert caught.value.where.endswith("support.json")


@pytest.mark.parametrize("text", ["", "[", "[]", "1", "[" * 100_000])
def test_a_file_that_is_no_table_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.json").write_text(text)

    with pytest.raises(UsageError, match="not a table of operating systems"):
        support_table(str(tmp_path / "own.json"))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        support_table(str(tmp_path / "absent.json"))
