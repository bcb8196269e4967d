"""Decide how an instance is scanned, and why it is not. PURE: values in, a decision out.

`judge` states the facts about an instance; `dispatcher.planning.decisions` decides on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dispatcher.planning.decisions import NO_EBS_VOLUME, Eligibility, decide
from dispatcher.planning.facts import (
    Exclusion,
    Facts,
    FilesystemSupport,
    KeyAccess,
    Lifecycle,
    Storage,
    VolumeLimits,
)
from dispatcher.planning.os_support import included
from dispatcher.planning.ssm_state import state_of
from sidelight.model import AccountStatus, Ec2ScanMode, PlatformType, SsmState

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from dispatcher.planning.facts import OsSupport
    from dispatcher.planning.os_support import OsSupportTable
    from sidelight.model import Instance, ManagedInstance

EXCLUSION_TAG = "InspectorEc2Exclusion"
TAGS_UNREADABLE = "KMS does not show its tags (kms:ListResourceTags), so that it may be excluded"
NOT_SHARED = "a key of AWS's own lets no snapshot be shared with the scanner's account"
NO_WINDOWS = "Windows has no agentless scan: Sidelight does not read NTFS"
NO_MACOS = "macOS has no agentless scan"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The eligibility rules. Inspector's limits (7 volumes, 1200 GB) apply only if set; 0 is off.

    `states`: the instance states to scan; volumes of a stopped instance can be snapshotted too.
    `unreadable_keys`: keys that may be excluded, because we may not read their tags.
    `unshareable_keys`: where snapshots are read in another account, keys that forbid sharing.
    `asks_agents`: Systems Manager is asked which instances it manages. `os_support`: which method
    reads which operating system; None is the included table.
    """

    states: frozenset[str] = frozenset({"running", "stopped", "stopping"})
    exclusion_tag: str = EXCLUSION_TAG
    most_volumes: int = 0
    most_gib: int = 0
    unreadable_keys: frozenset[str] = frozenset()
    unshareable_keys: frozenset[str] = frozenset()
    asks_agents: bool = False
    account: AccountStatus = AccountStatus.ENABLED
    mode: Ec2ScanMode = Ec2ScanMode.HYBRID
    os_support: OsSupportTable | None = None


@dataclass(frozen=True, slots=True)
class AgentView:
    """An instance as Systems Manager lists it, at a time; `managed` is None if it lists none."""

    managed: ManagedInstance | None
    now: datetime

    @property
    def state(self) -> SsmState:
        """The state for scanning."""
        return state_of(self.managed, self.now)


def judge(
    instance: Instance,
    configuration: Configuration,
    excluded_keys: Collection[str] = (),
    *,
    agent: AgentView | None = None,
    filesystem: FilesystemSupport = FilesystemSupport.UNKNOWN,
) -> Eligibility:
    """Decide on one instance. `excluded_keys`: KMS keys (as volumes name them) with the tag.

    The tag's value has no meaning. Without `agent` Systems Manager was not asked, and the instance
    counts as unmanaged. `filesystem` is the result of the last agentless scan.
    """
    exclusion, excluded = _exclusion(instance, configuration.exclusion_tag, excluded_keys)
    key, denied = _key_access(instance, configuration)
    limits, exceeded = _limits(instance, configuration)
    storage, stored = _storage(instance)
    platform = _platform(instance, agent)
    managed = agent.managed if agent else None
    verdict = decide(
        Facts(
            account=configuration.account,
            mode=configuration.mode,
            lifecycle=_lifecycle(instance, configuration),
            exclusion=exclusion,
            ssm=agent.state if agent else SsmState.UNMANAGED,
            os=_os_support(platform, managed, configuration),
            platform=platform,
            storage=storage,
            filesystem=filesystem,
            limits=limits,
            key=key,
        )
    )
    details = {
        "EXCLUDED_BY_TAG": excluded,
        "ACCESS_DENIED_TO_ENCRYPTION_KEY": denied,
        "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED": exceeded,
        NO_EBS_VOLUME: stored,
        "EC2_INSTANCE_STOPPED": f"is {instance.state}",
        "PENDING_INITIAL_SCAN": f"is {instance.state}",
        "UNSUPPORTED_OS": _unsupported(platform, managed, filesystem),
        "UNMANAGED_EC2_INSTANCE": _unmanaged(agent),
        "STALE_INVENTORY": _stale(agent),
    }
    return replace(verdict, detail=details.get(verdict.reason, ""))


