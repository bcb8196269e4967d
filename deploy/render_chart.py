"""Render the chart with Helm's own engine and check every object against its published schema.

Kubernetes' own objects against its OpenAPI schemas, KEDA's against models made from its CRDs: both
refuse an unknown field, a number for a text, and what is missing.

For the linters' environment (lint-requirements.txt): `python deploy/render_chart.py`.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from cloudcoil.models.keda import v1alpha1
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator
from helm_python import Chart
from helm_python.errors import HelmRenderError
from kubernetes_validate import validate

KUBERNETES = "1.33"
CHART = Path(__file__).parent / "helm" / "sidelight"
ALERTS = CHART.parents[1] / "monitoring" / "alerts.yaml"
CASES: tuple[dict[str, Any], ...] = (
    {},
    {"keda": {"enabled": False}, "dispatcher": {"arguments": ["--organization"]}},
    {
        "advisories": {"bundle": "s3://advisories/a.bundle", "publicKeyConfigMap": "key"},
        "networkPolicy": {"enabled": False},
        "image": {"digest": f"sha256:{'0' * 64}"},
    },
    {"alerts": {"enabled": True, "labels": {"release": "monitoring"}}},
    {"reader": {"enabled": True, "roleName": "Blocks", "annotations": {"role": "blocks"}}},
)


# What the Prometheus scaler takes (KEDA's documentation): the CRD lets any text be a trigger's.
PROMETHEUS = {"serverAddress", "query", "threshold", "activationThreshold", "ignoreNullValues"}
# A broken object each, so that a schema that lets everything pass is noticed.
WRONG: tuple[dict[str, Any], ...] = (
    {"minReplicas": 1}, {"minReplicaCount": "1"}, {"triggers": None},
    {"triggers": [{"type": "prometheus", "metadata": {"threshold": 4}}]},
)  # fmt: skip


def check_keda(one: dict[str, Any]) -> None:
    """Raise ValueError for what KEDA would refuse."""
    kind = getattr(v1alpha1, one["kind"])
    kind.model_validate(one, strict=True, extra="forbid")
    for trigger in one["spec"]["triggers"]:
        if trigger["type"] != "prometheus" or set(trigger["metadata"]) - PROMETHEUS:
            raise ValueError(f"an unknown trigger: {trigger}")
    for wrong in WRONG:
        try:
            kind.model_validate(one | {"spec": one["spec"] | wrong}, strict=True, extra="forbid")
        except ValueError:
            continue
        raise AssertionError(f"{wrong} would pass")


def check_alerts(one: dict[str, Any], values: dict[str, Any]) -> None:
    """Raise ValueError for what the Prometheus operator would refuse, or where rules were changed.

    The rules have templates of their own, which Helm must leave as they are.
    """
    kind = prometheus_operator.PrometheusRule
    kind.model_validate(one, strict=True, extra="forbid")
    broken: tuple[dict[str, Any], ...] = (
        {"groups": [{"rules": []}]},
        {"groups": [{"name": "a", "rules": [{"for": 1}]}]},
    )
    for wrong in broken:
        try:
            kind.model_validate(one | {"spec": wrong}, strict=True, extra="forbid")
        except ValueError:
            continue
        raise AssertionError(f"{wrong} would pass")
    labels = values["alerts"]["labels"]
    if one["spec"] != yaml.safe_load(ALERTS.read_text()) or not (
        labels.items() <= one["metadata"]["labels"].items()
    ):
        raise ValueError("the rules are not those of the file, or have other labels")


def check_reader(objects: list[dict[str, Any]], values: dict[str, Any]) -> None:
    """Raise ValueError unless the pods that read disks, and no others, have its account."""
    names = values.get("reader", {})
    accounts = [one for one in objects if one["kind"] == "ServiceAccount"]
    own = [one for one in accounts if one["metadata"]["name"] == "r-sidelight-reader"]
    if [one["metadata"]["annotations"] for one in own] != [names.get("annotations")] * bool(names):
        raise ValueError("the reader's service account is not there, or is there unasked")
    for one in objects:
        if one["kind"] != "Deployment":
            continue
        pod = one["spec"]["template"]["spec"]
        container = pod["containers"][0]
        reads = "inspect" in container["args"]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        roles = variables["SIDELIGHT_ROLE_NAME"], variables["SIDELIGHT_READER_ROLE_NAME"]
        expected = ("SidelightTarget", names.get("roleName", ""))
        if roles != (("Blocks", "") if reads else expected):
            raise ValueError(f"{one['metadata']['name']} assumes {roles}")
        if (pod["serviceAccountName"] == "r-sidelight-reader") != reads:
            raise ValueError(f"{one['metadata']['name']} has another's role")
    stages = [each for one in objects if one["kind"] == "Deployment"
              for each in ("inspect", "evaluate")
              if each in one["spec"]["template"]["spec"]["containers"][0]["args"]]  # fmt: skip
    if stages != ["inspect", "evaluate"] * bool(names):
        raise ValueError(f"pools of {stages}")


def check_names() -> None:
    """Raise AssertionError unless names that Kubernetes would refuse are refused here.

    Helm takes releases of 53 characters. A label's value has 63 at most, and a CronJob's name 52,
    since its jobs' names are 11 longer.
    """
    without_job: dict[str, Any] = {"advisories": {"update": False}}
    cases: tuple[tuple[dict[str, Any], int, bool], ...] = (
        ({}, 41, True), ({}, 42, False), (without_job, 42, True), (without_job, 53, False),
    )  # fmt: skip
    for values, length, is_taken in cases:
        try:
            with Chart.load(CHART) as chart:
                chart.render(values, name="r" * length)
        except HelmRenderError as error:
            if is_taken or "a shorter name" not in str(error):
                raise
        else:
            if not is_taken:
                raise AssertionError(f"a release of {length} characters is taken")


def main() -> None:
    """Print how many objects are right; a traceback where one is not."""
    check_names()
    for values in CASES:
        with Chart.load(CHART) as chart:
            rendered = chart.render(values, name="r")
        notes = [text for name, text in rendered.items() if name.endswith("NOTES.txt")]
        if not notes or "sidelight doctor" not in notes[0]:
            raise AssertionError("the notes are missing")
        texts = [text for name, text in rendered.items() if not name.endswith("NOTES.txt")]
        objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
        for one in objects:
            if one["apiVersion"].startswith("keda.sh/"):
                check_keda(one)
            elif one["kind"] == "PrometheusRule":
                check_alerts(one, values)
            else:
                validate(one, KUBERNETES, strict=True)
        check_reader(objects, values)
        wants_alerts = bool(values.get("alerts"))
        if wants_alerts != any(one["kind"] == "PrometheusRule" for one in objects):
            raise AssertionError("the alerts are not there, or are there unasked")
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(o["kind"] for o in objects).items())
        sys.stdout.write(f"{kinds}: {values or 'the default values'}\n")


if __name__ == "__main__":
    main()
