"""Which instances can be scanned, and why the others cannot. PURE: values in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sidelight.model import Instance, Volume

EXCLUSION_TAG = "InspectorEc2Exclusion"
# Reasons for which findings are closed: the machine is not to be scanned any more. One that is
# merely stopped, or could not be read this time, keeps them.
CLOSING = frozenset(
    {
        "RESOURCE_TERMINATED",
        "EXCLUDED_BY_TAG",
        "UNSUPPORTED_OS",
        "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED",
    }
)

UNTOLD = "kms:ListResourceTags is denied, so that the exclusion tag cannot be seen"
NOT_SHARED = "a key of AWS's own lets no snapshot be shared with the scanner's account"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is scanned. The limits are Inspector's 7 volumes and 1200 GB only if set; 0 is none.

    `states`: a stopped instance's volumes can be snapshotted as well as a running one's.
    `untold_keys`: keys that may be excluded, for we may not see their tags. `unshareable_keys`:
    where snapshots are read in another account, keys that let none be.
    """

    states: frozenset[str] = frozenset({"running", "stopped", "stopping"})
    exclusion_tag: str = EXCLUSION_TAG
    most_volumes: int = 0
    most_gib: int = 0
    untold_keys: frozenset[str] = frozenset()
    unshareable_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is empty for an eligible instance, else the coverage's reason."""

    reason: str = ""
    detail: str = ""

    @property
    def eligible(self) -> bool:
        """Whether the instance is to be scanned."""
        return not self.reason


def judge(
    instance: Instance, configuration: Configuration, excluded_keys: Collection[str] = ()
) -> Verdict:
    """One instance. `excluded_keys`: KMS keys (as volumes name them) that carry the tag.

    The tag's value is of no meaning.
    """
    volumes = instance.volumes
    tag = configuration.exclusion_tag
    keys = sorted({v.kms_key_id for v in volumes if v.encrypted} & set(excluded_keys))
    gib = sum(volume.size_gib for volume in volumes)
    if instance.state in ("terminated", "shutting-down"):
        return Verdict("RESOURCE_TERMINATED")
    if any(key == tag for key, _ in instance.tags):
        return Verdict("EXCLUDED_BY_TAG", f"tag {tag}")
    if keys:
        return Verdict("EXCLUDED_BY_TAG", f"tag {tag} on {', '.join(keys)}")
    if instance.state not in configuration.states:
        stopped = instance.state in ("stopped", "stopping")
        return Verdict(
            "EC2_INSTANCE_STOPPED" if stopped else "PENDING_INITIAL_SCAN", f"is {instance.state}"
        )
    return _unusable(volumes, configuration) or _fits(instance, configuration, len(volumes), gib)


def _unusable(volumes: Sequence[Volume], configuration: Configuration) -> Verdict | None:
    """What a key says that does not let us read; None for none."""
    used = {volume.kms_key_id for volume in volumes}
    for keys, why in (
        (configuration.untold_keys, UNTOLD),
        (configuration.unshareable_keys, NOT_SHARED),
    ):
        if used & keys:
            named = ", ".join(sorted(used & keys))
            return Verdict("ACCESS_DENIED_TO_ENCRYPTION_KEY", f"{named}: {why}")
    return None


def _fits(instance: Instance, configuration: Configuration, volumes: int, gib: int) -> Verdict:
    """What its volumes and its platform say."""
    if instance.platform.lower().startswith("windows"):
        return Verdict("UNSUPPORTED_OS", "Windows has no agentless scan")
    if instance.root_device_type != "ebs" or not volumes:
        return Verdict("UNSUPPORTED_OS", "no EBS volume: an instance store leaves no snapshot")
    if configuration.most_volumes and volumes > configuration.most_volumes:
        return Verdict("AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED", f"{volumes} volumes")
    if configuration.most_gib and gib > configuration.most_gib:
        return Verdict("AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED", f"{gib} GiB")
    return Verdict()
