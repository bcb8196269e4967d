"""Find the instances of an account and region, and the keys that forbid reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sidelight.store import Coverage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidelight.model import Instance
    from sidelight.store import Store


class Instances(Protocol):
    """What of `sidelight.aws.ec2.Ec2` discovery uses."""

    def instances(self) -> list[Instance]:
        """Those that are not terminated."""


class Keys(Protocol):
    """What of `sidelight.aws.kms.Kms` discovery uses."""

    def tagged(self, key_ids: Iterable[str], tag: str) -> frozenset[str]:
        """Those of these keys that carry the tag."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What there is now: instances, keys with the exclusion tag, ids of what is gone.

    `unshareable_keys`: where snapshots are to be read in another account, keys of AWS's own.
    """

    instances: Sequence[Instance]
    excluded_keys: frozenset[str]
    gone: Sequence[str]
    unshareable_keys: frozenset[str] = frozenset()


def keys_of(instances: Iterable[Instance]) -> frozenset[str]:
    """The KMS keys of all encrypted volumes."""
    volumes = (volume for instance in instances for volume in instance.volumes)
    return frozenset(v.kms_key_id for v in volumes if v.encrypted and v.kms_key_id)


def discover(  # noqa: PLR0913 - a place, what speaks to it, and where to write
    store: Store, ec2: Instances, kms: Keys, *, account: str, region: str, tag: str
) -> Discovery:
    """Discover one place and write it; the findings of instances that are gone are closed.

    Raises CloudError, AccessDeniedError, StoreError.
    """
    instances = ec2.instances()
    excluded = kms.tagged(sorted(keys_of(instances)), tag)
    gone = store.fleet.discovered(account, region, instances)
    store.findings.close_instances(account, gone)
    store.fleet.cover(
        [
            Coverage(account, region, instance_id, "", "INACTIVE", "RESOURCE_TERMINATED")
            for instance_id in gone
        ]
    )
    return Discovery(instances, excluded, gone)
