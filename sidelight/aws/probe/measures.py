"""Measurements from a recording: AWS's lags, its answers in between, and its limits' texts.

A lag has a resolution of one second, since a probe polls once a second. It is the time from an
event to the first poll that showed it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sidelight.aws.faults import is_throttle
from sidelight.aws.probe.anonymous import FORMAT, VERSION
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LIMIT_CODES = (
    "PendingSnapshotLimitExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "SnapshotCreationPerVolumeRateExceeded",
)
LONGEST_LINE = 1 << 20  # bytes
OTHER = "other"  # the source of what another account asked
MOST_LINES = 200_000
MOST_CREATIONS = 300  # a probe with --limits makes some 110
_CODE = re.compile(r"[\w.]{0,128}")  # it becomes a header's value in a local cloud
_CALLER = re.compile(r"(arn:aws[a-z-]{0,16}:(?:iam|sts)::)\d{12}")


@dataclass(frozen=True, slots=True, order=True)
class EbsRefusal:
    """An error in AWS's words. `since`: seconds after the snapshot's creation, rounded down."""

    since: float
    code: str
    status: int
    reason: str
    message: str

    @property
    def kind(self) -> tuple[str, int, str, str]:
        """All members but the time."""
        return (self.code, self.status, self.reason, self.message)


@dataclass
class Measures:
    """Seconds from creation to completion, and lags in seconds, one item per observation.

    `describe`: until EC2 listed a new snapshot. `absent`: from completion until EBS direct stopped
    answering 404, by connection; `denied`: from then on until it stopped denying. `shared`: until
    another account could read. `pending`: errors before completion; `late`: errors after it.
    `texts`: EC2's messages by code. None means not measured.
    """

    completion: list[float] = field(default_factory=list)
    describe: list[float] = field(default_factory=list)
    absent: list[float] = field(default_factory=list)
    denied: list[float] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)
    pending: list[EbsRefusal] = field(default_factory=list)
    late: list[EbsRefusal] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    lists_deleted: bool | None = None
    recycle_days: int | None = None

    def as_json(self) -> dict[str, object]:
        """Return a document for people and tests."""
        return asdict(self)


def measure(lines: Iterable[str], *, where: str = "recording") -> Measures:
    """Return the measurements of a recording's lines. Raises UsageError, with the line."""
    exchanges = list(_exchanges(lines, where))
    found = Measures()
    for created in [e for e in exchanges if _is_creation(e)][:MOST_CREATIONS]:
        for snapshot in created["answer"].get("Snapshots", [created["answer"]]):
            name = str(snapshot.get("SnapshotId", ""))
            if name:
                _measure_snapshot(found, exchanges, created, name)
    for exchange in exchanges:
        _measure_texts(found, exchange)
    return found


