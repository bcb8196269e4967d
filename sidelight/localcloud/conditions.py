"""How unkind a local cloud is: AWS's limits and lags, each as a number, and two profiles of them.

STRICT has everything that AWS's manuals, its own tools and bug reports know of. KIND has none of
it: snapshots are completed and visible at once. Seconds are those of the local cloud's own clock.

| Member | At AWS | Source |
|---|---|---|
| snapshot_limit | 100 pending, an account and Region | Service Quotas L-94D7AB7D; tidb 44325 |
| snapshot_interval | 15 s between snapshots of a volume | EC2 error codes; velero 5776 |
| describe_lag | NotFound just after creation | "Eventual consistency in the EC2 API"; mondoo 474 |
| ebs_lag | 404 after completion, by connection | coldsnap 43, 56, 141; flexible-snapshot-proxy |
| tag_lag | 403 until EBS direct knows the tags | inference: tags are eventually consistent |
| share_lag | 404 or 403 after ModifySnapshotAttribute | inference, as for tags |
| grant_lag | 403 until a grant has arrived | KMS manual, "Eventual consistency for grants" |
| iam_lag | AccessDenied for a new role | IAM manual, "Changes are not always immediately visible" |
| throttle_rate | throttles in ordinary work | flexible-snapshot-proxy src/fsp.py |
| rates | token buckets, e.g. CreateSnapshots 100 and 5 a second | `rates.py` |
| empty_pages | a page without blocks, with a NextToken | EBS direct API reference |
| recycle_days | deleted snapshots are kept, and billed | "Recycle Bin", EC2 manual |
| lists_deleted | a pending snapshot is deleted when it completes | "Delete an EBS snapshot" |
| pending_answers | what EBS direct says of a pending one | not documented: three guesses |
| opt_in_regions | a Region that is not enabled knows nobody | steampipe 1510; aws-cli 8413 |
| " | v1 tokens are refused in opt-in Regions | IAM manual, "Manage AWS STS"; steampipe 75 |
| shares_completed_only | IncorrectState for a pending snapshot | EC2 error codes: "any resource" |
| checks_time | a signature is good for 5 minutes, at EC2 for 15 | IAM manual, "SigV4" |
| checks_policies | a role's policies decide | IAM manual, "Policy evaluation logic" |
| hides_aws_tags | ListResourceTags is denied for AWS-managed keys | prowler 2467 (aws/acm) |
| ended_seconds | a terminated instance is listed for an hour | "Terminate EC2 instances" |

CopySnapshot's late `error` state is not here: Sidelight copies nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Lag:
    """How late something is seen: from zero to `most` seconds, or one of `values` if there are any.

    Each observer has its own draw, the same for the same seed.
    """

    most: float = 0.0
    values: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return self.most > 0 or any(value > 0 for value in self.values)

    def drawn(self, *name: object) -> float:
        """Seconds, for the observer and the object that `name` names."""
        if not self:
            return 0.0
        dice = random.Random(" ".join(map(str, name)))  # noqa: S311 - seeded on purpose
        return dice.choice(self.values) if self.values else dice.uniform(0.0, self.most)

    def chooses(self, *name: object) -> bool:
        """One of two, for what `name` names."""
        return random.Random(" ".join(map(str, name))).random() < 0.5  # noqa: S311 - seeded

    def scaled(self, factor: float) -> Lag:
        """The same, `factor` times as late."""
        return Lag(self.most * factor, tuple(value * factor for value in self.values))


@dataclass(frozen=True, slots=True)
class EbsAnswer:
    """An error of EBS direct. `{snapshot}`, `{state}` and `{account}` in the message are replaced.

    `since`: seconds from the snapshot's creation on; only recordings know such times.
    """

    code: str
    message: str
    status: int = 400
    reason: str = ""
    since: float = 0.0


# coldsnap issues 43 and 141 quote code and message; status and reason are the API reference's.
LATE = EbsAnswer(
    "ResourceNotFoundException",
    "The snapshot '{snapshot}' does not exist.",
    404,
    "SNAPSHOT_NOT_FOUND",
)
# What EBS direct says of a pending snapshot is documented nowhere. A comment in AWS's own
# flexible-snapshot-proxy expects a ValidationException; coldsnap 141 fits the 404.
PENDING = (
    EbsAnswer(
        "ValidationException",
        "The snapshot '{snapshot}' is {state}, not completed.",
        400,
        "INVALID_PARAMETER_VALUE",
    ),
    EbsAnswer("ValidationException", "The snapshot ID is not valid.", 400, "INVALID_SNAPSHOT_ID"),
    LATE,
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Limits and lags of a local cloud; the defaults are the kind ones. See the module's table.

    `opted_in`: the opt-in Regions that all accounts have enabled. `ended_seconds`: 0 is for ever.

    `pending_answers`: with times (`since`) they follow each other, else the seed chooses one for
    each snapshot. `texts`: messages by error code, in place of those that we know.
    """

    snapshot_seconds: float = 0.0
    snapshot_interval: float = 0.0
    snapshot_limit: int = 0
    describe_lag: Lag = field(default_factory=Lag)
    ebs_lag: Lag = field(default_factory=Lag)
    tag_lag: Lag = field(default_factory=Lag)
    share_lag: Lag = field(default_factory=Lag)
    grant_lag: Lag = field(default_factory=Lag)
    iam_lag: Lag = field(default_factory=Lag)
    throttle_rate: float = 0.0
    rates: bool = False
    empty_pages: float = 0.0
    recycle_days: int = 0
    lists_deleted: bool = False
    shares_completed_only: bool = False
    strict_roles: bool = False
    opt_in_regions: bool = False
    opted_in: frozenset[str] = frozenset()
    checks_time: bool = False
    checks_policies: bool = False
    hides_aws_tags: bool = False
    ended_seconds: float = 0.0
    pending_answers: tuple[EbsAnswer, ...] = PENDING[:1]
    late_answer: EbsAnswer = LATE
    texts: Mapping[str, str] = field(default_factory=dict)

    def scaled(self, factor: float) -> Conditions:
        """The same with all seconds `factor` times as long; limits and rates are unchanged."""
        changed: dict[str, Any] = {
            item.name: getattr(self, item.name).scaled(factor)
            for item in fields(self)
            if isinstance(getattr(self, item.name), Lag)
        }
        return replace(
            self,
            snapshot_seconds=self.snapshot_seconds * factor,
            snapshot_interval=self.snapshot_interval * factor,
            ended_seconds=self.ended_seconds * factor,
            pending_answers=tuple(
                replace(answer, since=answer.since * factor) for answer in self.pending_answers
            ),
            **changed,
        )

    def pending_answer(self, age: float, *name: object) -> EbsAnswer:
        """What EBS direct says of a snapshot that has been pending for `age` seconds."""
        timed = [answer for answer in self.pending_answers if answer.since > 0]
        if timed:
            begun = [answer for answer in self.pending_answers if answer.since <= age]
            return max(begun or self.pending_answers[:1], key=lambda answer: answer.since)
        dice = random.Random(" ".join(map(str, ("pending", *name))))  # noqa: S311 - seeded
        return dice.choice(self.pending_answers)


KIND = Conditions()
STRICT = Conditions(
    snapshot_seconds=60.0,
    snapshot_interval=15.0,
    snapshot_limit=100,
    describe_lag=Lag(5.0),
    ebs_lag=Lag(60.0),
    tag_lag=Lag(30.0),
    share_lag=Lag(60.0),
    grant_lag=Lag(120.0),
    iam_lag=Lag(15.0),
    throttle_rate=0.02,
    rates=True,
    empty_pages=0.1,
    recycle_days=7,
    lists_deleted=True,
    shares_completed_only=True,
    strict_roles=True,
    opt_in_regions=True,
    checks_time=True,
    checks_policies=True,
    hides_aws_tags=True,
    ended_seconds=3600.0,
    pending_answers=PENDING,
)
# For programs that wait in real time: a minute of AWS is a second.
QUICK_STRICT = STRICT.scaled(1 / 60)

# What `LocalCloud(...)` is without `conditions`: tests run under this one. One that asks for KIND
# says from what it is kept apart.
DEFAULT = QUICK_STRICT
