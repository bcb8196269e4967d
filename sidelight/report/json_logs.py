"""Log lines as JSON, one object a record, in ASCII: hostile text is escaped and cannot end a line.

Members: `time` (UTC), `level`, `logger`, `message`, then those of the record's context that exist:
`scan`, `account`, `region`, `instance`, `stage`; `error` with `type`, `message` and `traceback`.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidelight.report.log_context import log_fields
from sidelight.report.logs import MAX_RECORD, MAX_TRACEBACK, configure

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ERROR = 4 * MAX_RECORD  # characters of a traceback, of its end


class JsonLogFormatter(logging.Formatter):
    """A formatter whose every record is one line of JSON, of bounded length."""

    def fields(self, _record: logging.LogRecord) -> Mapping[str, str]:
        """Return what the record belongs to."""
        return log_fields()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _bounded(_message(record), MAX_RECORD),
        }
        for name, value in self.fields(record).items():
            document[name] = _bounded(value, MAX_RECORD)
        if record.exc_info and record.exc_info[1] is not None:
            kind, error, _ = record.exc_info
            trace = self.formatException(record.exc_info).split("\n")
            document["error"] = {
                "type": kind.__name__ if kind is not None else "",
                "message": _bounded(str(error), MAX_RECORD),
                "traceback": "\n".join(trace[-MAX_TRACEBACK:])[-MOST_ERROR:],
            }
        return json.dumps(document)


def configure_logs(*, as_json: bool) -> None:
    """Log to standard error, as lines for people or as JSON."""
    configure(formatter=JsonLogFormatter() if as_json else None)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError, LookupError) as error:
        return f"{record.msg!r}: {error!r}"


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... [{len(text) - most} characters more]"
