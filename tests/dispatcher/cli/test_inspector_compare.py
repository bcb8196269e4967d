"""`sidelight inspector compare` against Sidelight's own API, and with saved answers."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.text import Text

from dispatcher.cli import root
from dispatcher.cli.exit_status import DONE, PARTIAL, WRONG_USAGE
from dispatcher.cli.inspector.comparison_csv import write_comparison
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fixtures.api_calls import ApiCaller
from tests.fixtures.api_requests import SEAL_TEXT, issued
from tests.fixtures.document_schemas import conform
from tests.fixtures.http_servers import served
from tests.fixtures.searched_findings import ACCOUNTS, REGIONS, fill

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

OWN = ACCOUNTS[0]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with findings of every kind, in three accounts and two Regions."""
    url = f"sqlite:///{tmp_path}/store.db"
    with Store(url) as store:
        store.migrate()
        fill(store, 7, covers=True)
    return url


def run(url: str, *arguments: object) -> Result:
    words = ["inspector", "compare", *map(str, arguments), "--store", url]
    return CliRunner().invoke(root.sidelight, words, catch_exceptions=False)


def read(url: str, *arguments: object, status: int = DONE) -> Any:
    done = run(url, *arguments, "--format", "json")
    assert done.exit_code == status, done.output
    document = json.loads(done.stdout)
    conform("inspector-comparison", document)
    return document


@pytest.fixture
def saved(url: str, tmp_path: Path) -> dict[str, Path]:
    """All answers of one account by Sidelight's API, as `aws inspector2 … >> FILE` saves pages."""
    files = {}
    with Store(url) as store:
        caller = ApiCaller(store, OWN)
        for operation, member in (
            ("ListFindings", "findings"),
            ("ListCoverage", "coveredResources"),
        ):
            pages = caller.pages(operation, member, maxResults=7)
            file = tmp_path / f"{operation}.json"
            texts = (
                json.dumps({member: page}, default=lambda at: at.isoformat()) for page in pages
            )
            file.write_text("\n".join(texts))
            files[member] = file
    return files


def equal(document: Any) -> None:
    """Fail unless both report all findings, without a difference."""
    assert document["findings"], "nothing was compared"
    assert [(total["verdict"], total["cause"]) for total in document["totals"]] == [
        ("BOTH", "SAME")
    ]


def test_sidelights_own_answers_are_equal(url: str, saved: dict[str, Path]) -> None:
    document = read(url, *saved.values())
    equal(document)
    with Store(url) as store:
        rows = [
            row for row in store.findings.rows(account=OWN, status=None) if row.status != "CLOSED"
        ]
    assert len(document["findings"]) == len(rows)
    assert {row["verdict"] for row in document["coverage"]} <= {"BOTH", "NEITHER"}
    assert document["unreadable"] == 0


@pytest.mark.services
@pytest.mark.enable_socket
def test_boto3_against_sidelights_own_api_compares_as_equal(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.of(
        broker_url="redis://127.0.0.1:1/0", access_seal=SEAL_TEXT, api_calls_per_second=1e6,
        api_burst=10**6,
    )  # fmt: skip
    with Store(url) as store, served(store, settings) as server:
        key = issued(store, account=OWN)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.key.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
        monkeypatch.setenv("AWS_ENDPOINT_URL_INSPECTOR2", server.url)
        regions = [word for region in REGIONS for word in ("--region", region)]
        document = read(url, "--account", OWN, *regions)
        # The second account's key is another's: nothing of it is visible, which is not "clean".
        other = read(url, "--account", OWN, "--account", ACCOUNTS[1], *regions)
    equal(document)
    assert [place["coverage_read"] for place in document["compared"]] == [True, True]
    alone = {row["account"] for row in other["findings"] if row["verdict"] != "BOTH"}
    assert alone == {ACCOUNTS[1]}


def test_a_page_that_is_missing_shows_as_only_sidelights(
    url: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    first = tmp_path / "first.json"
    first.write_text(saved["findings"].read_text().partition("\n")[0])
    document = read(url, first, saved["coveredResources"])
    verdicts = {total["verdict"] for total in document["totals"]}
    assert verdicts == {"BOTH", "ONLY_SIDELIGHT"}


def test_scope_and_instance_restrict_both_sides(url: str, saved: dict[str, Path]) -> None:
    region = REGIONS[0]
    document = read(url, *saved.values(), "--region", region)
    assert {row["region"] for row in document["findings"]} == {region}
    instance = document["findings"][0]["instance"]
    one = read(url, *saved.values(), "--instance", instance)
    assert {row["instance"] for row in [*one["findings"], *one["coverage"]]} == {instance}
    equal(one)


def test_without_coverage_that_is_said_and_not_guessed(url: str, saved: dict[str, Path]) -> None:
    document = read(url, saved["findings"])
    assert [place["coverage_read"] for place in document["compared"]] == [False] * len(REGIONS)
    assert document["coverage"] == []
    assert "was not read: fewer causes are known" in run(url, saved["findings"]).output


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is empty"),
        ("{", "document 1 is not JSON"),
        ("[]", "document 1 is not an object"),
        ('{"Findings": []}', "needs the answer of"),
        ('{"findings": 7}', "findings is not a list"),
        ('{"findings": []}', "give --account and --region"),
        ("[" * 100_000, "document 1 is not JSON"),
    ],
)
def test_a_file_of_something_else_is_refused(
    url: str, tmp_path: Path, text: str, error: str
) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text)
    status = root.run(["inspector", "compare", str(file), "--store", url])
    assert status == WRONG_USAGE
    done = CliRunner().invoke(root.sidelight, ["inspector", "compare", str(file), "--store", url])
    assert error in str(done.exception)


