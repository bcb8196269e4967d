"""Systems Manager's calls in one account and Region, at rate limits that all processes share.

Systems Manager gives an account and Region some calls a second of each operation, for all tools
together: 1 to 4 of those that read or change associations. `_READS` says which rate a call takes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from sidelight.aws.paced_calls import PacedCalls
from sidelight.aws.pages import NextPage, Page, pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_ssm import SSMClient

    from sidelight.aws.session import Session

T = TypeVar("T")
P = TypeVar("P", bound=Page)

PAGE: Final = 50  # the most items that most listings give in a page
# Pages of one listing. An account and Region has at most some 100,000 managed nodes, 50 a page.
MOST_PAGES: Final = 4_000
READ, CHANGE = "ssm_read", "ssm_change"
# Listings and inventories; all others have quotas of 1 to 4 a second.
_READS: Final = frozenset(
    {
        "describe_instance_information",
        "get_document",
        "get_inventory",
        "list_inventory_entries",
        "list_resource_data_sync",
    }
)


class SsmCalls:
    """Makes the calls; each raises AccessDeniedError or CloudError with the operation's name."""

    def __init__(
        self,
        session: Session,
        account: str,
        region: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = f"{account}/{region}"

        def client() -> SSMClient:
            return session.client("ssm", account=account, region=region, attempts=1)

        self._calls = PacedCalls(
            session,
            client,
            account,
            pace=session.limiter(account, region),
            sleep=sleep,
        )

    def call(
        self,
        operation: str,
        call: Callable[[SSMClient], T],
        subject: str = "",
        *,
        repeatable: bool = True,
    ) -> T:
        """Return what `call` returns for the client. `operation` is the name of its method.

        `subject` says in errors what the call is about. A call that is not `repeatable` would make
        a second object where AWS executed the first one and the answer was lost.
        """
        kind = READ if operation in _READS else CHANGE
        where = self.where(operation, subject)
        return self._calls.call(call, where, kind=kind, repeatable=repeatable)

    def pages(
        self,
        operation: str,
        call: Callable[[SSMClient, NextPage], P],
        subject: str = "",
    ) -> Iterator[P]:
        """Yield the answers of a listing; `call` gets the token of the page too.

        Raises CloudError for a token that repeats, and beyond MOST_PAGES pages.
        """

        def page(following: NextPage) -> P:
            return self.call(operation, lambda client: call(client, following), subject)

        return pages(page, self.where(operation, subject), most=MOST_PAGES)

    def where(self, operation: str, subject: str = "") -> str:
        """Return the coordinates of a call, for errors."""
        return ": ".join(filter(None, (f"{self._place} {operation}", subject)))
