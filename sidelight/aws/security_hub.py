"""Findings to Security Hub by BatchImportFindings, under each account's default product.

Security Hub takes findings of its caller's own account alone, so that each account's role sends its
own. A finding that is sent again, or in an older state, changes nothing: Security Hub compares
`UpdatedAt`. Source: BatchImportFindings in the API reference.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.events import Message, Sent
from sidelight.aws.faults import translated
from sidelight.batches import batches
from sidelight.errors import AccessDeniedError, CloudError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.aws.session import Session

ENTRIES: Final = 100
BYTES: Final = 240_000
ATTEMPTS: Final = 4
NOT_ENABLED: Final = "InvalidAccessException"
_SCOPE: Final = re.compile(r"(?:(\d{12})(?:/([a-z0-9-]{1,32}))?)?")


class SecurityHub:
    """Sends messages whose texts are findings in ASFF. Needs securityhub:BatchImportFindings.

    With an `account`, or also a `region`, the messages of all others pass: they count as arrived.
    """

    whole = False

    def __init__(
        self,
        session: Session,
        account: str = "",
        region: str = "",
        *,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._session = session
        self._account, self._region = account, region
        self._pause = pause

    @classmethod
    def named(cls, session: Session, scope: str) -> SecurityHub:
        """Return the target of an empty scope, `ACCOUNT` or `ACCOUNT/REGION`. Raises UsageError."""
        match = _SCOPE.fullmatch(scope)
        if match is None:
            raise UsageError("is not securityhub, or securityhub:ACCOUNT[/REGION]", where=scope)
        return cls(session, match[1] or "", match[2] or "")

    def send(self, messages: Sequence[Message]) -> Sent:
        """Send the newest state of each finding; return how many of the first arrived.

        A refusal in one account and Region does not keep the others' messages from arriving.
        """
        groups: dict[tuple[str, str], list[tuple[int, Message]]] = {}
        for number, message in enumerate(messages):
            account, region = message.attributes["account"], message.attributes["region"]
            if self._account in ("", account) and self._region in ("", region):
                groups.setdefault((account, region), []).append((number, message))
        failed: dict[int, str] = {}
        for (account, region), numbered in groups.items():
            try:
                failed |= self._send_to(account, region, numbered)
            except (AccessDeniedError, CloudError) as error:
                failed[numbered[0][0]] = str(error)
        if not failed:
            return Sent(len(messages))
        return Sent(min(failed), failed[min(failed)])

    def _send_to(
        self, account: str, region: str, numbered: Sequence[tuple[int, Message]]
    ) -> dict[int, str]:
        """Send an account-region's messages; return why some were refused, by number."""
        first: dict[str, int] = {}  # the oldest message of each finding
        newest: dict[str, dict[str, Any]] = {}
        for number, message in numbered:
            document = json.loads(message.text)
            first.setdefault(document["Id"], number)
            newest[document["Id"]] = document
        refused: dict[int, str] = {}
        where = f"securityhub {account}/{region}"
        for batch in batches(newest.values(), _bytes, ENTRIES, BYTES):
            for name, why in self._import(account, region, where, batch).items():
                refused[first[name]] = why
        return refused

    def _import(
        self, account: str, region: str, where: str, batch: Sequence[dict[str, Any]]
    ) -> dict[str, str]:
        """Import a batch; return the findings that stay refused, by id, and why."""
        left = {document["Id"]: document for document in batch}
        refused: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(0.2 * 2**attempt)
            answer = self._call(account, region, where, list(left.values()))
            refused = {
                str(item.get("Id")): f"{item.get('ErrorCode')}: {item.get('ErrorMessage')}"
                for item in answer.get("FailedFindings") or ()
                if item.get("Id") in left
            }
            failed = answer.get("FailedCount") or 0
            if failed > len(refused):
                named = len(refused) or "none"
                what = f"{failed} findings are refused, and {named} is named"
                raise CloudError(what, where=where)
            if not refused:
                break
            left = {name: left[name] for name in refused}
        return refused

    def _call(
        self, account: str, region: str, where: str, findings: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        client = self._session.client("securityhub", account=account, region=region)
        # The status of an investigation is Security Hub's users' own.
        own = [{name: item[name] for name in item if name != "Workflow"} for item in findings]
        try:
            with translated(where):
                answer: dict[str, Any] = client.batch_import_findings(Findings=own)
        except CloudError as error:
            if error.code == NOT_ENABLED:
                what = f"Security Hub is not enabled, or does not take our product: {error.what}"
                raise CloudError(what, where=where, code=error.code) from error
            raise
        return answer


def _bytes(document: dict[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":"))) + 1
