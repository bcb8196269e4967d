"""The settings of events that report changes in accounts (docs/changes.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import Process, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings:
    """Where events of EventBridge come from, so that changes are noticed within seconds."""

    queue: str = setting(
        "SIDELIGHT_EVENT_QUEUE", "", unit="URL", readers=(Process.DISPATCHER,),
        meaning="The SQS queue to which EventBridge delivers instances' changes (docs/changes.md);"
        " empty: changes are found by the hourly discovery",
    )  # fmt: skip
