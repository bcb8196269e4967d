"""Who may change which organization's members: the API and the console ask and call the same.

A delegated administrator sees its members' findings, so it cannot choose any account: one that the
organization has or had, or that the caller sees already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.planning import configuration_rules as rules
from dispatcher.services.configuration import MOST_MEMBERS, RefusedError
from sidelight.model import AccountStatus

if TYPE_CHECKING:
    from dispatcher.services.configuration import ConfigurationService
    from sidelight.model import AccountConfiguration, OrganizationConfiguration, Principal
    from sidelight.store import Store

DENIED: Final = "ACCESS_DENIED"
TAKEN: Final = "MEMBER_OF_ANOTHER"
FULL: Final = "TOO_MANY_MEMBERS"
ADMINISTERS: Final = "IS_ADMINISTRATOR"
NO_MEMBER: Final = "IS_NO_MEMBER"


class OrganizationMembers:
    """Associates and disassociates members. Each method raises RefusedError and changes nothing."""

    def __init__(self, store: Store, configuration: ConfigurationService) -> None:
        self._store = store
        self._configuration = configuration

    def administered(self, principal: Principal) -> list[OrganizationConfiguration]:
        """Return the organizations whose members a principal may change; of the fleet, all."""
        return [
            item
            for item in self._store.configurations.organizations()
            if principal.accounts is None or item.administrator == principal.account_id
        ]

    def associate(
        self, organization: OrganizationConfiguration, account: str, principal: Principal
    ) -> None:
        """Make an account a member. Raises UsageError too, for a text that is not an account."""
        self.check_associate(organization, account, principal)
        self._configuration.associate(organization, account)

    def check_associate(
        self, organization: OrganizationConfiguration, account: str, principal: Principal
    ) -> None:
        """Raise RefusedError unless it may be done, UsageError for text that is not an account."""
        rules.check_account(account)
        own = self._store.configurations.account(account)
        is_known = own is not None and organization.id in (own.organization, own.left_organization)
        if principal.accounts is not None and not is_known and account not in principal.accounts:
            raise RefusedError(
                f"account {account} is not in the organization", where=account, code=DENIED
            )
        if own is not None and own.organization not in ("", organization.id):
            raise RefusedError(
                f"account {account} is a member of another organization", where=account, code=TAKEN
            )
        members = self._configuration.members(organization.id)
        if account not in members and len(members) >= MOST_MEMBERS:
            raise RefusedError(
                f"an administrator has at most {MOST_MEMBERS} members", where=account, code=FULL
            )

    def would_join(
        self, organization: OrganizationConfiguration, account: str
    ) -> AccountConfiguration | None:
        """Return an account's configuration as a member; None for one that is a member already."""
        own = self._store.configurations.account(account)
        is_scanned = account in self._store.instances.counts([account])
        return rules.joined(
            account, rules.associated(own) or own, organization, self._store.clock(),
            scanned=is_scanned,
        )  # fmt: skip

    def disassociate(self, organization: OrganizationConfiguration, account: str) -> None:
        """Make an account no member any more; it keeps what was set for it."""
        self.check_disassociate(organization, account)
        if not self._configuration.disassociate(organization, account):
            raise _no_member(organization, account)

    def check_disassociate(self, organization: OrganizationConfiguration, account: str) -> None:
        """Raise RefusedError unless this may be done."""
        if account == organization.administrator:
            raise RefusedError(
                "the delegated administrator is not its own member", where=account, code=ADMINISTERS
            )
        own = self._store.configurations.account(account)
        if own is None or own.organization != organization.id:
            raise _no_member(organization, account)


def is_enabled(own: AccountConfiguration) -> bool:
    """Whether an account is scanned as it is configured."""
    return own.status is AccountStatus.ENABLED


def _no_member(organization: OrganizationConfiguration, account: str) -> RefusedError:
    # Terraform's provider knows by these words that there is nothing to do.
    return RefusedError(
        f"account {account} cannot be disassociated from account {organization.administrator},"
        " since it is not yet associated to it",
        where=account,
        code=NO_MEMBER,
    )
