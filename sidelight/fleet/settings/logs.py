"""The settings of logs and traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sidelight.errors import UsageError
from sidelight.fleet.settings.definition import WORKERS, Process, setting

FORMATS: Final = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What dispatcher, workers and server report of their work (docs/watching.md)."""

    format: str = setting(
        "SIDELIGHT_LOG_FORMAT", "text", unit="`text` or `json`",
        readers=(Process.DISPATCHER, *WORKERS, Process.SERVE),
        meaning="Log lines for people, or one JSON object a line with scan, account, Region,"
        " instance and stage",
    )  # fmt: skip

    traces: str = setting(
        "SIDELIGHT_TRACES", "", unit="URL", readers=(Process.DISPATCHER, *WORKERS),
        meaning="The OTLP endpoint that OpenTelemetry's traces of scans are sent to by HTTP,"
        " `http://HOST:4318/v1/traces`; needs the extra `traces`; empty: none",
    )  # fmt: skip

    @property
    def is_json(self) -> bool:
        """Whether lines are JSON. Raises UsageError for an unknown format."""
        if self.format not in FORMATS:
            raise UsageError(f"{self.format!r} is not text or json", where="SIDELIGHT_LOG_FORMAT")
        return self.format == "json"
