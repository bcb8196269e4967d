"""SSM documents of one account and Region: the calls that keep a document of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight.aws.answers import required
from sidelight.aws.ssm.calls import SsmCalls
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from sidelight.aws.session import Session

_ABSENT: Final = frozenset({"InvalidDocument", "DocumentNotFound"})
_EXISTS: Final = frozenset({"DocumentAlreadyExists"})
MAX_CONTENT: Final = 256 << 10  # characters; AWS takes 64 KB


class Documents:
    """The calls for one account and Region. Each raises AccessDeniedError, CloudError."""

    def __init__(self, session: Session, account: str, region: str) -> None:
        self._ssm = SsmCalls(session, account, region)

    def content(self, name: str) -> dict[str, object] | None:
        """Return the content of a document's default version, None where there is none.

        Content that is not a JSON object is empty. Needs ssm:GetDocument.
        """
        try:
            answer = self._ssm.call("get_document", lambda ssm: ssm.get_document(Name=name), name)
        except CloudError as error:
            if error.code in _ABSENT:
                return None
            raise
        text = str(answer.get("Content") or "")
        try:
            found = json.loads(text) if len(text) <= MAX_CONTENT else {}
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def create(self, name: str, content: str) -> None:
        """Create a command document of JSON. One that exists already is not an error."""
        try:
            self._ssm.call(
                "create_document",
                lambda ssm: ssm.create_document(
                    Name=name, Content=content, DocumentType="Command", DocumentFormat="JSON"
                ),
                name,
            )
        except CloudError as error:
            if error.code not in _EXISTS:
                raise

    def update(self, name: str, content: str) -> None:
        """Make the content the document's default version."""
        answer = self._ssm.call(
            "update_document",
            lambda ssm: ssm.update_document(
                Name=name, Content=content, DocumentVersion="$LATEST", DocumentFormat="JSON"
            ),
            name,
        )
        described = answer.get("DocumentDescription") or {}
        where = self._ssm.where("update_document", name)
        version = required(described.get("DocumentVersion"), "DocumentVersion", where)
        self._ssm.call(
            "update_document_default_version",
            lambda ssm: ssm.update_document_default_version(Name=name, DocumentVersion=version),
            name,
        )

    def delete(self, name: str) -> None:
        """Delete a document. One that does not exist is not an error."""
        try:
            self._ssm.call("delete_document", lambda ssm: ssm.delete_document(Name=name), name)
        except CloudError as error:
            if error.code not in _ABSENT:
                raise
