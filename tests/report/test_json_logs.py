"""Log lines as JSON: one object a record, inert, bounded, with what they belong to."""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import copy_context
from typing import Any

import pytest

from sidelight.errors import UsageError
from sidelight.fleet.settings import Settings
from sidelight.report.json_logs import JsonLogFormatter
from sidelight.report.log_context import log_fields, logged_as
from sidelight.report.logs import MAX_RECORD
from tests.fixtures.hostile_text import is_inert
from workers.log_format import WorkerJsonFormatter


def line(message: str, *arguments: object, **members: Any) -> dict[str, Any]:
    record = logging.LogRecord("sidelight.x", logging.INFO, "x", 1, message, arguments, None)
    record.__dict__ |= members
    text = WorkerJsonFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()
    document: dict[str, Any] = json.loads(text)
    return document


def test_a_hostile_text_is_one_inert_line_and_keeps_its_characters() -> None:
    hostile = '\x1b[2J\n{"level": "INFO", "scan": "forged"}\u202e\udcff'
    document = line("%s", hostile)
    assert document["message"] == hostile
    assert "scan" not in document
    record = logging.LogRecord("n", logging.INFO, "x", 1, hostile, (), None)
    assert is_inert(JsonLogFormatter().format(record))


def test_a_line_has_the_fields_of_its_context_in_threads_too() -> None:
    seen: list[dict[str, str]] = []
    with logged_as(scan="s1", account="1"), logged_as(stage="inspect"):
        document = line("read")
        context = copy_context()
    thread = threading.Thread(target=context.run, args=(lambda: seen.append(dict(log_fields())),))
    thread.start()
    thread.join()
    assert document["scan"] == "s1"
    assert document["stage"] == "inspect"
    assert seen == [{"scan": "s1", "account": "1", "stage": "inspect"}]
    assert log_fields() == {}


def test_an_error_is_a_member_and_bounded() -> None:
    def fail() -> None:
        raise ValueError("\x1b" + "x" * 100_000)

    try:
        fail()
    except ValueError:
        document = line("failed", exc_info=sys.exc_info())
    error = document["error"]
    assert error["type"] == "ValueError"
    assert "more]" in error["message"]
    assert error["traceback"].endswith("x")
    assert len(json.dumps(document)) < 12 * MAX_RECORD


def test_arguments_that_do_not_fit_are_logged_all_the_same() -> None:
    assert "TypeError" in line("%d", "x")["message"]


def test_celerys_lines_have_task_and_scan() -> None:
    scan = "0123456789abcdef" * 2
    data = {"name": "sidelight.inspect", "args": f"('{scan}',)"}
    document = line("Task succeeded", data=data)
    assert (document["task"], document["stage"]) == ("sidelight.inspect", "inspect")
    assert document["scan"] == scan
    assert "scan" not in line("Task succeeded", data=data | {"args": "('forged',)"})


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_LOG_FORMAT"):
        _ = Settings.of(log_format="xml").logs.is_json