def test_empty_answers_of_a_named_scope_are_compared(url: str, tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text('{"findings": []}')
    document = read(url, file, "--account", OWN, "--region", REGIONS[0])
    assert {total["verdict"] for total in document["totals"]} == {"ONLY_SIDELIGHT"}


def test_damaged_items_are_reported_with_their_place_and_status_3(
    url: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "damaged.json"
    file.write_text('{"findings": [{"type": 7}]}')
    document = read(url, *saved.values(), file, status=PARTIAL)
    assert document["unreadable"] == 1
    assert document["problems"][0]["where"] == f"{file}: document 1: finding 1"


def test_an_ssm_inventory_explains_packages_that_it_does_not_list(
    url: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    other = tmp_path / "ssm.json"
    other.write_text('{"InstanceId": "i-1", "TypeName": "AWS:Network", "Entries": []}')
    done = root.run(
        [
            "inspector",
            "compare",
            *map(str, saved.values()),
            "--ssm-inventory",
            str(other),
            "--store",
            url,
        ]
    )
    assert done == WRONG_USAGE
    names = [{"Name": "bash"}, {"Name": 7}, "x"]
    other.write_text(
        json.dumps({"InstanceId": "i-1", "TypeName": "AWS:Application", "Entries": names})
    )
    equal(read(url, *saved.values(), "--ssm-inventory", other))


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_the_table_fits_80_columns(
    url: str, saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first.json"
    first.write_text(saved["findings"].read_text().partition("\n")[0])
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    words = ["inspector", "compare", str(first), str(saved["coveredResources"]), "--store", url]
    assert root.run(words) == DONE
    lines = [Text.from_ansi(line).plain for line in terminal.getvalue().splitlines()]
    assert lines[0].split() == ["Findings", "Reported", "by", "Cause"]
    assert max(map(len, lines)) <= 80
    assert any("only Sidelight" in line for line in lines)


def test_csv_has_findings_and_coverage_in_one_table_with_their_causes(
    url: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    document = read(url, *saved.values())
    output = tmp_path / "out.csv"
    done = run(url, *saved.values(), "--format", "csv", "--output", output)
    assert done.exit_code == DONE, done.output
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [row["record"] for row in rows] == (
        ["finding"] * len(document["findings"]) + ["coverage"] * len(document["coverage"])
    )
    for row, found in zip(rows, [*document["findings"], *document["coverage"]], strict=True):
        causes = found["causes"]
        assert row["verdict"] == found["verdict"]
        assert row["cause"] == (causes[0]["cause"] if causes else "")
        assert (row["account"], row["instance"]) == (found["account"], found["instance"])
        for side in ("sidelight", "inspector"):
            evidence = found[side] or {}
            own = row[f"{side}_vulnerability"] or row[f"{side}_status_code"]
            assert own == (evidence.get("vulnerability") or evidence.get("status_code") or "")


def test_a_cell_that_a_spreadsheet_would_run_is_made_inert() -> None:
    file = io.StringIO()
    hostile = "=HYPERLINK(1)"
    document: Any = {
        "findings": [
            {
                "verdict": "BOTH", "account": "1", "region": "r", "instance": hostile, "type": "T",
                "causes": [
                    {"cause": "SAME", "evidence": hostile}, {"cause": "LVM", "evidence": "b"},
                ],
                "sidelight": {"package": hostile, "advisories": ["not a column"]},
                "inspector": None,
            }
        ],
        "coverage": [],
    }  # fmt: skip
    write_comparison(document, file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert {row["instance"], row["evidence"], row["sidelight_package"]} == {f"'{hostile}"}
    assert row["other_causes"] == "LVM: b"
