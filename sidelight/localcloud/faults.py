"""Faults by plan: what goes wrong, for whom, when; the same for the same seed.

A rule's draw depends on the seed, the rule's place, the operation, the account, the block and how
often this very thing was asked before, never on the order in which threads arrive.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sidelight.errors import UsageError
from sidelight.localcloud.counters import matches
from sidelight.localcloud.messages import AwsError, Reply, Wreck

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class FaultKind(StrEnum):
    """What a rule does to a call. The first seven leave its work undone."""

    THROTTLE = "throttle"  # the service's own throttling error
    SERVER_ERROR = "server_error"  # its own 5xx
    ACCESS_DENIED = "access_denied"
    ERROR = "error"  # `code`, `status`, `reason` of the rule
    UNAVAILABLE = "unavailable"  # a bare 503, as from a load balancer
    DROP = "drop"  # the connection closes, nothing was done
    # Accepted and never answered: awslabs/coldsnap issues 374, 437 and 438; dsnap issue 27.
    HANG = "hang"
    LATENCY = "latency"  # `seconds` more
    LOST_ANSWER = "lost_answer"  # the work is done, then the connection closes
    TRUNCATE = "truncate"  # half of the announced body, then the connection closes
    SHORT = "short"  # half of the body, announced as such
    CORRUPT = "corrupt"  # one byte of the body changed


AFTER = frozenset({FaultKind.LOST_ANSWER, FaultKind.TRUNCATE, FaultKind.SHORT, FaultKind.CORRUPT})
WRECKS = {FaultKind.DROP: Wreck.LOST, FaultKind.HANG: Wreck.HANG}


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault.

    `operation` and `account` with shell wildcards (`GetSnapshotBlock`, `ec2:*`). `resource` is
    matched against `snap-…` or, for a block, `snap-…/INDEX`. `nth`: only these calls, counted
    from 1 over those that the rule matches. `times`: at most so often. `reason` also chooses
    among the EBS direct APIs' reasons for throttling.
    """

    kind: FaultKind
    operation: str = "*"
    account: str = "*"
    resource: str = "*"
    probability: float = 1.0
    nth: tuple[int, ...] = ()
    times: int | None = None
    seconds: float = 0.0
    code: str = ""
    status: int = 400
    reason: str = ""
    message: str = "Injected by the fault plan."


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """What befalls one call."""

    seconds: float = 0.0
    before: tuple[Rule, ...] = ()
    after: tuple[Rule, ...] = ()


class FaultPlan:
    """Rules, a seed, and the count of what was injected. Thread-safe."""

    def __init__(self, rules: Iterable[Rule] = (), *, seed: int = 0) -> None:
        self.rules = tuple(rules)
        self.seed = seed
        self._lock = threading.Lock()
        self._call_counts: Counter[tuple[int, str, str, str]] = Counter()
        self._matched: Counter[int] = Counter()
        self._done: Counter[int] = Counter()
        self.injected: Counter[tuple[str, str]] = Counter()

    @classmethod
    def from_json(cls, data: object) -> FaultPlan:
        """`{"seed": 1, "rules": [{"kind": "throttle", …}]}`. Raises UsageError."""
        if not isinstance(data, dict) or not isinstance(data.get("rules", []), list):
            raise UsageError('a fault plan is {"seed": NUMBER, "rules": […]}')
        try:
            rules = [_rule(item) for item in data.get("rules", [])]
            return cls(rules, seed=int(data.get("seed", 0)))
        except (TypeError, ValueError) as error:
            raise UsageError(f"not a fault plan: {error}") from error

    def judge(self, operation: str, account: str, resource: str) -> FaultOutcome:
        """Which rules meet this call."""
        if not self.rules:
            return FaultOutcome()
        hits = []
        with self._lock:
            for place, rule in enumerate(self.rules):
                if self._hit(place, rule, operation, account, resource):
                    hits.append(rule)
                    self.injected[(rule.kind.value, operation)] += 1
        return FaultOutcome(
            seconds=sum(rule.seconds for rule in hits),
            before=tuple(
                r for r in hits if r.kind not in AFTER and r.kind is not FaultKind.LATENCY
            ),
            after=tuple(r for r in hits if r.kind in AFTER),
        )

    def as_json(self) -> dict[str, object]:
        """The seed and what was injected."""
        with self._lock:
            return {
                "seed": self.seed,
                "rules": len(self.rules),
                "injected": [
                    {"kind": kind, "operation": operation, "count": count}
                    for (kind, operation), count in sorted(self.injected.items())
                ],
            }

    def _hit(self, place: int, rule: Rule, operation: str, account: str, resource: str) -> bool:
        if not (
            matches(rule.operation, operation)
            and fnmatchcase(account, rule.account)
            and fnmatchcase(resource, rule.resource)
        ):
            return False
        self._matched[place] += 1
        # Snapshots' ids differ from run to run: the draw goes by the block within.
        call_key = (place, operation, account, resource)
        self._call_counts[call_key] += 1
        if rule.nth and self._matched[place] not in rule.nth:
            return False
        if rule.times is not None and self._done[place] >= rule.times:
            return False
        if rule.probability < 1.0:
            block = resource.partition("/")[2]
            name = (
                f"{self.seed} {place} {operation} {account} {block} {self._call_counts[call_key]}"
            )
            if random.Random(name).random() >= rule.probability:  # noqa: S311 - seeded on purpose
                return False
        self._done[place] += 1
        return True


