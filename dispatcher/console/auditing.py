"""What people did on the console, in the same audit log as the API's calls."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final

from sidelight.model import CALL_OK, CALL_STARTED, AuditRecord

if TYPE_CHECKING:
    from dispatcher.console.page import ConsolePage, PageRequest
    from dispatcher.console.web_messages import WebRequest
    from sidelight.store import Store

KEY: Final = "console"  # what the log has in place of an access key
_SECRET: Final = ("password", "csrf", "secret")


class Auditor:
    """Writes records: of a change before it begins, and what came of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def signed_in(
        self, request: WebRequest, name: str, outcome: str, account: str = "", detail: str = ""
    ) -> None:
        """Record an attempt to sign in."""
        self._store.audit_log.add(
            AuditRecord(
                self._store.clock(), name, KEY, account, "", "SignIn", str(uuid.uuid4()),
                request.source, outcome, detail,
            )
        )  # fmt: skip

    def begin(self, page: ConsolePage, request: PageRequest, source: str) -> int:
        """Record a change that begins; return the record's number."""
        shown = {
            name: values for name, values in request.form.items()
            if not any(part in name.lower() for part in _SECRET)
        }  # fmt: skip
        detail = json.dumps({**request.segments, **shown})
        number = self._store.audit_log.add(
            AuditRecord(
                request.now, request.principal.name, KEY, request.principal.account_id,
                request.scope.region, page.action or page.title, str(uuid.uuid4()), source,
                CALL_STARTED, detail,
            )
        )  # fmt: skip
        if number is None:
            raise AssertionError("a record without signature is never refused")
        return number

    def complete(self, number: int, outcome: str = CALL_OK, detail: str = "") -> None:
        """Record what came of a change."""
        self._store.audit_log.complete(number, outcome, detail)
