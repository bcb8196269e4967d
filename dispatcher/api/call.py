"""One call of an operation: who calls, and what its handler works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dispatcher.api.errors import AccessRefusedError
from dispatcher.services.visible_accounts import members, visible_accounts

if TYPE_CHECKING:
    from datetime import datetime

    from dispatcher.api.pagination import Pages
    from dispatcher.services.configuration import ConfigurationService
    from sidelight.fleet.settings import Settings
    from sidelight.model import Principal
    from sidelight.store import Store

# Both as the model has them: valid when a handler gets it, and checked when it returns it in tests.
# Timestamps are aware `datetime`s, numbers int or float, enums their text.
ApiRequest = Mapping[str, object]
ApiResponse = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What handlers call: the store and the service layer."""

    store: Store
    settings: Settings
    configuration: ConfigurationService


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an operation by a principal whose role allows it.

    `region` is the signature's; `now` is the time at which the call arrived, in UTC.
    """

    principal: Principal
    region: str
    request_id: str
    now: datetime
    services: ApiServices
    pages: Pages

    @property
    def account_id(self) -> str:
        """The account that the caller acts for."""
        return self.principal.account_id

    def members(self) -> frozenset[str]:
        """Return the members that the caller's account administers."""
        return members(self.services.store, self.account_id)

    def visible_accounts(self) -> frozenset[str] | None:
        """Return the accounts whose data the caller may see; None is every account.

        These are its own, those of its scope, and the members that its account administers.
        """
        return visible_accounts(self.services.store, self.principal)

    def check_visible(self, account: str) -> None:
        """Raise AccessRefusedError unless the caller may see this account's data."""
        visible = self.visible_accounts()
        if visible is not None and account not in visible:
            raise AccessRefusedError(f"account {account} is not visible to the caller")


Handler = Callable[[Call, ApiRequest], ApiResponse]
