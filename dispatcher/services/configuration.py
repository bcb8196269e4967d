"""Configure scanning of accounts and organizations: the command line, API and console call this.

Each change is validated, refused or applied for each account apart: one account's refusal stops no
other. What was set reads back at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dispatcher.discovery.configured import effective
from dispatcher.planning import configuration_rules as rules
from sidelight.errors import SidelightError, UsageError
from sidelight.model import (
    AccountConfiguration,
    AccountStatus,
    Ec2ScanMode,
    OrganizationConfiguration,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dispatcher.planning.configuration_rules import ConfigurationChange
    from sidelight.model import EffectiveConfiguration
    from sidelight.store import Store

MOST_ACCOUNTS = 100  # of one request, as Inspector's Enable and Disable take
MOST_MEMBERS = 10_000  # of one delegated administrator
NO_AGENT = (
    "this deployment does not collect Systems Manager's inventories: in mode EC2_SSM_AGENT_BASED no"
    " instance would be scanned"
)


@dataclass(frozen=True, slots=True)
class FailedAccount:
    """An account that was not changed. `code` is one of Inspector's ErrorCode."""

    account: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ConfiguredAccounts:
    """The accounts as they are configured after a request, and those that were refused."""

    accounts: tuple[EffectiveConfiguration, ...]
    failed: tuple[FailedAccount, ...] = ()


class RefusedError(SidelightError):
    """A change of one account's configuration that is refused; `code` as in FailedAccount."""

    def __init__(self, what: str, *, where: str, code: str) -> None:
        super().__init__(what, where=where)
        self.code = code


