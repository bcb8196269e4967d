"""Find the instances of an account and region, and the keys that forbid reading."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from sidelight.aws import sts
from sidelight.aws.kms import Kms
from sidelight.errors import AccessDeniedError, CloudError
from sidelight.store import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dispatcher.eligibility import Configuration
    from dispatcher.places import Place
    from sidelight.aws.session import Session
    from sidelight.model import Instance
    from sidelight.store import Store
    from workers.settings import Settings

log = logging.getLogger(__name__)


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

    `untold_keys`: those whose tags we may not see. `unshareable_keys`: where snapshots are to be
    read in another account, keys of AWS's own.
    """

    instances: Sequence[Instance]
    excluded_keys: frozenset[str]
    gone: Sequence[str]
    untold_keys: frozenset[str] = frozenset()
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
    excluded, untold = _excluded(kms, keys_of(instances), tag)
    gone = store.fleet.discovered(account, region, instances)
    store.findings.close_instances(account, gone)
    store.fleet.cover(
        [
            Coverage(account, region, instance_id, "", "INACTIVE", "RESOURCE_TERMINATED")
            for instance_id in gone
        ]
    )
    return Discovery(instances, excluded, gone, untold)


def _excluded(kms: Keys, keys: Iterable[str], tag: str) -> tuple[frozenset[str], frozenset[str]]:
    """The keys with the tag, and those of which that is not told: one key's policy denies its own.

    Raises CloudError.
    """
    excluded: set[str] = set()
    untold: set[str] = set()
    for key in sorted(keys):
        try:
            excluded |= kms.tagged([key], tag)
        except AccessDeniedError as error:
            log.warning("%s", error)
            untold.add(key)
    return frozenset(excluded), frozenset(untold)


class Discoverer:
    """Discovers places by AWS, and which of their keys let a snapshot be read where we read it."""

    def __init__(
        self,
        store: Store,
        session: Session,
        ec2: Callable[[Place], Instances],
        settings: Settings,
        deployment: str,
    ) -> None:
        self._store = store
        self._session = session
        self._ec2 = ec2
        self._settings = settings
        self._deployment = deployment

    def __call__(self, place: Place, configuration: Configuration) -> Discovery:
        """Raises CloudError, AccessDeniedError, BudgetSpentError, StoreError."""
        keys = Kms(self._session, place.account, place.region)
        found = discover(
            self._store,
            self._ec2(place),
            keys,
            account=place.account,
            region=place.region,
            tag=configuration.exclusion_tag,
        )
        if self._settings.scanner_account in ("", place.account):
            return found
        return self._read_elsewhere(found, keys)

    def _read_elsewhere(self, found: Discovery, keys: Kms) -> Discovery:
        """Snapshots are shared to us: which keys forbid it, and grants on those that do not.

        Now, and not when a snapshot is read: a new grant takes minutes to be seen.
        """
        used = keys_of(found.instances) - found.excluded_keys - found.untold_keys
        aws_owned = frozenset(key for key in sorted(used) if _is_awss_own(keys, key))
        if self._settings.kms_grants:
            for key in sorted(used - aws_owned):
                try:
                    keys.let_decrypt(key, self._principal(), f"sidelight-{self._deployment}")
                except (AccessDeniedError, CloudError) as error:
                    # Its policy may let us in all the same; if not, the scan says what is needed.
                    log.warning("%s", error)
        return replace(found, unshareable_keys=aws_owned)

    def _principal(self) -> str:
        """Who a key is to let in: the hub's role, or whoever the environment's credentials are."""
        return self._settings.hub_role or sts.principal(self._session)


def _is_awss_own(keys: Kms, key: str) -> bool:
    """Those let their account look at them: one that denies it is a customer's."""
    try:
        return keys.is_managed_by_aws(key)
    except AccessDeniedError as error:
        log.warning("%s", error)
        return False
