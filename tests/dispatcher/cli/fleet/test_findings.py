"""`sidelight fleet suppress|events|reevaluate|prune`, on a store with a few findings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.fleet.scan import fleet
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.errors import DatabaseError, UsageError
from sidelight.model import ConfiguredListener, FindingStatus, FindingType, Severity
from sidelight.store import Store
from sidelight.store.findings import finding_listing
from tests.fakes.clocks import Clock
from tests.fixtures.network_findings import SSH, observe
from tests.fixtures.stored_findings import Database as Fake
from tests.fixtures.stored_findings import FakeAdvisory, inventory, package, scanned

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Two machines with `a` and `b`, which have a vulnerability each."""
    url = f"sqlite:///{tmp_path}/store.db"
    database = Fake(
        {
            "a": [FakeAdvisory("CVE-2026-1")],
            "b": [FakeAdvisory("CVE-2026-2", severity=Severity.LOW)],
        }
    )
    with Store(url) as store:
        store.migrate()
        for machine in ("i-1", "i-2"):
            scanned(store, database, inventory(package("a"), package("b")), machine)
    return url


def run(url: str, *arguments: str) -> str:
    done = CliRunner().invoke(fleet, [*arguments, "--store", url], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def read(url: str, *arguments: str) -> Any:
    return json.loads(run(url, *arguments, "--format", "json"))


def active(url: str) -> list[tuple[str, str]]:
    rows = read(url, "findings")
    return sorted((row["instance"], row["vulnerability"]) for row in rows)


def events(url: str, *arguments: str) -> list[dict[str, Any]]:
    """The events of findings."""
    lines = run(url, "events", "--types", "findings", "--format", "json", *arguments).splitlines()
    return [json.loads(line) for line in lines]


ALL = [("i-1", "CVE-2026-1"), ("i-1", "CVE-2026-2"), ("i-2", "CVE-2026-1"), ("i-2", "CVE-2026-2")]


def test_a_rule_suppresses_and_without_it_all_is_active_again(url: str) -> None:
    assert active(url) == ALL
    output = run(
        url, "suppress", "add", "ours", "--equals", "vulnerabilityId=CVE-2026-1",
        "--prefix", "resourceId=i-1", "--not-equals", "severity=LOW", "--description", "known",
    )  # fmt: skip
    assert output == "ours: 1 finding changed\n"
    assert active(url) == [one for one in ALL if one != ("i-1", "CVE-2026-1")]
    (suppressed,) = read(url, "findings", "--status", "SUPPRESSED")
    assert (suppressed["instance"], suppressed["vulnerability"]) == ("i-1", "CVE-2026-1")
    assert suppressed["suppression"] == {
        "rule": "ours", "owner": "", "reason": "", "description": "known", "expires_at": None,
    }  # fmt: skip
    assert {row["suppression"] for row in read(url, "findings")} == {None}
    (rule,) = read(url, "suppress", "list")
    assert (rule["name"], rule["description"]) == ("ours", "known")
    assert rule["filterCriteria"] == {
        "vulnerabilityId": [{"comparison": "EQUALS", "value": "CVE-2026-1"}],
        "resourceId": [{"comparison": "PREFIX", "value": "i-1"}],
        "severity": [{"comparison": "NOT_EQUALS", "value": "LOW"}],
    }
    assert "ours" in run(url, "suppress", "list")
    run(url, "suppress", "remove", "ours")
    assert read(url, "suppress", "list") == []
    assert active(url) == ALL


def test_a_rule_from_a_file_is_changed_by_its_name(url: str, tmp_path: Path) -> None:
    file = tmp_path / "criteria.json"
    file.write_text(json.dumps({"resourceId": [{"comparison": "EQUALS", "value": "i-1"}]}))
    assert "2 findings changed" in run(url, "suppress", "add", "x", "--criteria", str(file))
    # A criterion of the same field is an alternative.
    added = run(url, "suppress", "add", "x", "--criteria", str(file), "--equals", "resourceId=i-2")
    assert "2 findings changed" in added
    assert active(url) == []
    assert len(read(url, "suppress", "list")) == 1
    assert "4 findings changed" in run(url, "suppress", "add", "x", "--tag", "team=web")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("add", "x"), UsageError, "no criteria"),
        (("add", "x", "--equals", "severity"), UsageError, "FIELD=VALUE"),
        (("add", "x", "--equals", "weather=fine"), UsageError, "FIELD=VALUE"),
        (("remove", "x"), UsageError, "no such rule"),
    ],
)
def test_a_wrong_rule_is_refused(
    url: str, arguments: tuple[str, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(url, "suppress", *arguments)
    assert active(url) == ALL


def test_events_go_on_after_the_last_one_that_was_dealt_with(url: str) -> None:
    finding_events = events(url)
    assert [event["id"] for event in finding_events] == ["1", "2", "3", "4"]
    assert {event["detail"]["status"] for event in finding_events} == {"ACTIVE"}
    assert [event["resources"] for event in finding_events[:2]] == [["i-1"], ["i-1"]]
    assert events(url, "--after", "3") == finding_events[3:]
    assert events(url, "--after", "4") == []
    run(url, "suppress", "add", "x", "--equals", "resourceId=i-2")
    assert {e["detail"]["status"] for e in events(url, "--after", "4")} == {"SUPPRESSED"}
    lines = run(url, "events", "--types", "findings", "--after", "2").splitlines()
    assert lines[0].split()[0] == "3"
    assert "OPENED i-2" in lines[0]


def built(folder: Path, *names: str, modified: str = "2099-01-01T00:00:00Z") -> Path:
    """A real database that has a vulnerability for each name."""
    rows = [
        {
            "id": f"CVE-2099-{number}",
            "modified": modified,
            "affected": [
                {
                    "package": {"ecosystem": "Debian:12", "name": name},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
                }
            ],
        }
        for number, name in enumerate(names, 1)
    ]
    feed = folder / "feed.jsonl"
    feed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    build([feed], folder / "advisories.db")
    return folder / "advisories.db"


def test_a_new_database_is_matched_with_what_is_stored(url: str, tmp_path: Path) -> None:
    counts = read(url, "reevaluate", "--advisories", str(built(tmp_path, "b", "z")))
    changes = counts["findings"]
    assert (counts["instances"], changes["opened"], changes["closed"]) == (2, 2, 4)
    assert active(url) == [("i-1", "CVE-2099-1"), ("i-2", "CVE-2099-1")]
    kinds = [event["detail"]["status"] for event in events(url, "--after", "4")]
    assert sorted(kinds) == ["ACTIVE"] * 2 + ["CLOSED"] * 4
    again = run(url, "reevaluate", "--advisories", str(tmp_path / "advisories.db"))
    assert "0 instances re-evaluated" in again
    assert "0 findings opened, 0 closed" in again


def test_an_older_database_is_taken_by_the_operators_word_alone(url: str, tmp_path: Path) -> None:
    path = str(built(tmp_path, "b", modified="2026-02-02T00:00:00Z"))
    run(url, "reevaluate", "--advisories", path)
    built(tmp_path, "a", modified="2026-02-01T00:00:00Z")
    with pytest.raises(UsageError, match="--allow-older"):
        run(url, "reevaluate", "--advisories", path)
    assert {row["package"]["name"] for row in read(url, "findings")} == {"b"}
    run(url, "reevaluate", "--advisories", path, "--allow-older")
    assert {row["package"]["name"] for row in read(url, "findings")} == {"a"}


def test_without_a_database_nothing_is_changed(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        run(url, "reevaluate", "--advisories", str(tmp_path / "nowhere.db"))
    assert active(url) == ALL


def test_prune_deletes_findings_closed_long_ago(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    clock = Clock()  # a year that is over: the command's own clock is today's
    with Store(url, clock=clock) as store:
        store.migrate()
        database = Fake({"a": [FakeAdvisory("CVE-2026-1")]})
        scanned(store, database, inventory(package("a"), package("b")))
        clock.advance(DAY)
        scanned(store, database, inventory(package("b")))
    assert len(read(url, "findings", "--status", FindingStatus.CLOSED.value)) == 1
    deleted = read(url, "prune")
    assert deleted["findings"] == 1
    assert deleted["packages"] == 1, "`b` is on the machine still"
    assert read(url, "findings", "--status", "ALL") == []
    assert read(url, "prune")["findings"] == 0
    assert "findings" in run(url, "prune")


def test_the_newest_database_is_left_as_it_is(url: str, tmp_path: Path) -> None:
    path = built(tmp_path, "a")
    run(url, "reevaluate", "--advisories", str(path))
    with AdvisoryDatabase.open(path) as database, Store(url) as store:
        assert store.reevaluation.pending() == 0
        number = len(list(store.findings.rows()))
        assert number == 2, database.sha256


def test_findings_in_pages_are_the_same_text(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = ((), ("--format", "json"), ("--format", "asff"), ("--sort", "vulnerability"))
    whole = [run(url, "findings", *form) for form in forms]
    monkeypatch.setattr(finding_listing, "PAGE", 1)
    assert [run(url, "findings", *form) for form in forms] == whole
    lines = whole[0].splitlines()
    assert [line.split("\t")[2] for line in lines[1:5]] == ["CVE-2026-1"] * 2 + ["CVE-2026-2"] * 2
    assert lines[-1] == "# 4 findings: 2 high, 2 low; on 2 instances"
    assert json.loads(whole[1])[0]["vulnerability"] == "CVE-2026-1"


@pytest.mark.parametrize("page", [1, 2, 500])
@pytest.mark.parametrize("is_filtered", [False, True])
def test_a_limit_says_what_is_left_out(
    url: str, page: int, is_filtered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_listing, "PAGE", page)
    criteria = tmp_path / "criteria.json"
    criteria.write_text('{"severity": [{"comparison": "NOT_EQUALS", "value": "MEDIUM"}]}')
    more = ("--filter", str(criteria)) if is_filtered else ()
    for limit in (1, 2, 3):
        lines = run(url, "findings", "--limit", str(limit), *more).splitlines()
        assert len([line for line in lines if not line.startswith("#")]) == 1 + limit
        assert f"# The first {limit} rows of 4 findings are shown." in lines
        assert lines[-1] == "# 4 findings: 2 high, 2 low; on 2 instances"
    assert "The first" not in run(url, "findings", "--limit", "4", *more)
    assert len(read(url, "findings", "--limit", "3")) == 3


def test_an_unknown_instance_and_no_finding_are_not_alike(url: str) -> None:
    with pytest.raises(UsageError, match="no such instance"):
        run(url, "findings", "--instance", "i-9")
    assert read(url, "findings", "--instance", "i-1", "--status", "CLOSED") == []
    assert run(url, "findings", "--severity", "critical").splitlines()[-1] == "# 0 findings"


def test_json_says_how_a_finding_is_reached_on_whichever_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    sshd = ConfiguredListener("ssh", "TCP", 22, "", "/etc/ssh/sshd_config", 5)
    database = Fake(
        {"openssh-server": [FakeAdvisory("CVE-2026-1")], "b": [FakeAdvisory("CVE-2026-2")]}
    )
    machine = replace(inventory(package("openssh-server"), package("b")), listeners=(sshd,))
    with Store(url) as store:
        store.migrate()
        for name in ("i-0", "i-1", "i-2"):
            scanned(store, database, machine, name)
        observe(store, SSH)
        (network,) = store.findings.rows(kind=FindingType.NETWORK_REACHABILITY)
    for page in (1, 500):
        monkeypatch.setattr(finding_listing, "PAGE", page)
        rows = [row for row in read(url, "findings") if row.get("reached_by")]
        assert [(row["instance"], row["vulnerability"]) for row in rows] == [
            (network.instance, "CVE-2026-1")
        ]
        (way,) = rows[0]["reached_by"]
        assert way["network_finding"] == network.arn
        assert way["listener"]["port"] == 22
