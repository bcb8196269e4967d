"""Format Celery's log lines with our formatter, which escapes hostile text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery.signals import after_setup_logger, after_setup_task_logger

from sidelight.report.logs import LogFormatter

if TYPE_CHECKING:
    import logging

FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"


def use() -> None:
    """Format the workers' logs from now on, in this process and its forks."""
    after_setup_logger.connect(_format)
    after_setup_task_logger.connect(_format)


def _format(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.setFormatter(LogFormatter(FORMAT))