def _lifecycle(instance: Instance, configuration: Configuration) -> Lifecycle:
    if instance.state in ("terminated", "shutting-down"):
        return Lifecycle.TERMINATED
    if instance.state in ("stopped", "stopping"):
        scanned = instance.state in configuration.states
        return Lifecycle.STOPPED_READABLE if scanned else Lifecycle.STOPPED
    return Lifecycle.RUNNING if instance.state in configuration.states else Lifecycle.STARTING


def _exclusion(
    instance: Instance, tag: str, excluded_keys: Collection[str]
) -> tuple[Exclusion, str]:
    """Return the object that carries the tag, and a text that names it."""
    if any(key == tag for key, _ in instance.tags):
        return Exclusion.INSTANCE, f"tag {tag}"
    volumes = [v.id for v in instance.volumes if any(key == tag for key, _ in v.tags)]
    if volumes:
        return Exclusion.VOLUME, f"tag {tag} on {', '.join(volumes)}"
    keys = sorted({v.kms_key_id for v in instance.volumes if v.encrypted} & set(excluded_keys))
    if keys:
        return Exclusion.KMS_KEY, f"tag {tag} on {', '.join(keys)}"
    return Exclusion.NONE, ""


def _key_access(instance: Instance, configuration: Configuration) -> tuple[KeyAccess, str]:
    used = {volume.kms_key_id for volume in instance.volumes}
    for access, keys, why in (
        (KeyAccess.TAGS_DENIED, configuration.unreadable_keys, TAGS_UNREADABLE),
        (KeyAccess.UNSHAREABLE, configuration.unshareable_keys, NOT_SHARED),
    ):
        if used & keys:
            return access, f"{', '.join(sorted(used & keys))}: {why}"
    return KeyAccess.USABLE, ""


def _storage(instance: Instance) -> tuple[Storage, str]:
    if instance.root_device_type == "ebs" and instance.volumes:
        return Storage.EBS, ""
    return Storage.INSTANCE_STORE, "no EBS volume: an instance store leaves no snapshot"


def _limits(instance: Instance, configuration: Configuration) -> tuple[VolumeLimits, str]:
    count = len(instance.volumes)
    gib = sum(volume.size_gib for volume in instance.volumes)
    if configuration.most_volumes and count > configuration.most_volumes:
        return VolumeLimits.EXCEEDED, f"{count} volumes"
    if configuration.most_gib and gib > configuration.most_gib:
        return VolumeLimits.EXCEEDED, f"{gib} GiB"
    return VolumeLimits.WITHIN, ""


def _platform(instance: Instance, agent: AgentView | None) -> PlatformType:
    """Return the agent's platform, else EC2's: it has a word for Windows only, and mac types."""
    if agent and agent.managed and agent.managed.platform_type:
        return agent.managed.platform_type
    if instance.platform.lower().startswith("windows"):
        return PlatformType.WINDOWS
    return PlatformType.MACOS if instance.type.startswith("mac") else PlatformType.LINUX


def _os_support(
    platform: PlatformType, managed: ManagedInstance | None, configuration: Configuration
) -> OsSupport:
    table = configuration.os_support or included()
    if managed is None:
        return table.of(platform)
    return table.of(platform, managed.platform_name, managed.platform_version)


def _unsupported(
    platform: PlatformType, managed: ManagedInstance | None, filesystem: FilesystemSupport
) -> str:
    if platform is not PlatformType.LINUX:
        return NO_WINDOWS if platform is PlatformType.WINDOWS else NO_MACOS
    if filesystem is FilesystemSupport.UNREADABLE:
        return "the last scan could read no filesystem"
    name = managed.platform_name if managed else ""
    return f"the agent sends no package list for {name}" if name else ""


def _unmanaged(agent: AgentView | None) -> str:
    if agent is None:
        return "Systems Manager was not asked"
    managed = agent.managed
    if managed is None:
        return "Systems Manager does not list it"
    last = f", last on {managed.last_ping:%Y-%m-%d %H:%M} UTC" if managed.last_ping else ""
    return f"its SSM agent does not answer{last}"


def _stale(agent: AgentView | None) -> str:
    at = agent.managed.inventory_at if agent and agent.managed else None
    if agent is None or at is None:
        return ""
    ahead = ", which is to come: check the instance's clock" if at > agent.now else ""
    return f"the newest inventory is of {at:%Y-%m-%d %H:%M} UTC{ahead}"
