"""The chart's values: its schema takes the default ones and refuses what is misspelt."""

from __future__ import annotations

import json
import subprocess
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.fixtures.iam_policies import DEPLOY

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = DEPLOY / "helm" / "sidelight"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def errors(values: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(values)]


def paths(values: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Each object of the values whose members the chart names."""
    for name, value in values.items():
        if isinstance(value, dict) and name not in {
            "settings",
            "annotations",
            "resources",
            "labels",
        }:
            yield (name,)
            yield from ((name, *path) for path in paths(value))


def test_the_default_values_pass_and_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert errors(VALUES) == []


@pytest.mark.parametrize("path", [(), *paths(VALUES)], ids=".".join)
def test_a_value_that_nothing_reads_is_refused(path: tuple[str, ...]) -> None:
    values = deepcopy(VALUES)
    place = values
    for name in path:
        place = place[name]
    place["replicaz"] = 2
    assert errors(values)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("image", "digest"), "sha256:short"), (("settings", "SIDELIGHT_AGENTS"), True),
        (("settings", "OTHER"), "1"), (("dispatcher", "replicas"), 0), (("region",), "Europe"),
        (("keda", "enabled"), "yes"), (("workers",), []), (("advisories", "schedule"), "often"),
        (("advisories", "bundle"), "ftp://host/b"), (("networkPolicy", "serveFrom"), []),
        (("networkPolicy", "serveFrom"), [{}]), (("softShutdownSeconds",), "60"),
        (("alerts", "enabled"), "yes"), (("alerts", "labels"), ["release"]),
        (("reader", "enabled"), "yes"), (("reader", "roleName"), "arn:aws:iam::1:role/x"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused(path: tuple[str, ...], value: object) -> None:
    values = deepcopy(VALUES)
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert errors(values)


def test_the_alerts_of_the_chart_and_of_prometheus_are_one_file() -> None:
    rules = CHART / "files" / "alerts.yaml"
    assert (DEPLOY / "monitoring" / "alerts.yaml").resolve() == rules.resolve()
    assert VALUES["alerts"] == {"enabled": False, "labels": {}}
    template = (CHART / "templates" / "alerts.yaml").read_text()
    assert '.Files.Get "files/alerts.yaml"' in template


@pytest.mark.slow
@pytest.mark.skipif(
    not (DEPLOY.parent / ".lint" / "bin" / "python").exists(),
    reason="Helm's engine is in .lint, by `make deploy`",
)
def test_helm_renders_objects_that_kubernetes_and_the_operators_take() -> None:
    done = subprocess.run(
        [DEPLOY.parent / ".lint" / "bin" / "python", DEPLOY / "render_chart.py"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 PrometheusRule" in done.stdout
