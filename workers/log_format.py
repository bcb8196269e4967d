"""Format Celery's log lines with our formatters, which escape hostile text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from celery.signals import after_setup_logger, after_setup_task_logger

from sidelight.report.json_logs import JsonLogFormatter
from sidelight.report.log_context import log_fields
from sidelight.report.logs import LogFormatter

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
_SCAN: Final = re.compile(r"\('([0-9a-f]{32})',?\)")


class WorkerJsonFormatter(JsonLogFormatter):
    """JSON lines; Celery's own lines of a task have its name and its scan."""

    def fields(self, record: logging.LogRecord) -> Mapping[str, str]:
        """Return what the record belongs to, by its context or by Celery's data of the task."""
        data = getattr(record, "data", None)
        known = {"process": str(record.processName), **log_fields()}
        if not isinstance(data, dict) or "name" not in data:
            return known
        task = {"task": str(data["name"]), "stage": str(data["name"]).rpartition(".")[2]}
        scan = _SCAN.fullmatch(str(data.get("args", "")))
        return known | task | ({} if scan is None else {"scan": scan[1]})


_json: list[bool] = []  # not empty: lines are JSON


def use(*, as_json: bool = False) -> None:
    """Format the workers' logs from now on, in this process and its forks."""
    _json[:] = [True] if as_json else []
    after_setup_logger.connect(_format)
    after_setup_task_logger.connect(_format)


def _format(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.setFormatter(WorkerJsonFormatter() if _json else LogFormatter(FORMAT))
