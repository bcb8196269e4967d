"""Find the instances of an account-region, and the KMS keys that forbid reading."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from sidelight.aws import quotas, sts
from sidelight.aws.kms import Kms
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    OwnCredentialsError,
    SidelightError,
)
from sidelight.model import Coverage, CreatedResource, Ec2ScanMode, ResourceKind, ScanType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from dispatcher.discovery.accounts import AccountRegion
    from dispatcher.discovery.agents import AgentResources
    from dispatcher.planning.eligibility import Configuration
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings
    from sidelight.model import Instance, ManagedInstance
    from sidelight.store import Store

log = logging.getLogger(__name__)
QUOTAS_EVERY = 86_400.0  # seconds


class Instances(Protocol):
    """The part of `sidelight.aws.ec2.Ec2` that discovery uses."""

    def instances(self) -> list[Instance]:
        """Return the instances that are not terminated."""

    def instances_by_id(self, ids: Sequence[str]) -> tuple[list[Instance], list[str]]:
        """Return those of these that are not terminated, and the ids of those that are."""


class Keys(Protocol):
    """The part of `sidelight.aws.kms.Kms` that discovery uses."""

    def tagged(self, key_ids: Iterable[str], tag: str) -> frozenset[str]:
        """Return those of these keys that carry the tag."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The present instances, keys with the exclusion tag, and ids of terminated instances.

    `unreadable_keys`: keys whose tags we may not read. `unshareable_keys`: AWS managed keys, where
    snapshots have to be read in another account. `managed`: the instances that Systems Manager
    lists, by id; None if it was not asked.
    """

    instances: Sequence[Instance]
    excluded_keys: frozenset[str]
    gone: Sequence[str]
    unreadable_keys: frozenset[str] = frozenset()
    unshareable_keys: frozenset[str] = frozenset()
    managed: Mapping[str, ManagedInstance] | None = None
    listed_at: datetime | None = None  # when its listing began


def keys_of(instances: Iterable[Instance]) -> frozenset[str]:
    """Return the KMS keys of all encrypted volumes."""
    volumes = (volume for instance in instances for volume in instance.volumes)
    return frozenset(v.kms_key_id for v in volumes if v.encrypted and v.kms_key_id)


def discover(  # noqa: PLR0913 - a place, what speaks to it, and where to write
    store: Store, ec2: Instances, kms: Keys, *, account: str, region: str, tag: str
) -> Discovery:
    """Discover one account-region, write it, and close the findings of terminated instances.

    Raises CloudError, AccessDeniedError, StoreError.
    """
    listed_at = store.clock()
    instances = ec2.instances()
    excluded, unreadable = _excluded(kms, keys_of(instances), tag)
    gone = store.instances.discovered(account, region, instances, listed_at)
    _end(store, account, region, gone)
    return Discovery(instances, excluded, gone, unreadable, listed_at=listed_at)


def _end(store: Store, account: str, region: str, gone: Sequence[str]) -> None:
    """Close the findings of terminated instances, and say so in coverage."""
    store.findings.close_instances(account, gone)
    store.instances.cover(terminated(account, region, gone))
    if gone:
        evaluated = store.instances.network_states(account, region)
        ended = terminated(account, region, [name for name in gone if name in evaluated])
        store.instances.cover(
            [replace(row, scan_type=ScanType.NETWORK.value, scan_mode="") for row in ended]
        )


def terminated(account: str, region: str, gone: Iterable[str]) -> list[Coverage]:
    """Return the coverage of instances that are gone."""
    return [
        Coverage(account, region, instance_id, "", "INACTIVE", "RESOURCE_TERMINATED")
        for instance_id in gone
    ]


def _excluded(kms: Keys, keys: Iterable[str], tag: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return (keys with the tag, keys whose tags cannot be read); one key blocks no other.

    A key's policy may deny the call, or KMS may be out of order for a while. Raises
    OwnCredentialsError: that is not about a key.
    """
    excluded: set[str] = set()
    unreadable: set[str] = set()
    for key in sorted(keys):
        try:
            excluded |= kms.tagged([key], tag)
        except OwnCredentialsError:
            raise
        except (AccessDeniedError, ClockSkewError, CloudError) as error:
            log.warning("%s", error)
            unreadable.add(key)
    return frozenset(excluded), frozenset(unreadable)


