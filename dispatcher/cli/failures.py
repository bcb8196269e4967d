"""Translate a command's exception for the user: one line and an exit status."""

from __future__ import annotations

import sys
import traceback

from dispatcher.cli.exit_status import FAILED, WRONG_USAGE
from dispatcher.cli.extras import missing_extra
from sidelight.errors import SidelightError, UsageError
from sidelight.report.escape import printable
from sidelight.report.logs import DEBUG, is_debugging
from sidelight.report.output import complain


def explain(error: Exception) -> tuple[str, int]:
    """Return one line for an error, and the exit status. Raises nothing."""
    extra = missing_extra(error)
    if extra and not _is_other(error):
        return extra, WRONG_USAGE
    known = error if isinstance(error, SidelightError) else _translated(error)
    if known is not None:
        return _line(str(known)), WRONG_USAGE if isinstance(known, UsageError) else FAILED
    if isinstance(error, OSError) and (error.strerror or error.filename):
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        where = f"{' -> '.join(names)}: " if names else ""
        return _line(f"{where}{error.strerror or type(error).__name__}"), FAILED
    if isinstance(error, MemoryError):
        return "out of memory", FAILED
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    hint = "" if is_debugging() else f"; {DEBUG}=1 shows where"
    return f"{_line(f'internal error: {name}: {error}')}{hint}", FAILED


def report(error: Exception) -> int:
    """Write the line to standard error, after the traceback if debugging; return the status."""
    line, status = explain(error)
    if is_debugging():
        traceback.print_exception(error, file=sys.stderr)
    complain(f"sidelight: {line}")
    return status


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _is_other(error: Exception) -> bool:
    """Whether a missing module is only a distant cause of an error with a better message."""
    return isinstance(error, SidelightError) and not isinstance(error, UsageError)


def _translated(error: Exception) -> SidelightError | None:
    """Translate errors of AWS that no boundary has translated; None for other errors."""
    if "botocore" in sys.modules:
        from sidelight.aws.faults import translate_any

        return translate_any(error)
    return None