def _exchanges(lines: Iterable[str], where: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            exchange = _exchange(line, number)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UsageError(
                f"not a recording of `sidelight probe`: {error}", where=f"{where}: line {number}"
            ) from error
        if exchange:
            yield exchange


def _exchange(line: str, number: int) -> dict[str, object]:
    """Parse and check one line; empty for the first line, which declares the file's format."""
    if len(line) > LONGEST_LINE or number > MOST_LINES:
        raise ValueError("too long")
    document = json.loads(line)
    if number == 1:
        if (document["format"], document["version"]) != (FORMAT, VERSION):
            raise ValueError("another format")
        return {}
    at, took = float(document["at"]), float(document["took"])
    if not (math.isfinite(at) and math.isfinite(took)):
        raise ValueError("times are not finite")
    request = dict(document["request"])
    if not isinstance(request.get("SnapshotIds", []), list):
        raise TypeError("SnapshotIds is not a list")
    status = int(document["status"])
    if status:
        HTTPStatus(status)  # raises ValueError
    error = dict(document.get("error", {}))
    if _CODE.fullmatch(str(error.get("code", ""))) is None:
        raise ValueError("the error's code is not one of AWS's")
    return {
        "step": str(document["step"]),
        "at": at,
        "done": at + took,
        "source": str(document["source"]),
        "operation": str(document["operation"]),
        "status": status,
        "request": request,
        "answer": _with_dicts(document.get("answer", {})),
        "error": error,
    }


def _with_dicts(answer: Any) -> dict[str, Any]:
    """Check that an answer's lists contain only objects, as ours do. Raises ValueError."""
    found = dict(answer)
    for key, value in found.items():
        if isinstance(value, list) and not all(isinstance(item, dict) for item in value):
            raise ValueError(f"{key} is not a list of objects")
    for key in ("Snapshots", "Rules", "Blocks"):
        if not isinstance(found.get(key, []), list):
            raise TypeError(f"{key} is not a list")
    for rule in found.get("Rules", ()):
        period = rule.get("RetentionPeriod", {})
        if not isinstance(period, dict) or not isinstance(
            period.get("RetentionPeriodValue", 0), int
        ):
            raise TypeError("a rule's RetentionPeriod is not a number of days")
    return found


def _is_creation(exchange: Mapping[str, Any]) -> bool:
    return bool(exchange["answer"]) and exchange["operation"] in (
        "ec2:CreateSnapshot",
        "ec2:CreateSnapshots",
    )


def _measure_snapshot(
    found: Measures,
    exchanges: Iterable[Mapping[str, Any]],
    created: Mapping[str, Any],
    name: str,
) -> None:
    """The observations of one snapshot."""
    about = [e for e in exchanges if name in _names(e) and e["at"] >= created["at"]]
    states = [(e, _state(e, name)) for e in about if e["operation"] == "ec2:DescribeSnapshots"]
    seen = next((e["at"] for e, state in states if state), None)
    if seen is not None and states[0][0]["request"].get("SnapshotIds"):
        found.describe.append(_lag(seen, created["done"]))
    completed = next((e["at"] for e, state in states if state == "completed"), None)
    if completed is None:
        return
    found.completion.append(_lag(completed, created["done"]))
    reads = [e for e in about if e["operation"].startswith("ebs:")]
    own_reads = [e for e in reads if e["source"] != OTHER]
    for refusal in (_refusal(e, created["done"]) for e in own_reads if _is_refusal(e)):
        into = found.pending if refusal.since + created["done"] < completed else found.late
        if refusal.kind not in [known.kind for known in into]:
            into.append(refusal)
    for source in sorted({e["source"] for e in reads}):
        own = [e for e in reads if e["source"] == source and e["at"] >= completed]
        if source == OTHER:
            _measure_share(found, about, own)
        else:
            _measure_reader(found, own, completed)


def _measure_reader(found: Measures, reads: Iterable[Mapping[str, Any]], completed: float) -> None:
    """Add the lags of one connection."""
    answered = [e for e in reads if not _is_accident(e)]
    visible = next((e["at"] for e in answered if e["status"] != 404), None)
    if visible is None:
        return
    found.absent.append(_lag(visible, completed) if visible != answered[0]["at"] else 0.0)
    read = next((e["at"] for e in answered if not e["error"]), None)
    if read is not None:
        found.denied.append(_lag(read, visible) if read != visible else 0.0)


def _measure_share(
    found: Measures, about: Iterable[Mapping[str, Any]], reads: Iterable[Mapping[str, Any]]
) -> None:
    """Add the lag from the permission until another account could read."""
    let_in = [
        e["done"]
        for e in about
        if e["operation"] == "ec2:ModifySnapshotAttribute" and not e["error"]
    ]
    read = next((e["at"] for e in reads if not e["error"]), None)
    if let_in and read is not None:
        found.shared.append(_lag(read, let_in[0]))


def _measure_texts(found: Measures, exchange: Mapping[str, Any]) -> None:
    """Limits, the deletion of a pending snapshot, the Recycle Bin."""
    code = str(exchange["error"].get("code", ""))
    if exchange["operation"].startswith("ec2:Create") and code in LIMIT_CODES:
        found.texts.setdefault(code, str(exchange["error"].get("message", "")))
    if exchange["operation"] == "rbin:ListRules" and not exchange["error"]:
        days = [
            rule.get("RetentionPeriod", {}).get("RetentionPeriodValue", 0)
            for rule in exchange["answer"].get("Rules", ())
        ]
        found.recycle_days = max((int(value) for value in days), default=0)
    if exchange["step"] != "pending deletion":
        return
    if exchange["operation"] == "ec2:DescribeSnapshots":
        found.lists_deleted = bool(found.lists_deleted) or any(
            item.get("State") == "pending" for item in exchange["answer"].get("Snapshots", ())
        )


def _refusal(exchange: Mapping[str, Any], created: float) -> EbsRefusal:
    error = exchange["error"]
    return EbsRefusal(
        since=max(0.0, float(int(exchange["at"] - created))),
        code=str(error.get("code", "")),
        status=exchange["status"],
        reason=str(error.get("reason", "")),
        message=_template(str(error.get("message", "")), exchange),
    )


def _template(message: str, exchange: Mapping[str, Any]) -> str:
    """A message with `{snapshot}` and `{account}` for its snapshot's id and its caller's account.

    A recording is replayed in another account.
    """
    name = str(exchange["request"].get("SnapshotId", ""))
    message = _CALLER.sub(r"\1{account}", message)
    return message.replace(name, "{snapshot}") if name else message


def _names(exchange: Mapping[str, Any]) -> set[str]:
    """The snapshots that a call is about."""
    request = exchange["request"]
    found = {str(request.get("SnapshotId", "")), *map(str, request.get("SnapshotIds", ()))}
    return found | {
        str(item.get("SnapshotId", "")) for item in exchange["answer"].get("Snapshots", ())
    }


def _state(exchange: Mapping[str, Any], name: str) -> str:
    for item in exchange["answer"].get("Snapshots", ()):
        if item.get("SnapshotId") == name:
            return str(item.get("State", ""))
    return ""


def _is_refusal(exchange: Mapping[str, Any]) -> bool:
    return bool(exchange["error"]) and not _is_accident(exchange)


def _is_accident(exchange: Mapping[str, Any]) -> bool:
    """Whether a failure shows nothing of a snapshot: a throttle, a 5xx, or no answer at all."""
    code, status = str(exchange["error"].get("code", "")), exchange["status"]
    unanswered = bool(exchange["error"]) and status <= 0
    return unanswered or is_throttle(code, status) or status >= 500


def _lag(later: float, earlier: float) -> float:
    return round(max(0.0, later - earlier), 1)
