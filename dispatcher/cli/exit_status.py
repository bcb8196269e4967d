"""Exit statuses of every command: the table and its precedence are in docs/cli.md."""

from __future__ import annotations

DONE = 0
FINDINGS = 1  # at or above --fail-on: wins over PARTIAL
WARNINGS = 1  # of `doctor`, which found nothing worse
WRONG_USAGE = 2  # also: configuration, settings, a missing extra
FAULTS = 2  # of `doctor`: something does not work
PARTIAL = 3
FAILED = 4
INTERRUPTED = 130  # the shells' convention: 128 + SIGINT
