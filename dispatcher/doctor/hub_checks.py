"""Checks of what the scanner's own credentials use: buckets, queues, and where events go.

Buckets and the broker's queues are read. Sending a message, or receiving one, cannot be tried
without an effect: for these the policy is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dispatcher.doctor.results import fault, ok, unchecked
from sidelight.aws.permission_checks import PermissionChecks
from sidelight.fleet.settings.validation import scheme
from workers.queues import COMPUTING, WAITING, queues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dispatcher.doctor.results import Check
    from sidelight.aws.permission_checks import PermissionAnswer
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings

GROUP: Final = "scanner"
INVENTORIES: Final = "deploy/iam/scanner-inventories-policy.json"
QUEUES: Final = "deploy/iam/scanner-queues-policy.json"
CHANGES: Final = "deploy/iam/scanner-changes-policy.json"
# Of the targets of events, by the beginning of a target: the action and its policy.
EVENTS: Final = {
    "eventbridge": ("events:PutEvents", "deploy/iam/scanner-bus-policy.json"),
    "sns": ("sns:Publish", "deploy/iam/scanner-topic-policy.json"),
}
ABSENT: Final = ("NoSuchBucket", "NonExistentQueue", "QueueDoesNotExist")


def check_hub(session: Session, settings: Settings, region: str) -> Iterator[Check]:
    """Yield the checks that the settings need."""
    agents = settings.agents
    if agents.agent_based and agents.inventory_bucket:
        answer = PermissionChecks(session, None, region).bucket(agents.inventory_bucket)
        yield _check(answer, agents.inventory_bucket, INVENTORIES)
    if scheme(settings.broker.url) == "sqs" and settings.broker.sqs_prefix:
        yield from _queues(session, settings, region)
    if settings.changes.queue:
        yield unchecked(GROUP, "sqs:ReceiveMessage", "it would receive a change",
                        f"allow it as in {CHANGES}")  # fmt: skip
    for kind in sorted({target.partition(":")[0] for target in settings.findings.publish.split()}):
        if kind in EVENTS:
            action, policy = EVENTS[kind]
            yield unchecked(GROUP, action, "it would send an event", f"allow it as in {policy}")


def _queues(session: Session, settings: Settings, region: str) -> Iterator[Check]:
    """Yield one check of each queue that a worker uses in this Region."""
    prefix = settings.broker.sqs_prefix
    # https://sqs.eu-west-1.amazonaws.com/…: the queues may be in another Region than we are.
    host = (urlsplit(prefix).hostname or "").split(".")
    checks = PermissionChecks(session, None, host[1] if host[0] == "sqs" else region)
    for name in queues((*WAITING, *COMPUTING), [region], settings):
        yield _check(checks.queue(f"{prefix}{name}"), f"{prefix}{name}", QUEUES)


def _check(answer: PermissionAnswer, what: str, policy: str) -> Check:
    name = f"{answer.action} of {what}"
    if answer.allowed:
        return ok(GROUP, name, "allowed")
    if answer.allowed is False:
        return fault(GROUP, name, answer.detail, f"allow {answer.action} as in {policy}")
    if answer.code.endswith(ABSENT):
        return fault(GROUP, name, answer.detail, "create it, or correct the setting")
    return unchecked(GROUP, name, answer.detail)