class Discoverer:
    """Discovers account-regions through AWS, and the keys that let us read their snapshots."""

    def __init__(  # noqa: PLR0913 - the parts it works with
        self,
        store: Store,
        session: Session,
        ec2: Callable[[AccountRegion], Instances],
        settings: Settings,
        deployment: str,
        *,
        agents: AgentResources | None = None,
    ) -> None:
        """`agents` calls Systems Manager in configured accounts; without it nothing does."""
        self._agents = agents
        self._store = store
        self._session = session
        self._ec2 = ec2
        self._settings = settings
        self._deployment = deployment

    def __call__(self, account_region: AccountRegion, configuration: Configuration) -> Discovery:
        """Discover it. Raises CloudError, AccessDeniedError, RateLimitedError, StoreError."""
        keys = Kms(self._session, account_region.account, account_region.region)
        discovery = discover(
            self._store,
            self._ec2(account_region),
            keys,
            account=account_region.account,
            region=account_region.region,
            tag=configuration.exclusion_tag,
        )
        discovery = replace(discovery, managed=self._managed(account_region, configuration))
        self._read_quotas(account_region.account, account_region.account, account_region.region)
        if self._settings.aws.scanner_account in ("", account_region.account):
            return discovery
        # Snapshots are pending in the instance's account, and read at the scanner account's rates.
        self._read_quotas(self._settings.aws.scanner_account, None, account_region.region)
        return self._read_elsewhere(discovery, keys)

    def look(
        self,
        account_region: AccountRegion,
        configuration: Configuration,
        ids: Collection[str],
        ended: Collection[str],
    ) -> tuple[Discovery, list[str]]:
        """Discover some instances of an account-region, and return the ids that EC2 does not list.

        Of these, the `ended` ones are gone, and are not returned. Systems Manager is not asked.
        Raises as `__call__`.
        """
        instances, terminated = self._ec2(account_region).instances_by_id(sorted(ids))
        keys = Kms(self._session, account_region.account, account_region.region)
        excluded, unreadable = _excluded(keys, keys_of(instances), configuration.exclusion_tag)
        listed = {instance.id for instance in instances} | set(terminated)
        missing = set(ids) - listed
        gone = self._store.instances.looked_at(
            account_region.account, instances, {*terminated, *(missing & set(ended))}
        )
        _end(self._store, account_region.account, account_region.region, gone)
        discovery = Discovery(instances, excluded, gone, unreadable)
        if self._settings.aws.scanner_account not in ("", account_region.account):
            discovery = self._read_elsewhere(discovery, keys)
        return discovery, sorted(missing - set(ended))

    def _managed(
        self, account_region: AccountRegion, configuration: Configuration
    ) -> Mapping[str, ManagedInstance] | None:
        """Return the instances of Systems Manager; None where it is not called, or does not answer.

        Raises CloudError, AccessDeniedError where the account is scanned by agents only.
        """
        if self._agents is None or not configuration.asks_agents:
            return None
        try:
            return self._agents.managed(account_region)
        except (AccessDeniedError, ClockSkewError, CloudError) as error:
            if configuration.mode is Ec2ScanMode.AGENT_BASED:
                raise
            log.warning("%s: its instances are read by snapshots", error)
            return None

    def _read_quotas(self, account: str, entered: str | None, region: str) -> None:
        """Read the account's own quotas once a day; a failure is logged and stops nothing.

        `entered`: the account whose role is assumed for it, None for our own credentials.
        """
        limits = self._store.account_limits
        if not limits.claim_quotas(account, region, QUOTAS_EVERY):
            return
        try:
            known = quotas.read(self._session, entered, region)
        except SidelightError as error:
            log.info("quotas of %s/%s are taken as AWS's defaults: %s", account, region, error)
            return
        limits.note_quotas(
            account, region, pending=known.pending, get=known.get, listing=known.listing
        )

    def _read_elsewhere(self, discovery: Discovery, keys: Kms) -> Discovery:
        """Find the keys that forbid sharing snapshots with us, and create grants on the others.

        At discovery, not when a snapshot is read: a new grant takes minutes to become visible.
        """
        used = keys_of(discovery.instances) - discovery.excluded_keys - discovery.unreadable_keys
        aws_owned, unknown = _managed_by_aws(keys, used)
        if self._settings.aws.kms_grants:
            # Whether another account's key is excluded cannot be read from here.
            own = {key for key in used - aws_owned - unknown if keys.is_own(key)}
            if own:
                self._create_grants(keys, own)
        return replace(
            discovery,
            unshareable_keys=aws_owned,
            unreadable_keys=discovery.unreadable_keys | unknown,
        )

    def _create_grants(self, keys: Kms, own: Collection[str]) -> None:
        """Let us decrypt with these keys, where it is not so yet."""
        principal = own_principal(self._settings, self._session)
        resource = CreatedResource(keys.account, keys.region, ResourceKind.KMS_GRANT)
        self._store.created_resources.record(resource)
        for key in sorted(own):
            try:
                keys.let_decrypt(key, principal, grant_name(self._deployment))
            except (AccessDeniedError, ClockSkewError, CloudError) as error:
                # Its policy may allow us without a grant; if not, the scan reports the need.
                log.warning("%s", error)
        # Again: what was recorded was removed if the account was disabled meanwhile.
        self._store.created_resources.record(resource)


def grant_name(deployment: str) -> str:
    """Return the name of all grants of a deployment."""
    return f"sidelight-{deployment}"


def own_principal(settings: Settings, session: Session) -> str:
    """Return the grantee for keys: the hub's role, or the environment's own identity."""
    return settings.aws.hub_role or sts.principal(session)


def _managed_by_aws(keys: Kms, used: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return (keys that AWS manages, keys that KMS cannot describe now).

    AWS managed keys let their account describe them: a key that denies it is a customer's. Raises
    OwnCredentialsError.
    """
    managed: set[str] = set()
    unknown: set[str] = set()
    for key in sorted(used):
        try:
            if keys.is_managed_by_aws(key):
                managed.add(key)
        except OwnCredentialsError:
            raise
        except AccessDeniedError as error:
            log.warning("%s", error)
        except (ClockSkewError, CloudError) as error:
            log.warning("%s", error)
            unknown.add(key)
    return frozenset(managed), frozenset(unknown)
