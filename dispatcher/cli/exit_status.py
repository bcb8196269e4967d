"""Exit statuses of every command: the table and its precedence are in docs/cli.md."""

from __future__ import annotations

DONE = 0
FINDINGS = 1  # at or above --fail-on: wins over PARTIAL
WARNINGS = 1  # of `doctor`, which found nothing worse
WRONG_USAGE = 2  # also: configuration, settings, a missing extra
FAULTS = 2  # of `doctor`: something does not work
PARTIAL = 3
FAILED = 4
OF_SIGNAL = 128  # the shells' convention: this and the signal's number
INTERRUPTED = 130  # by SIGINT
