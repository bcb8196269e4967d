"""The audit log: who changed what, over the API and on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, TemplateAnswer
from sidelight.model import Role

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest

_MOST: Final = 5000  # records that are read
COLUMNS: Final = (
    ListColumn("at", "When", "time"),
    ListColumn("who", "Who"),
    ListColumn("what", "What"),
    ListColumn("outcome", "Outcome", "status"),
    ListColumn("detail", "Detail", "code"),
    ListColumn("account", "Account", "id", narrow=True),
    ListColumn("source", "From", "code", narrow=True),
    ListColumn("key", "Key", "code", optional=True),
    ListColumn("request", "Request", "id", optional=True),
)


def audit(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List the newest records of the accounts that the person sees."""
    who, what = request.value("who")[:64], request.value("what")[:64]
    records = request.store.audit_log.newest(_MOST, principal=who)
    accounts = request.scope.accounts
    rows = [
        ListRow(
            {
                "at": record.at, "who": record.principal, "what": record.operation,
                "outcome": record.outcome, "detail": record.detail, "account": record.account,
                "source": record.source, "key": record.key, "request": record.request_id,
            },
            links={"who": request.here(who=record.principal),
                   "what": request.here(what=record.operation)},
        )
        for record in records
        if (accounts is None or record.account in accounts)
        and (not what or record.operation == what)
    ]  # fmt: skip
    listing = Listing(request, "Audit log", COLUMNS)
    if listing.format:
        return listing.download_items(rows, "audit-log")
    chips = [(label, "is", value, request.here(**{name: None}))
             for name, label, value in (("who", "Who", who), ("what", "What", what))
             if value]  # fmt: skip
    data = {"t": listing.in_memory(rows), "chips": chips, "clear": request.link("/audit")}
    return TemplateAnswer("audit.html", data, fact=f"The newest {_MOST:,} records are searched.")


PAGES = (ConsolePage("/audit", "Audit log", audit, Role.ADMINISTRATOR),)
