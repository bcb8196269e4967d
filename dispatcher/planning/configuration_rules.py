"""The rules of configurations: inheritance, changes and their validation. PURE.

Source: Inspector's API (UpdateConfiguration, UpdateEc2DeepInspectionConfiguration, Enable, Disable)
and its user guide. A member inherits what the delegated administrator's account has set, until it
is set for the member itself; a reset returns to that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dispatcher.planning.eligibility import EXCLUSION_TAG
from sidelight.errors import UsageError
from sidelight.model import (
    AccountConfiguration,
    AccountStatus,
    Ec2ScanMode,
    EffectiveConfiguration,
    OrganizationConfiguration,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

# Five by the model for an account and for the organization each.
MOST_PATHS: Final = 5
LONGEST_PATH: Final = 512  # characters
LONGEST_TAG: Final = 128  # characters of a tag's key in EC2
INHERITED: Final = (
    "mode", "deep_inspection", "exclusion_tag", "vm_scanner", "ami_scanning", "ecr_scanning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """What to set; None leaves a member as it is, an empty tuple of paths removes all."""

    mode: Ec2ScanMode | None = None
    deep_inspection: bool | None = None
    exclusion_tag: str | None = None
    package_paths: tuple[str, ...] | None = None
    vm_scanner: bool | None = None
    ami_scanning: str | None = None
    ecr_scanning: str | None = None

    def check(self) -> None:
        """Raise UsageError for a value that Inspector would refuse."""
        if self.package_paths is not None:
            check_paths(self.package_paths)
        if self.exclusion_tag is not None:
            check_tag(self.exclusion_tag)


def resolve(
    account: str,
    own: AccountConfiguration | None,
    administrator: AccountConfiguration | None = None,
    organization: OrganizationConfiguration | None = None,
    *,
    default_tag: str = EXCLUSION_TAG,
) -> EffectiveConfiguration:
    """Return an account's effective configuration; `default_tag` excludes where no tag is set.

    `administrator` and `organization` are those of the organization whose member it is, if any. An
    account that nobody configured is enabled, hybrid, with deep inspection.
    """
    own_values = own or AccountConfiguration(account)
    inherited_values = administrator or AccountConfiguration(account)
    if organization is None or own_values.organization != organization.id:
        inherited_values = AccountConfiguration(account)
        organization = None
    values: dict[str, Any] = {}
    for name, default in (
        ("mode", Ec2ScanMode.HYBRID),
        ("deep_inspection", True),
        ("exclusion_tag", default_tag),
        ("vm_scanner", False),
        ("ami_scanning", ""),
        ("ecr_scanning", ""),
    ):
        candidates = (getattr(own_values, name), getattr(inherited_values, name), default)
        values[name] = next(value for value in candidates if value is not None)
    inherited = {
        name
        for name in INHERITED
        if getattr(own_values, name) is None and getattr(inherited_values, name) is not None
    }
    if organization and organization.administrator == account:
        inherited.clear()
    paths = (*own_values.package_paths, *(organization.package_paths if organization else ()))
    return EffectiveConfiguration(
        account=account,
        status=own_values.status,
        package_paths=tuple(dict.fromkeys(paths)),
        configured=own is not None,
        inherited=frozenset(inherited),
        **values,
    )


def resolve_all(
    accounts: Iterable[str],
    configured: Iterable[AccountConfiguration],
    organizations: Iterable[OrganizationConfiguration],
    *,
    default_tag: str = EXCLUSION_TAG,
) -> dict[str, EffectiveConfiguration]:
    """Return the effective configuration of each of these accounts, from all that are stored."""
    own = {row.account: row for row in configured}
    by_id = {row.id: row for row in organizations}
    effective = {}
    for account in accounts:
        own_values = own.get(account)
        organization = by_id.get(own_values.organization) if own_values else None
        inherited_values = own.get(organization.administrator) if organization else None
        effective[account] = resolve(
            account, own_values, inherited_values, organization, default_tag=default_tag
        )
    return effective


def refusal(
    actor: str,
    account: str,
    own: AccountConfiguration | None,
    organization: OrganizationConfiguration | None,
    *,
    disables: bool = False,
) -> str:
    """Return why an account may not change another's configuration, or its own; empty if it may.

    An empty `actor` is the operator of this deployment, who may change all. Inspector refuses a
    member that disables itself, and anybody but the delegated administrator for another account.
    """
    is_member = own is not None and organization is not None and own.organization == organization.id
    if not actor or (is_member and organization and organization.administrator == actor):
        return ""
    if actor != account:
        return f"account {actor} is not the delegated administrator of account {account}"
    if disables and is_member:
        return f"member account {account} is not authorized to disable itself"
    return ""


def changed(
    account: str, own: AccountConfiguration | None, change: ConfigurationChange
) -> AccountConfiguration:
    """Return the account's configuration with the change. Raises UsageError."""
    change.check()
    values = {
        name: value
        for name in (*INHERITED, "package_paths")
        if (value := getattr(change, name)) is not None
    }
    return replace(own or AccountConfiguration(account), **values)


