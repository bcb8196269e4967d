"""EventBridge's events as they come from a queue: validated and bounded. PURE.

Source: "Amazon EventBridge event structure" of its user guide. A queue may hold anything: of a
message nothing is believed but that something in an account-region should be looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MOST_BYTES: Final = 256 << 10  # of an event on a bus
_FORMS: Final = {
    "id": re.compile(r"[A-Za-z0-9-]{1,64}"),
    "account": re.compile(r"[0-9]{12}"),
    "region": re.compile(r"[a-z]{2}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}"),
    "source": re.compile(r"[A-Za-z0-9 ._/-]{1,128}"),
    "detail-type": re.compile(r"[A-Za-z0-9 ._/-]{1,128}"),
}


@dataclass(frozen=True, slots=True)
class BusEvent:
    """An event. `kind` is (source, detail-type); of `detail` nothing is checked."""

    id: str
    account: str
    region: str
    kind: tuple[str, str]
    at: datetime
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """A message that is not an event, and why not."""

    why: str


def parse(body: str) -> BusEvent | InvalidEvent:
    """Return the event that a message holds."""
    # Characters, then bytes: a text is not encoded to learn that it is too long.
    if len(body) > MOST_BYTES or len(body.encode("utf-8", "replace")) > MOST_BYTES:
        return InvalidEvent(f"it is larger than {MOST_BYTES} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return InvalidEvent("it is not JSON")
    if not isinstance(found, Mapping):
        return InvalidEvent("it is not an object")
    return _event(found)


def _event(found: Mapping[str, object]) -> BusEvent | InvalidEvent:
    texts = {}
    for name, form in _FORMS.items():
        value = found.get(name)
        if not isinstance(value, str) or form.fullmatch(value) is None:
            return InvalidEvent(f"its {name} is missing or malformed")
        texts[name] = value
    at = _moment(found.get("time"))
    detail = found.get("detail")
    if at is None:
        return InvalidEvent("its time is missing or malformed")
    if not isinstance(detail, Mapping):
        return InvalidEvent("its detail is not an object")
    kind = (texts["source"], texts["detail-type"])
    return BusEvent(texts["id"], texts["account"], texts["region"], kind, at, detail)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