class ConfigurationService:
    """Reads and changes configurations.

    An `actor` is the account that asks; empty is the operator, who may change every account.
    """

    def __init__(
        self, store: Store, *, agent_based: bool, organization_paths: int = rules.MOST_PATHS
    ) -> None:
        """`agent_based`: this deployment collects Systems Manager's inventories.

        `organization_paths`: how many custom paths an organization may have.
        """
        self._organization_paths = organization_paths
        self._store = store
        self._agent_based = agent_based

    def effective(self, accounts: Iterable[str]) -> list[EffectiveConfiguration]:
        """Return the effective configurations of these accounts."""
        return list(effective(self._store, accounts).values())

    def known_accounts(self, among: Sequence[str] | None = None) -> list[str]:
        """Return the accounts that were configured or have instances: of these, or of all.

        Those that discovery could not list are among them: nobody knows what they have. A text
        that is not an account's id is none of them.
        """
        if among is not None:
            among = [number for number in among if rules.is_account(number)]
        configured = {row.account for row in self._store.configurations.accounts(among)}
        unlisted = {target.account for target in self._store.unreached_targets.all(among)}
        return sorted(configured | unlisted | self._store.instances.counts(among).keys())

    def members(self, organization: str) -> list[str]:
        """Return an organization's members. Raises UsageError if it is not configured."""
        if self._store.configurations.organization(organization) is None:
            raise UsageError("no such organization is configured", where=organization[:64])
        rows = self._store.configurations.accounts()
        return [row.account for row in rows if row.organization == organization]

    def enable(
        self, accounts: Sequence[str], change: ConfigurationChange, *, actor: str = ""
    ) -> ConfiguredAccounts:
        """Enable these accounts, with a change of their configuration. Raises UsageError."""
        self.check(accounts, change)

        def apply(account: str, own: AccountConfiguration | None) -> AccountConfiguration:
            if own is not None and own.status is AccountStatus.PENDING_DISABLE:
                raise RefusedError(
                    "its disabling has not ended yet", where=account, code="DISABLE_IN_PROGRESS"
                )
            return rules.changed(account, rules.enabled(account, own), change)

        return self._each(accounts, apply, actor)

    def begin_disable(self, accounts: Sequence[str], *, actor: str = "") -> ConfiguredAccounts:
        """Mark these accounts as PENDING_DISABLE: nothing is scanned there from now on.

        `AccountDisabler` removes what is there. Raises UsageError.
        """
        self.check(accounts)
        now = self._store.clock()
        return self._each(
            accounts,
            lambda account, own: rules.disabling(account, own, now),
            actor,
            disables=True,
        )

    def administrators_with_members(self, accounts: Sequence[str]) -> list[str]:
        """Return those of these accounts that administer an organization with other members.

        Inspector disables such an account only after its members are disassociated.
        """
        ids = {row.administrator: row.id for row in self._store.configurations.organizations()}
        rows = self._store.configurations.accounts() if ids.keys() & set(accounts) else []
        return [
            account
            for account in accounts
            if account in ids
            and any(row.organization == ids[account] and row.account != account for row in rows)
        ]

    def refused(
        self, accounts: Sequence[str], *, actor: str = "", disables: bool = False
    ) -> list[FailedAccount]:
        """Return those of these accounts that the actor may not change. Nothing is changed."""
        organizations = {row.id: row for row in self._store.configurations.organizations()}
        own = {row.account: row for row in self._store.configurations.accounts(accounts)}
        failed = []
        for account in accounts:
            why = _refusal(actor, account, own.get(account), organizations, disables=disables)
            if why:
                failed.append(FailedAccount(account, "ACCESS_DENIED", why))
        return failed

    def configure(
        self, accounts: Sequence[str], change: ConfigurationChange, *, actor: str = ""
    ) -> ConfiguredAccounts:
        """Set these accounts individually; neither enables nor disables them. Raises UsageError."""
        self.check(accounts, change)
        return self._each(accounts, lambda a, own: rules.changed(a, own, change), actor)

    def reset(self, accounts: Sequence[str], *, actor: str = "") -> ConfiguredAccounts:
        """Let these accounts inherit all values again. Raises UsageError."""
        self.check(accounts)
        return self._each(
            accounts, lambda a, own: rules.reset(own or AccountConfiguration(a)), actor
        )

    def configure_organization(
        self,
        organization: str,
        *,
        administrator: str = "",
        auto_enable: bool | None = None,
        package_paths: tuple[str, ...] | None = None,
    ) -> OrganizationConfiguration:
        """Set an organization's administrator, auto-enable or paths; None leaves it as it is.

        The administrator's account becomes a member. Raises UsageError.
        """
        if administrator:
            rules.check_account(administrator)
        check_organization(organization)
        if package_paths is not None:
            rules.check_paths(package_paths, self._organization_paths)

        def apply(present: OrganizationConfiguration | None) -> OrganizationConfiguration:
            if present is None and not administrator:
                raise UsageError("name its administrator first", where=organization)
            wanted = present or OrganizationConfiguration(organization, administrator)
            if administrator:
                wanted = replace(wanted, administrator=administrator)
            if auto_enable is not None:
                wanted = replace(wanted, auto_enable=auto_enable)
            return wanted if package_paths is None else replace(wanted, package_paths=package_paths)

        written = self._store.configurations.change_organization(organization, apply)
        self.join(written, [written.administrator])
        return written

    def remove_organization(self, organization: str) -> None:
        """Delete an organization's configuration; its members keep what was set for them.

        Raises UsageError where it is not configured.
        """
        if not self._store.configurations.remove_organization(organization):
            raise UsageError("no such organization is configured", where=organization[:64])

    def join(self, organization: OrganizationConfiguration, accounts: Iterable[str]) -> list[str]:
        """Make these accounts members; return those that were none before.

        A new account is enabled by auto-enable, or if it has instances in the store already.
        """
        now, scanned = self._store.clock(), self._store.instances.counts()
        members = self._store.configurations.accounts()
        known = {row.account for row in members if row.organization == organization.id}
        new = [account for account in dict.fromkeys(accounts) if account not in known]
        if len(known) + len(new) > MOST_MEMBERS:
            raise UsageError(f"more than {MOST_MEMBERS} members", where=organization.id)
        for account in new:
            self._store.configurations.change(
                account,
                lambda own, account=account: rules.joined(  # type: ignore[misc] # bound now
                    account, own, organization, now, scanned=account in scanned
                ),
            )
        return new

    def associate(self, organization: OrganizationConfiguration, account: str) -> None:
        """Make an account a member, also one that was disassociated before.

        Its administrator's filters suppress its findings from now on. Raises UsageError.
        """
        rules.check_account(account)
        self._store.configurations.change(account, rules.associated)
        if self.join(organization, [account]):
            self._store.suppression_rules.reconsider()

    def disassociate(self, organization: OrganizationConfiguration, account: str) -> bool:
        """Make an account no member any more; False if it is none. It keeps its configuration."""
        own = self._store.configurations.account(account)
        if own is None or own.organization != organization.id:
            return False
        self._store.configurations.change(
            account, lambda present: rules.disassociated(present, organization)
        )
        self._store.suppression_rules.reconsider()
        return True

    def check(self, accounts: Sequence[str], change: ConfigurationChange | None = None) -> None:
        """Raise UsageError for a request that is not valid as a whole."""
        if len(accounts) > MOST_ACCOUNTS:
            raise UsageError(f"{len(accounts)} accounts, and at most {MOST_ACCOUNTS} at once")
        for account in accounts:
            rules.check_account(account)
        if change is not None:
            change.check()
            if change.mode is Ec2ScanMode.AGENT_BASED and not self._agent_based:
                raise UsageError(NO_AGENT)

    def _each(
        self,
        accounts: Sequence[str],
        apply: Callable[[str, AccountConfiguration | None], AccountConfiguration],
        actor: str,
        *,
        disables: bool = False,
    ) -> ConfiguredAccounts:
        organizations = {row.id: row for row in self._store.configurations.organizations()}
        failed = []

        def checked(account: str, own: AccountConfiguration | None) -> AccountConfiguration:
            why = _refusal(actor, account, own, organizations, disables=disables)
            if why:
                raise RefusedError(why, where=account, code="ACCESS_DENIED")
            return apply(account, own)

        for account in dict.fromkeys(accounts):
            try:
                self._store.configurations.change(
                    account,
                    lambda own, account=account: checked(account, own),  # type: ignore[misc]
                )
            except RefusedError as error:
                failed.append(FailedAccount(account, error.code, error.what))
        refused = {item.account for item in failed}
        done = [account for account in dict.fromkeys(accounts) if account not in refused]
        return ConfiguredAccounts(tuple(self.effective(done)), tuple(failed))


def _refusal(
    actor: str,
    account: str,
    own: AccountConfiguration | None,
    organizations: Mapping[str, OrganizationConfiguration],
    *,
    disables: bool,
) -> str:
    organization = organizations.get(own.organization) if own else None
    return rules.refusal(actor, account, own, organization, disables=disables)


def check_organization(organization: str) -> None:
    """Raise UsageError unless this is an organization's id: o- and 10 to 32 of a-z and 0-9."""
    name = organization.removeprefix("o-")
    is_id = name.isascii() and name.isalnum() and name.islower() | name.isdigit()
    if name == organization or not 10 <= len(name) <= 32 or not is_id:
        raise UsageError("an organization's id is as o-exampleorgid", where=organization[:64])
