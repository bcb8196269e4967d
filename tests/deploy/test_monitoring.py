"""Dashboard and alerts ask for what exists; each alert is tested and explained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dispatcher.api import metrics
from dispatcher.services.cached_value import RefreshingValue
from dispatcher.services.fleet_totals import sums
from sidelight.fleet.settings import Settings
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
_SELECTOR = re.compile(r"(sidelight_\w+)(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"by \(([^)]*)\)")


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def queries() -> Iterator[str]:
    for panel in json.loads((MONITORING / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for alert in alerts():
        yield alert["expr"]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The metrics that a scrape has, by the name of their samples."""
    directory = tmp_path_factory.mktemp("store")
    settings = Settings.of(store_url=f"sqlite:///{directory}/store.db", broker_url="memory://")
    with Store(settings.store.url) as store, pytest.MonkeyPatch.context() as patch:
        store.migrate()
        patch.setattr(metrics, "depths", lambda *_: {})
        collector = metrics.FleetCollector(store, settings, RefreshingValue(lambda: sums(store)))
        collected = [*collector.collect(), *feeds(patch)]
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in collected
    }


@pytest.fixture(scope="module")
def labels(families: dict[str, Any]) -> dict[str, set[str]]:
    """The labels of each metric."""
    return {name: set(getattr(family, "_labelnames", ())) for name, family in families.items()}


def feeds(patch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The metrics of advisories, of a database with a feed."""

    class Feed:
        name, error = "debian", ""

        def age(self, now: datetime) -> Any:
            return now - now

    class Ages:
        built_at, feeds = datetime(2026, 1, 1, tzinfo=UTC), (Feed(),)

    patch.setattr(metrics, "ages_of", lambda _: Ages())
    return metrics.advisories(Settings.of(advisories="a.db"), datetime.now(UTC))


def test_every_query_names_metrics_and_labels_that_exist(labels: dict[str, set[str]]) -> None:
    wrong = []
    for query in queries():
        known: set[str] = set()
        for name, selector in _SELECTOR.findall(query):
            if name not in labels:
                wrong.append(f"{name} in {query}")
                continue
            known |= labels[name]
            named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector or ""))
            wrong += [f"{name}{{{label}}} in {query}" for label in named - labels[name]]
        for group in _GROUPING.findall(query):
            group_labels = {label.strip() for label in group.split(",")}
            wrong += [f"by {label} in {query}" for label in group_labels - known]
    assert wrong == []


def test_every_metric_of_work_money_and_results_is_shown(labels: dict[str, set[str]]) -> None:
    shown = {name for query in queries() for name, _ in _SELECTOR.findall(query)}
    left_out = {
        "sidelight_budget_handed_back_total", "sidelight_findings_by_status",
        "sidelight_get_calls_total", "sidelight_list_calls_total",
        "sidelight_read_cpu_seconds_total", "sidelight_read_seconds_total",
    }  # fmt: skip
    assert labels.keys() - shown == left_out


def test_the_document_lists_every_metric_with_its_labels_as_a_scrape_explains_it(
    families: dict[str, Any],
) -> None:
    text = (ROOT / "docs" / "watching.md").read_text()
    rows = re.findall(r"^\| `(sidelight_\w+)` \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [
        (
            name,
            ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ())),
            family.documentation,
        )
        for name, family in families.items()
    ]


def test_the_dashboard_has_no_source_of_its_own_and_no_panel_twice() -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken), "panels overlap"


def test_every_alert_has_a_section_of_the_runbook_that_names_it() -> None:
    sections: dict[str, str] = {}
    for section in (ROOT / "docs" / "runbook.md").read_text().split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        sections[title.lower().replace(" ", "-")] = text
    for alert in alerts():
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert page == "docs/runbook.md"
        assert alert["alert"] in sections[anchor]
    for title, text in sections.items():
        for part in ("**You see**", "**Do**", "**It is over** when"):
            assert part in text, title


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for case in yaml.safe_load((MONITORING / "alerts.test.yaml").read_text())["tests"]:
        for check in case["alert_rule_test"]:
            (fires if check.get("exp_alerts") else silent).add(check["alertname"])
    names = {alert["alert"] for alert in alerts()}
    assert names == fires == silent


@pytest.mark.services
@pytest.mark.slow
def test_prometheus_accepts_the_rules_and_the_queries_and_the_alerts_fire(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is absent")
    rules = [
        {"record": f"q:{number}", "expr": re.sub(r"\$account", ".*", query)}
        for number, query in enumerate(queries())
    ]
    queries_file = tmp_path / "queries.yaml"
    queries_file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    for words in (
        ["check", "rules", "alerts.yaml", str(queries_file)],
        ["test", "rules", "alerts.test.yaml"],
    ):
        done = subprocess.run(
            ["promtool", *words], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
