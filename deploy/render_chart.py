"""Render the chart with Helm's own engine and check every object against Kubernetes' schemas.

For the linters' environment (lint-requirements.txt): `python deploy/render_chart.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart
from kubernetes_validate import validate

KUBERNETES = "1.33"
CHART = Path(__file__).parent / "helm" / "sidelight"
CASES: tuple[dict[str, Any], ...] = (
    {},
    {"keda": {"enabled": False}, "dispatcher": {"arguments": ["--organization"]}},
)


def main() -> None:
    """Print how many objects are right; a traceback where one is not."""
    for values in CASES:
        with Chart.load(CHART) as chart:
            texts = chart.render(values, name="r").values()
        objects = [one for text in texts for one in yaml.safe_load_all(text) if one]
        for one in objects:
            if not one["apiVersion"].startswith("keda.sh/"):
                validate(one, KUBERNETES, strict=True)
        sys.stdout.write(f"{len(objects)} objects, {values or 'the default values'}\n")


if __name__ == "__main__":
    main()
