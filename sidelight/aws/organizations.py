"""The accounts of the organization that our credentials' account manages, or is a delegate of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.session import translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.aws.session import Session

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Account:
    """A member. `management`: the organization's own account, where no stack set puts a role."""

    id: str
    name: str
    state: str
    management: bool = False

    @property
    def active(self) -> bool:
        """Whether it can be entered: not suspended, closed, or still being made."""
        return self.state == ACTIVE


def accounts(session: Session, *, units: Sequence[str] = ()) -> list[Account]:
    """All accounts by their ids, suspended ones too; with `units`, those in and below these OUs.

    A unit is `ou-…` or a root, `r-…`. Raises AccessDeniedError, CloudError.
    """
    managing = _call(session, "describe_organization")["Organization"]["MasterAccountId"]
    if units:
        described = [one for unit in units for one in _below(session, unit)]
    else:
        described = list(_pages(session, "list_accounts", "Accounts"))
    found = {one["Id"]: _account(one, managing) for one in described}
    return [found[key] for key in sorted(found)]


def _below(session: Session, unit: str) -> Iterator[dict[str, Any]]:
    yield from _pages(session, "list_accounts_for_parent", "Accounts", ParentId=unit)
    below = _pages(
        session, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit
    )
    for child in below:
        yield from _below(session, child["Id"])


def _account(described: dict[str, Any], managing: str) -> Account:
    # `State` has taken the place of `Status`, which is going away.
    state = described.get("State") or described.get("Status", "")
    return Account(
        described["Id"], described.get("Name", ""), state, management=described["Id"] == managing
    )


def _pages(
    session: Session, operation: str, member: str, **request: Any
) -> Iterator[dict[str, Any]]:
    """A page may be empty and yet have another after it."""
    while True:
        answer = _call(session, operation, **request)
        yield from answer.get(member, ())
        if not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def _call(session: Session, operation: str, **request: Any) -> Any:
    where = ": ".join(filter(None, (f"organizations {operation}", request.get("ParentId", ""))))
    client = session.client("organizations", region=session.region or "us-east-1")
    try:
        return getattr(client, operation)(**request)
    except (ClientError, BotoCoreError, OSError) as error:
        raise translate(error, where=where) from error