def reset(own: AccountConfiguration) -> AccountConfiguration:
    """Return the configuration without own values: all of it is inherited again.

    Its own paths stay: they are in addition to the organization's.
    """
    values: dict[str, Any] = dict.fromkeys(INHERITED)
    return replace(own, **values)


def enabled(account: str, own: AccountConfiguration | None) -> AccountConfiguration:
    """Return the configuration of an enabled account."""
    present = own or AccountConfiguration(account)
    return replace(present, status=AccountStatus.ENABLED, disabled_at=None)


def disabling(
    account: str, own: AccountConfiguration | None, now: datetime
) -> AccountConfiguration:
    """Return the configuration of an account whose disabling began now, or began before."""
    present = own or AccountConfiguration(account)
    if present.status is not AccountStatus.ENABLED:
        return present
    return replace(present, status=AccountStatus.PENDING_DISABLE, disabled_at=now)


def disabled(own: AccountConfiguration | None) -> AccountConfiguration | None:
    """Return the configuration once everything is removed; None if it was enabled meanwhile."""
    if own is None or own.status is not AccountStatus.PENDING_DISABLE:
        return None
    return replace(own, status=AccountStatus.DISABLED)


def joined(
    account: str,
    own: AccountConfiguration | None,
    organization: OrganizationConfiguration,
    now: datetime,
    *,
    scanned: bool,
) -> AccountConfiguration | None:
    """Return the configuration of an account that is a member now; None if that is not new.

    A new account is enabled by `auto_enable`, or if it was `scanned` before the organization was
    configured. One that was configured before keeps what it has. One that was disassociated stays
    so, until it is associated by name.
    """
    if own is not None and own.left_organization == organization.id:
        return None
    if own is not None:
        is_member = own.organization == organization.id
        return None if is_member else replace(own, organization=organization.id)
    member = AccountConfiguration(account, organization=organization.id)
    if organization.auto_enable or scanned or account == organization.administrator:
        return member
    return replace(member, status=AccountStatus.DISABLED, disabled_at=now)


def associated(own: AccountConfiguration | None) -> AccountConfiguration | None:
    """Return the configuration of an account that may join again; None if it never left."""
    return replace(own, left_organization="") if own and own.left_organization else None


def disassociated(
    own: AccountConfiguration | None, organization: OrganizationConfiguration
) -> AccountConfiguration | None:
    """Return the configuration of an account that has left; None if it is not a member."""
    if own is None or own.organization != organization.id:
        return None
    return replace(own, organization="", left_organization=organization.id)


def is_account(text: str) -> bool:
    """Whether a text is an account's id: twelve digits."""
    return len(text) == 12 and text.isascii() and text.isdigit()


def check_account(account: str) -> str:
    """Return the account's id. Raises UsageError unless it is twelve digits."""
    if not is_account(account):
        raise UsageError("an account's id has 12 digits", where=account[:64])
    return account


def check_tag(tag: str) -> None:
    """Raise UsageError unless this can be a tag's key."""
    if not 0 < len(tag) <= LONGEST_TAG or not tag.isprintable() or tag.lower().startswith("aws:"):
        raise UsageError(
            f"a tag's key has 1 to {LONGEST_TAG} printable characters and does not begin with aws:",
            where=tag[:LONGEST_TAG],
        )


def check_paths(paths: Sequence[str], most: int = MOST_PATHS) -> None:
    """Raise UsageError for more than so many custom paths, or for one that is not valid."""
    if len(paths) > most:
        raise UsageError(f"{len(paths)} paths, and at most {most} can be set")
    for path in paths:
        if len(path) > LONGEST_PATH or not (_is_posix(path) or _is_windows(path)):
            raise UsageError(
                "a custom path is absolute, of letters, digits, - and _, with single dots and"
                f" spaces inside its names, and has at most {LONGEST_PATH} characters",
                where=path[:LONGEST_PATH],
            )


def _is_posix(path: str) -> bool:
    """Whether it is as /opt/my app/.hidden: a name may begin with a dot if it has no other."""
    names = path.removesuffix("/").split("/")
    return (
        path.startswith("/")
        and len(names) > 1
        and all(_is_name(name.removeprefix("."), plain=name.startswith(".")) for name in names[1:])
    )


def _is_windows(path: str) -> bool:
    drive, separator, others = path.partition(":\\")
    is_drive = len(drive) == 1 and drive.isascii() and drive.isalpha()
    return bool(separator) and is_drive and all(_is_name(name) for name in others.split("\\"))


def _is_name(name: str, *, plain: bool = False) -> bool:
    """Whether it is words of letters, digits, - and _, joined by single dots or blanks."""
    words = [name] if plain else name.replace(" ", ".").split(".")
    return all(word.isascii() and word.replace("-", "_").replace("_", "a").isalnum()
               for word in words)  # fmt: skip
