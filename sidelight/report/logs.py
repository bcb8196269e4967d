"""Log lines with hostile text escaped: one record is one line, of bounded length."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from sidelight.report.escape import printable

if TYPE_CHECKING:
    from types import TracebackType

MAX_RECORD = 8192  # characters of a record's line
MAX_TRACEBACK = 200  # lines of a traceback; the end is kept, since it names the error
DEBUG = "SIDELIGHT_DEBUG"
PACKAGES = ("sidelight", "workers", "dispatcher")


class LogFormatter(logging.Formatter):
    """A formatter whose text is `printable`.

    A message with a newline cannot pretend to be two records: it is escaped. A traceback keeps its
    lines, each indented, so that none looks like a record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The record's line."""
        return printable(super().formatMessage(record), MAX_RECORD)

    def formatException(  # noqa: N802 - logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """The traceback."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """The stack."""
        return _indented(stack_info)

    def format(self, record: logging.LogRecord) -> str:
        """Format the record; another formatter's text of its traceback is escaped as well."""
        text = None if record.exc_info else record.exc_text
        record.exc_text = _indented(text) if text else None
        try:
            return super().format(record)
        except (TypeError, ValueError, KeyError, LookupError) as error:
            # The arguments do not fit the message: logging would print a traceback to stderr.
            return printable(f"{record.levelname} {record.msg!r}: {error!r}", MAX_RECORD)
        finally:
            record.exc_text = None


def configure(
    form: str = "%(asctime)s %(levelname)s %(message)s", formatter: logging.Formatter | None = None
) -> None:
    """Log to standard error: Sidelight's records from INFO on, libraries' from WARNING on.

    `formatter` replaces the text of `form`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter or LogFormatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO)


def guard_last_resort() -> None:
    """Escape text in the handler that logging uses without a configuration, as most commands do."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LogFormatter("sidelight: %(message)s"))


def _indented(text: str) -> str:
    lines = text.split("\n")
    left_out = len(lines) - MAX_TRACEBACK
    if left_out > 0:
        lines = [f"({left_out} lines left out)", *lines[-MAX_TRACEBACK:]]
    return "\n".join(f"  {printable(line, MAX_RECORD)}" for line in lines)


def is_debugging() -> bool:
    """Return whether tracebacks are requested."""
    return os.environ.get(DEBUG, "").lower() not in ("", "0", "false", "no", "off")
