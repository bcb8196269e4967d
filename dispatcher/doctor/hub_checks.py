"""Checks of what the scanner's own credentials use: buckets, queues, and where events go.

Buckets and the broker's queues are read. Sending a message, or receiving one, cannot be tried
without an effect: IAM simulates it where it may be asked, and the policy is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dispatcher.doctor.results import fault, ok, unchecked
from dispatcher.doctor.simulated_permissions import own_simulation
from sidelight.aws.permission_checks import PermissionChecks
from sidelight.aws.policy_simulation import SimulatedAccess
from sidelight.fleet.settings.validation import scheme
from workers.queues import COMPUTING, WAITING, queues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dispatcher.doctor.results import Check
    from sidelight.aws.permission_checks import PermissionAnswer
    from sidelight.aws.policy_simulation import PolicySimulation
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings

GROUP: Final = "scanner"
INVENTORIES: Final = "deploy/iam/scanner-inventories-policy.json"
QUEUES: Final = "deploy/iam/scanner-queues-policy.json"
SIMULATION: Final = "deploy/iam/scanner-simulation-policy.json"
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
    targets = [target.partition(":") for target in settings.findings.publish.split()]
    sent = [(kind, name) for kind, _, name in targets if kind in EVENTS]
    if not (settings.changes.queue or sent):
        return
    simulation = own_simulation(session, settings, region)
    if settings.changes.queue:
        access = SimulatedAccess("sqs:ReceiveMessage", (_queue_arn(settings.changes.queue),))
        yield _simulated(simulation, access, "it would receive a change", CHANGES)
    for kind, name in sorted(set(sent)):
        action, policy = EVENTS[kind]
        account = simulation.principal.split(":")[4] if ":" in simulation.principal else ""
        arn = name
        if kind == "eventbridge" and not name.startswith("arn:"):
            place = f"arn:{session.partition(region)}:events:{region}:{account}"
            arn = f"{place}:event-bus/{name or 'default'}"
        context = {"events:source": "sidelight"} if kind == "eventbridge" else {}
        access = SimulatedAccess(action, (arn,), context)
        yield _simulated(simulation, access, "it would send an event", policy)
    if simulation.failure is not None:
        yield unchecked(GROUP, simulation.failure.action, simulation.failure.detail,
                        f"allow {simulation.failure.action} as in {SIMULATION}")  # fmt: skip


def _queue_arn(url: str) -> str:
    """Return the ARN of a queue by its URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME."""
    parts = urlsplit(url)
    host = (parts.hostname or "").split(".")
    _, account, name = (*parts.path.split("/"), "", "", "")[:3]
    partition = "aws-cn" if host[-1] == "cn" else "aws"
    region = host[1] if host[0] == "sqs" and len(host) > 1 else "*"
    return f"arn:{partition}:sqs:{region}:{account}:{name}"


def _simulated(
    simulation: PolicySimulation, access: SimulatedAccess, why: str, policy: str
) -> Check:
    answer = simulation.decide(access)
    remedy = f"allow {access.action} as in {policy}"
    if answer is None or answer.allowed is None:
        return unchecked(GROUP, access.action, why, remedy)
    if answer.allowed:
        return ok(GROUP, access.action, f"allowed {answer.detail}")
    return fault(GROUP, access.action, answer.detail, answer.remedy or remedy)


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