def refuse(rule: Rule, service: str) -> AwsError | Reply:
    """What a rule that leaves the work undone answers."""
    if rule.kind in WRECKS:
        return Reply(500, wreck=WRECKS[rule.kind])
    if rule.kind is FaultKind.UNAVAILABLE:
        return Reply(503, {"Content-Type": "text/html"}, b"<html>Service Unavailable</html>")
    if rule.kind is FaultKind.ERROR:
        return AwsError(rule.code, rule.message, status=rule.status, reason=rule.reason)
    table = {
        FaultKind.THROTTLE: (THROTTLES, ("ThrottlingException", 400), "ACCOUNT_THROTTLED"),
        FaultKind.SERVER_ERROR: (SERVER_ERRORS, ("InternalFailure", 500), ""),
        FaultKind.ACCESS_DENIED: (DENIALS, ("AccessDeniedException", 400), "UNAUTHORIZED_ACCOUNT"),
    }
    codes, otherwise, reason = table[rule.kind]
    code, status = codes.get(service, otherwise)
    return AwsError(code, rule.message, status=status, reason=rule.reason or reason)


def spoil(rules: Iterable[Rule], reply: Reply) -> Reply:
    """The reply as the rules leave it. An error's text is neither changed nor shortened."""
    for rule in rules:
        if rule.kind is FaultKind.LOST_ANSWER:
            reply.wreck = Wreck.LOST
        elif rule.kind is FaultKind.TRUNCATE:
            reply.wreck = Wreck.CUT
        elif reply.status >= 400:
            continue
        elif rule.kind is FaultKind.SHORT:
            reply.body = reply.body[: len(reply.body) // 2]
        elif reply.body:
            middle = len(reply.body) // 2
            changed = bytes([reply.body[middle] ^ 0xFF])
            reply.body = reply.body[:middle] + changed + reply.body[middle + 1 :]
    return reply


# Signing name -> (code, HTTP status); what is not listed has the common JSON one.
THROTTLES = {
    "ebs": ("RequestThrottledException", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "sts": ("Throttling", 400),
    "iam": ("Throttling", 400),
    "elasticloadbalancing": ("Throttling", 400),
    "organizations": ("TooManyRequestsException", 400),
}
SERVER_ERRORS = {
    "ebs": ("InternalServerException", 500),
    "ec2": ("InternalError", 500),
}
DENIALS = {
    "ebs": ("AccessDeniedException", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "sts": ("AccessDenied", 403),
    "iam": ("AccessDenied", 403),
    "elasticloadbalancing": ("AccessDenied", 403),
}


def _rule(item: Mapping[str, Any]) -> Rule:
    known = {field.name for field in fields(Rule)}
    unknown = sorted(set(item) - known)
    if unknown or "kind" not in item:
        raise ValueError(f"unknown {', '.join(unknown)}" if unknown else "a rule without a kind")
    values = dict(item)
    values["kind"] = FaultKind(values["kind"])
    values["nth"] = tuple(int(n) for n in values.get("nth", ()))
    return Rule(**values)
