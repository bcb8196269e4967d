"""Scanning as an account or its organization configured it, in Inspector's terms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Ec2ScanMode(StrEnum):
    """How an account's instances are scanned. Source: Inspector's Ec2Configuration."""

    AGENT_BASED = "EC2_SSM_AGENT_BASED"  # by Systems Manager's inventory only
    HYBRID = "EC2_HYBRID"  # without Systems Manager, by snapshots


class ScanMode(StrEnum):
    """How one instance is scanned. Source: Inspector's CoveredResource."""

    AGENT_BASED = "EC2_SSM_AGENT_BASED"
    AGENTLESS = "EC2_AGENTLESS"


class ScanType(StrEnum):
    """What a scan looks for; an instance has a coverage entry for each."""

    PACKAGE = "PACKAGE"
    NETWORK = "NETWORK"


class AccountStatus(StrEnum):
    """Whether an account's instances are scanned."""

    ENABLED = "ENABLED"
    PENDING_DISABLE = "PENDING_DISABLE"  # scans end, and everything created is being removed
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class AccountConfiguration:
    """What was set for one account. None is not set: inherited from the administrator, or default.

    `organization` is the id of the organization whose member it is, empty for an account of its
    own. `package_paths` are the account's own; the organization's come in addition. `disabled_at`
    is when its disabling began: its findings are deleted a day later. `vm_scanner`, `ami_scanning`
    and `ecr_scanning` (JSON) are kept for clients of the API. `left_organization` is the
    organization that it was disassociated from.
    """

    account: str
    organization: str = ""
    status: AccountStatus = AccountStatus.ENABLED
    mode: Ec2ScanMode | None = None
    deep_inspection: bool | None = None
    exclusion_tag: str | None = None
    package_paths: tuple[str, ...] = ()
    disabled_at: datetime | None = None
    updated_at: datetime | None = None
    vm_scanner: bool | None = None
    ami_scanning: str | None = None
    left_organization: str = ""
    ecr_scanning: str | None = None


@dataclass(frozen=True, slots=True)
class OrganizationConfiguration:
    """What was set for an organization. Members inherit what its administrator's account has set.

    `administrator` is the account of the delegated administrator. `auto_enable`: an account that
    joins is enabled. `package_paths` are inspected in each member.
    """

    id: str
    administrator: str
    auto_enable: bool = False
    package_paths: tuple[str, ...] = ()
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EffectiveConfiguration:
    """What holds for one account, with inheritance and defaults applied.

    `vm_scanner`, and `ami_scanning` and `ecr_scanning` (JSON, empty if not set), are kept for
    clients of the API.
    `configured`: somebody configured the account, or its organization. `inherited` names the
    members that are the administrator's.
    """

    account: str
    status: AccountStatus
    mode: Ec2ScanMode
    deep_inspection: bool
    exclusion_tag: str
    package_paths: tuple[str, ...]
    configured: bool
    inherited: frozenset[str] = frozenset()
    vm_scanner: bool = False
    ami_scanning: str = ""
    ecr_scanning: str = ""


class ResourceKind(StrEnum):
    """What Sidelight creates in an account besides snapshots.

    SYSTEMS_MANAGER: associations, a data sync, documents and parameters; the resource's name is
    that of the bucket of the data sync. KMS_GRANT: grants on keys; without a name.
    """

    SYSTEMS_MANAGER = "SYSTEMS_MANAGER"
    KMS_GRANT = "KMS_GRANT"


@dataclass(frozen=True, slots=True)
class CreatedResource:
    """A record that Sidelight may have created something in an account and Region."""

    account: str
    region: str
    kind: ResourceKind
    name: str = ""
