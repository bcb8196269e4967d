"""When what happens to a snapshot, a grant or a role is seen: AWS is eventually consistent.

Every host learns of a change in its own time, and a connection leads to one host. So each lag is
drawn for a connection and an object, and the same pair has the same lag for the same seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.localcloud.clock import Clock
    from sidelight.localcloud.conditions import Conditions


class LaggingSnapshot(Protocol):
    """What of a snapshot the lags depend on: times in seconds of the local cloud's clock."""

    number: int
    started: float
    completes: float

    @property
    def shared(self) -> Mapping[str, float]:
        """When each account was let in."""


class Lags:
    """The lags of one local cloud, by its clock."""

    def __init__(self, conditions: Conditions, clock: Clock, seed: int) -> None:
        self._conditions = conditions
        self._clock = clock
        self._seed = seed
        self._granted: dict[str, tuple[int, float]] = {}
        self._launched: dict[str, tuple[int, float]] = {}
        self._roles: dict[str, tuple[str, float]] = {}
        self._ended: dict[str, float] = {}

    def listed(self, snapshot: LaggingSnapshot, connection: int) -> bool:
        """Whether EC2 knows of a snapshot yet."""
        lag = self._conditions.describe_lag.drawn(
            self._seed, "describe", snapshot.number, connection
        )
        return self._clock.now() >= snapshot.started + lag

    def note_launch(self, instance_id: str) -> None:
        """Remember that an instance began to run now."""
        self._launched[instance_id] = (len(self._launched), self._clock.now())

    def launched(self, instance_id: str, connection: int) -> bool:
        """Whether CreateSnapshots knows of an instance yet."""
        number, started = self._launched.get(instance_id, (0, 0.0))
        lag = self._conditions.describe_lag.drawn(self._seed, "launch", number, connection)
        return self._clock.now() >= started + lag

    def note_end(self, instance_id: str) -> None:
        """Remember that an instance was terminated now, if it was not before."""
        self._ended.setdefault(instance_id, self._clock.now())

    def forgotten(self) -> set[str]:
        """The terminated instances that EC2 lists no more."""
        after = self._conditions.ended_seconds
        if not after:
            return set()
        now = self._clock.now()
        return {instance for instance, ended in self._ended.items() if now >= ended + after}

    def readable(self, snapshot: LaggingSnapshot, connection: int) -> bool:
        """Whether EBS direct knows of a completed snapshot yet."""
        return self._clock.now() >= self._readable_at(snapshot, connection)

    def tagged(self, snapshot: LaggingSnapshot, connection: int) -> bool:
        """Whether EBS direct's authorization knows the tags of a completed snapshot yet."""
        lag = self._conditions.tag_lag.drawn(self._seed, "tag", snapshot.number, connection)
        return self._clock.now() >= self._readable_at(snapshot, connection) + lag

    def shared(self, snapshot: LaggingSnapshot, account: str, connection: int) -> bool:
        """Whether an account that was let in is let in by now."""
        lag = self._conditions.share_lag.drawn(
            self._seed, "share", snapshot.number, account, connection
        )
        return self._clock.now() >= snapshot.shared.get(account, snapshot.started) + lag

    def denies_sharing(self, snapshot: LaggingSnapshot, account: str) -> bool:
        """Whether EBS direct says "denied" while a share is on its way, and not "not found"."""
        return self._conditions.share_lag.chooses(self._seed, snapshot.number, account)

    def note_grants(self, grants: list[str]) -> None:
        """Remember when each of a key's grants was first known to KMS."""
        for grant in grants:
            self._granted.setdefault(grant, (len(self._granted), self._clock.now()))

    def granted(self, grant: str, connection: int) -> bool:
        """Whether a grant counts yet."""
        number, granted_at = self._granted.get(grant, (0, 0.0))
        lag = self._conditions.grant_lag.drawn(self._seed, "grant", number, connection)
        return self._clock.now() >= granted_at + lag

    def note_role(self, arn: str, trust: str) -> None:
        """Remember when a role, or what it trusts, was last changed."""
        if self._roles.get(arn, ("", 0.0))[0] != trust:
            self._roles[arn] = (trust, self._clock.now())

    def known(self, arn: str, connection: int) -> bool:
        """Whether STS knows of a role's last change yet."""
        lag = self._conditions.iam_lag.drawn(self._seed, "role", arn, connection)
        return self._clock.now() >= self._roles.get(arn, ("", 0.0))[1] + lag

    def _readable_at(self, snapshot: LaggingSnapshot, connection: int) -> float:
        lag = self._conditions.ebs_lag.drawn(self._seed, "ebs", snapshot.number, connection)
        return snapshot.completes + lag
