"""Run a probe from start to end, and delete all its resources."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.aws import sts
from sidelight.aws.answers import required
from sidelight.aws.probe import steps
from sidelight.aws.probe.anonymous import FORMAT, VERSION, Anonymous
from sidelight.aws.probe.cost import Estimate, estimate
from sidelight.aws.probe.ground import Clearing, Ground, Reader
from sidelight.aws.probe.measures import OTHER
from sidelight.aws.probe.recorder import Recorder, error_of
from sidelight.aws.recycle_bin import keeps
from sidelight.aws.session import Session
from sidelight.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.documents.probe import RecordingHead

CONNECTIONS = 3


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """A probe's options. `reader_profile`: the AWS profile of another account that reads a share.

    `refused`: instances that CreateSnapshots may refuse. `key`: a customer's KMS key.
    `patience`: the longest wait of one step, in seconds.
    """

    region: str
    tags: Mapping[str, str]
    mark: str
    instance: str = ""
    refused: tuple[str, ...] = ()
    limits: bool = False
    reader_profile: str = ""
    key: str = ""
    patience: float = 1200.0


@dataclass
class ProbeOutcome:
    """`lines`: the anonymised recording. `left`: resources that could not be deleted.

    `failures`: failed steps, and why; `interrupted`: by Ctrl-C.
    """

    lines: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False


class Probe:
    """One probe of one account-region."""

    def __init__(
        self,
        options: ProbeOptions,
        *,
        say: Callable[[str], object],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read our identity; create nothing. Raises AccessDeniedError, CloudError, UsageError."""
        self._options = options
        self._say = say
        session = Session(region=options.region)
        self.account = sts.account(session)
        self._names = _parts(sts.principal(session)) | set(_aliases(options))
        self._rbin = session.client("rbin", attempts=1)
        self.ground = Ground(
            account=self.account,
            region=session.region,
            ec2=session.client("ec2", attempts=1),
            readers=[_reader(f"ebs-{n}", options.region) for n in range(1, CONNECTIONS + 1)],
            recorder=Recorder(clock),
            tags={**options.tags, options.mark: secrets.token_hex(16)},
            mark=options.mark,
            clock=clock,
            sleep=sleep,
            kms=session.client("kms", attempts=1),
        )
        self._other, self._other_arn = "", ""
        if options.reader_profile:
            other = Session(profile=options.reader_profile, region=options.region)
            self._other, self._other_arn = sts.account(other), sts.principal(other)
            self._names |= _parts(self._other_arn) | {options.reader_profile}

    def estimate(self) -> Estimate:
        """Return the upper bound of the cost, from the instance's volumes and Recycle Bin rules."""
        options, ground = self._options, self.ground
        steps.rules(ground, self._rbin)
        days = self._recycle_days()
        volumes = 1 + bool(options.key) + (steps.LIMIT if options.limits else 0)
        # Of each volume up to four snapshots; an instance's are full ones.
        gib = 4 * volumes + self._instance_gib()
        minutes = 4 * options.patience / 60
        return estimate(volumes=volumes, snapshot_gib=gib, minutes=minutes, recycle_days=days)

    def run(self) -> ProbeOutcome:
        """Run all steps, and delete all created resources, even after an error."""
        outcome = ProbeOutcome()
        try:
            self._ask(outcome)
        except KeyboardInterrupt:
            outcome.interrupted = True
        self._say("deleting what was made")
        try:
            self._clear(outcome)
        except KeyboardInterrupt:  # the first Ctrl-C: delete the resources before ending
            outcome.interrupted = True
            self._clear(outcome)
        return outcome

    @property
    def trace(self) -> str:
        """The tag by which a person finds the probe's volumes and snapshots."""
        mark = self._options.mark
        return f"look for the tag {mark}={self.ground.tags[mark]}"

    def _clear(self, outcome: ProbeOutcome) -> None:
        try:
            outcome.left = Clearing(self.ground).run()
        except SidelightError as error:
            outcome.left = [item.id for item in self.ground.created]
            outcome.failures.append(f"clear: {error}")

    def record(self, outcome: ProbeOutcome, version: str) -> None:
        """Write the anonymised recording to the outcome. Raises UsageError."""
        recorder = self.ground.recorder
        head: RecordingHead = {
            "format": FORMAT, "version": VERSION, "sidelight": version,
            "region": self.ground.region,
        }  # fmt: skip
        names = self._names | {self.ground.tags[self._options.mark]}
        outcome.lines = Anonymous(names).lines(recorder.exchanges, head, recorder.begun)

    def _ask(self, outcome: ProbeOutcome) -> None:
        options, ground = self._options, self.ground
        zone = self._zone()
        snapshot = ""

        def visibility() -> None:
            nonlocal snapshot
            snapshot = steps.visibility(ground, zone, options.patience)

        self._step("visibility", visibility, outcome)
        volume = next((item.id for item in ground.created if item.kind == "volume"), "")
        if volume:
            self._step("pace", lambda: steps.pace(ground, volume), outcome)
            self._step(
                "pending deletion",
                lambda: steps.pending_deletion(ground, volume, options.patience),
                outcome,
            )
        if options.instance:
            name = options.instance
            self._step("instance", lambda: steps.instance(ground, name, options.patience), outcome)
        if options.refused:
            self._step("refusals", lambda: steps.refusals(ground, options.refused), outcome)
        if snapshot and self._other:
            self._step("shares", lambda: self._share(snapshot), outcome)
        if options.key:
            self._step("key", lambda: self._key(zone), outcome)
        if options.limits:
            self._step("limits", lambda: steps.limits(ground, zone), outcome)

    def _step(self, name: str, work: Callable[[], object], outcome: ProbeOutcome) -> None:
        self._say(name)
        self.ground.recorder.step = name
        try:
            work()
        except SidelightError as error:
            outcome.failures.append(f"{name}: {error}")

    def _share(self, snapshot: str) -> None:
        reader = _reader(OTHER, self._options.region, self._options.reader_profile)
        steps.shares(self.ground, snapshot, self._other, reader, self._options.patience)

    def _key(self, zone: str) -> None:
        options = self._options
        snapshot = steps.key(self.ground, zone, options.key, self._other_arn, options.patience)
        if snapshot and self._other:
            self._share(snapshot)

    def _zone(self) -> str:
        answer = self.ground.need("describe_availability_zones")
        zones = required(
            answer.get("AvailabilityZones"), "AvailabilityZones", "describe_availability_zones"
        )
        # A Local Zone stores its snapshots elsewhere.
        names = [z["ZoneName"] for z in zones if z.get("ZoneType", "") in ("", "availability-zone")]
        return str(min(names))

    def _recycle_days(self) -> float:
        """Return the longest time that the account's rules keep our deleted snapshots."""
        exchanges = self.ground.recorder.exchanges
        listed = [rule for e in exchanges for rule in e.answer.get("Rules", ())]
        read = {str(e.answer.get("Identifier")): e.answer for e in exchanges if e.ok}
        rules = [read.get(str(rule.get("Identifier")), rule) for rule in listed]
        periods = [
            rule.get("RetentionPeriod", {}) for rule in rules if keeps(rule, self.ground.tags)
        ]
        # The service's only unit is DAYS.
        return max((float(period.get("RetentionPeriodValue", 0)) for period in periods), default=0)

    def _instance_gib(self) -> int:
        if not self._options.instance:
            return 0
        wanted = [{"Name": "attachment.instance-id", "Values": [self._options.instance]}]
        exchange = self.ground.ask("describe_volumes", Filters=wanted)
        if not exchange.ok:
            raise error_of(exchange)
        return sum(int(item.get("Size", 0)) for item in exchange.answer.get("Volumes", ()))


def _reader(name: str, region: str, profile: str = "") -> Reader:
    session = Session(profile=profile or None, region=region, pool=1)
    return Reader(name, session.client("ebs"))


def _parts(arn: str) -> set[str]:
    """Return the names in a principal's ARN: its user or role, and paths."""
    return set(arn.rpartition(":")[2].split("/")[1:])


def _aliases(options: ProbeOptions) -> list[str]:
    return [options.key.rpartition("/")[2]] if options.key else []
