"""Events of the store as messages to a target, each within the bound of a message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sidelight.aws.events import MESSAGE_BYTES, Message
from sidelight.errors import UsageError
from sidelight.model import CoverageEvent, FindingEvent, ScanEvent
from sidelight.report.fleet_event_documents import (
    coverage_event_document,
    scan_event_document,
    use_inspectors_dates,
)
from sidelight.report.formats.asff import asff_document, asff_text
from sidelight.report.inspector2_documents import event_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.documents.inspector2 import (
        CoverageEventDocument,
        FindingEventDocument,
        InspectorFinding,
        ScanEventDocument,
    )
    from sidelight.model import Instance
    from sidelight.store import Store

    EventDocument = FindingEventDocument | CoverageEventDocument | ScanEventDocument

StoredEvent = FindingEvent | CoverageEvent | ScanEvent
# The names of types of events, as SIDELIGHT_EVENT_TYPES has them.
TYPES: Final[Mapping[str, type[StoredEvent]]] = {
    "findings": FindingEvent, "coverage": CoverageEvent, "scans": ScanEvent,
}  # fmt: skip
# Fields that are omitted, in this order, from a finding that is too long for a message.
_LONG: Final[tuple[Literal["referenceUrls", "relatedVulnerabilities", "cvss"], ...]] = (
    "referenceUrls", "relatedVulnerabilities", "cvss",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventChoice:
    """The events that are sent or shown, and how: `inspector_dates` as Inspector's findings."""

    types: tuple[type[StoredEvent], ...] = (FindingEvent,)
    inspector_dates: bool = False

    @classmethod
    def of(cls, types: str, dates: str) -> EventChoice:
        """Return the choice of the settings of events. Raises UsageError."""
        names = [name.strip() for name in types.split(",") if name.strip()]
        if unknown := [name for name in names if name not in TYPES]:
            what = f"{unknown[0]!r} is not one of {', '.join(TYPES)}"
            raise UsageError(what, where="SIDELIGHT_EVENT_TYPES")
        if not names:
            raise UsageError("names no type of event", where="SIDELIGHT_EVENT_TYPES")
        if dates not in ("iso", "inspector"):
            raise UsageError(f"{dates!r} is not iso or inspector", where="SIDELIGHT_EVENT_DATES")
        return cls(tuple(TYPES[name] for name in dict.fromkeys(names)), dates == "inspector")

    @property
    def is_numbered_late(self) -> bool:
        """Whether some of these events get their numbers after their commit."""
        return any(kind is not FindingEvent for kind in self.types)


class EventMessages:
    """Turns events into messages. Reads each instance once."""

    def __init__(self, store: Store, *, inspector_dates: bool = False) -> None:
        self._store = store
        self._deployment = store.deployment()
        self._inspector_dates = inspector_dates
        self._known: dict[tuple[str, str], Instance | None] = {}

    def document(self, event: StoredEvent) -> EventDocument:
        """Return an event in Inspector's shape."""
        if isinstance(event, CoverageEvent):
            return coverage_event_document(event, self._deployment)
        if isinstance(event, ScanEvent):
            return scan_event_document(event, self._deployment)
        return self._finding(event)

    def message(self, event: StoredEvent, *, whole: bool) -> Message:
        """Return an event as a message: with its envelope, or its detail alone."""
        if isinstance(event, FindingEvent):
            document = self._finding(event)
            detail = document["detail"]
            text = _fitting(document if whole else detail, detail)
            attributes = {
                "event": event.kind, "severity": detail["severity"], "status": detail["status"],
            }  # fmt: skip
            return self._message(event, document, text, attributes)
        other = self.document(event)
        attributes = {"event": "SCANNED"}
        if isinstance(event, CoverageEvent):
            attributes = {"event": "COVERED", "status": event.change.status_code}
        text = _json(other if whole else other["detail"])
        return self._message(event, other, text, attributes)

    def asff(self, event: FindingEvent) -> Message:
        """Return a finding's event as a message to Security Hub."""
        text = asff_text(asff_document(event.row, self._instance(event)))
        detail = {"event": event.kind, "status": str(event.row.status)}
        return self._message(event, event_document(event, None, self._deployment), text, detail)

    def _finding(self, event: FindingEvent) -> FindingEventDocument:
        document = event_document(event, self._instance(event), self._deployment)
        if self._inspector_dates:
            use_inspectors_dates(document["detail"])
        return document

    def _instance(self, event: FindingEvent) -> Instance | None:
        key = event.row.account, event.row.instance
        if key not in self._known:
            self._known[key] = self._store.instances.instance(*key)
        return self._known[key]

    def _message(
        self,
        event: StoredEvent,
        document: EventDocument,
        text: str,
        attributes: Mapping[str, str],
    ) -> Message:
        return Message(
            id=f"{self._deployment}-{event.sequence}",
            group=f"{document['account']}.{document['resources'][0]}",
            at=event.at,
            source=document["source"],
            kind=document["detail-type"],
            resources=document["resources"],
            text=text,
            attributes={
                **attributes, "account": document["account"], "region": document["region"],
                "type": document["detail-type"],
            },
        )  # fmt: skip


def _fitting(document: FindingEventDocument | InspectorFinding, detail: InspectorFinding) -> str:
    """Return JSON that fits a message; `sidelight.leftOut` names the omitted fields."""
    left_out: list[str] = []
    text = _json(document)
    for name in _LONG:
        if len(text.encode()) <= MESSAGE_BYTES:
            return text
        # A network finding has none of these.
        if "packageVulnerabilityDetails" in detail:
            detail["packageVulnerabilityDetails"][name] = []
        detail["sidelight"]["leftOut"] = left_out = [*left_out, name]
        text = _json(document)
    if len(text.encode()) > MESSAGE_BYTES:
        # Texts of the scanned instance or of a feed, each far longer than any valid name.
        detail["sidelight"]["leftOut"] = [*left_out, "texts"]
        _cut(document, 1000)
        text = _json(document)
    return text


def _cut(value: object, most: int) -> object:
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = _cut(item, most)
    elif isinstance(value, list):
        value[:] = [_cut(item, most) for item in value[:100]]
    elif isinstance(value, str):
        return value[:most]
    return value


def _json(document: object) -> str:
    """Serialize; a byte of a name that is not UTF-8 becomes a `?`, as messages are UTF-8."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()
