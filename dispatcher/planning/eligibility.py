"""Decide which instances can be scanned, and why others cannot. PURE: values in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.fleet.stages.final_errors import NO_EBS_VOLUME

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.model import Instance, Volume

EXCLUSION_TAG = "InspectorEc2Exclusion"
# Reasons that close findings: the instance will not be scanned any more. An instance that is
# stopped, or could not be read this time, keeps its findings.
CLOSING = frozenset(
    {
        "RESOURCE_TERMINATED",
        "EXCLUDED_BY_TAG",
        "UNSUPPORTED_OS",
        NO_EBS_VOLUME,
        "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED",
    }
)

UNTOLD = "KMS does not show its tags (kms:ListResourceTags), so that it may be excluded"
NOT_SHARED = "a key of AWS's own lets no snapshot be shared with the scanner's account"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The eligibility rules. Inspector's limits (7 volumes, 1200 GB) apply only if set; 0 is off.

    `states`: the instance states to scan; volumes of a stopped instance can be snapshotted too.
    `untold_keys`: keys that may be excluded, because we may not read their tags.
    `unshareable_keys`: where snapshots are read in another account, keys that forbid sharing.
    """

    states: frozenset[str] = frozenset({"running", "stopped", "stopping"})
    exclusion_tag: str = EXCLUSION_TAG
    most_volumes: int = 0
    most_gib: int = 0
    untold_keys: frozenset[str] = frozenset()
    unshareable_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The decision. `reason` is empty for an eligible instance, else the coverage's reason."""

    reason: str = ""
    detail: str = ""

    @property
    def eligible(self) -> bool:
        """Whether the instance is to be scanned."""
        return not self.reason


def judge(
    instance: Instance, configuration: Configuration, excluded_keys: Collection[str] = ()
) -> Eligibility:
    """Decide on one instance. `excluded_keys`: KMS keys (as volumes name them) with the tag.

    The tag's value has no meaning.
    """
    volumes = instance.volumes
    tag = configuration.exclusion_tag
    keys = sorted({v.kms_key_id for v in volumes if v.encrypted} & set(excluded_keys))
    gib = sum(volume.size_gib for volume in volumes)
    if instance.state in ("terminated", "shutting-down"):
        return Eligibility("RESOURCE_TERMINATED")
    if any(key == tag for key, _ in instance.tags):
        return Eligibility("EXCLUDED_BY_TAG", f"tag {tag}")
    if keys:
        return Eligibility("EXCLUDED_BY_TAG", f"tag {tag} on {', '.join(keys)}")
    if instance.state not in configuration.states:
        stopped = instance.state in ("stopped", "stopping")
        return Eligibility(
            "EC2_INSTANCE_STOPPED" if stopped else "PENDING_INITIAL_SCAN", f"is {instance.state}"
        )
    return _unusable(volumes, configuration) or _fits(instance, configuration, len(volumes), gib)


def _unusable(volumes: Sequence[Volume], configuration: Configuration) -> Eligibility | None:
    """Return ineligibility due to a key that does not let us read; None if all keys do."""
    used = {volume.kms_key_id for volume in volumes}
    for keys, why in (
        (configuration.untold_keys, UNTOLD),
        (configuration.unshareable_keys, NOT_SHARED),
    ):
        if used & keys:
            named = ", ".join(sorted(used & keys))
            return Eligibility("ACCESS_DENIED_TO_ENCRYPTION_KEY", f"{named}: {why}")
    return None


def _fits(instance: Instance, configuration: Configuration, volumes: int, gib: int) -> Eligibility:
    """Return eligibility by volumes and platform."""
    if instance.platform.lower().startswith("windows"):
        return Eligibility("UNSUPPORTED_OS", "Windows has no agentless scan")
    if instance.root_device_type != "ebs" or not volumes:
        return Eligibility(NO_EBS_VOLUME, "no EBS volume: an instance store leaves no snapshot")
    if configuration.most_volumes and volumes > configuration.most_volumes:
        return Eligibility("AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED", f"{volumes} volumes")
    if configuration.most_gib and gib > configuration.most_gib:
        return Eligibility("AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED", f"{gib} GiB")
    return Eligibility()
