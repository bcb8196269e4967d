"""From a request of the API to its answer: authentication, operation, role, handler."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.api.authentication.canonical import SignedParts
from dispatcher.api.call import Call
from dispatcher.api.errors import (
    AccessRefusedError,
    ApiError,
    InternalServerError,
    Reason,
    ServiceUnavailableError,
    ThrottlingError,
    ValidationError,
)
from dispatcher.api.pagination import bound_pages
from dispatcher.api.protocol.answers import Answer, failure, success
from dispatcher.api.protocol.requests import parameters, query_fields
from dispatcher.api.protocol.service import inspector2
from dispatcher.api.recent_answers import SIGN_AGAIN, RecentAnswers
from sidelight.errors import StoreError, UsageError
from sidelight.model import CALL_OK, CALL_STARTED, AuditRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from dispatcher.api.authentication.authenticator import Authenticator, SignedCaller
    from dispatcher.api.call import ApiServices, Handler
    from dispatcher.api.http_messages import HttpRequest
    from dispatcher.api.protocol.operation import Operation
    from dispatcher.services.access_keys import Seal

log = logging.getLogger(__name__)


class Gateway:
    """Answers requests of the API. Safe for several threads; every request gets an answer."""

    def __init__(
        self,
        services: ApiServices,
        authenticator: Authenticator,
        handlers: Mapping[str, Handler],
        seal: Seal | None,
        now: Callable[[], datetime],
    ) -> None:
        """`now` is the time that signatures are compared with."""
        self._services = services
        self._authenticator = authenticator
        self._handlers = handlers
        self._now = now
        self._answers = RecentAnswers()
        # Tokens of all servers of a deployment are the same: a seal is shared by them.
        self._page_key = seal.derived("pagination") if seal else secrets.token_bytes(32)

    def answer(self, request: HttpRequest) -> Answer:
        """Return the answer to a request. Raises nothing."""
        request_id = str(uuid.uuid4())
        try:
            return self._answer(request, request_id)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return failure(answerable(error, f"{request_id} {request.path!r:.200}"), request_id)

    def _answer(self, request: HttpRequest, request_id: str) -> Answer:
        service = inspector2()
        operation, labels = service.route(request.method, request.path)
        query = query_fields(request.query)
        digest = hashlib.sha256(request.body).hexdigest()
        parts = SignedParts(request.method, request.path, query, request.headers, digest)
        now = self._now()
        caller = self._authenticator.authenticate(parts, request.body, now)
        record = _record(request, request_id, caller, operation, now)
        handler = self._permitted(caller, operation, record)
        checked = parameters(service, operation, labels, query, request.body)
        call = Call(
            caller.principal, caller.region, request_id, now, self._services,
            bound_pages(self._page_key, caller.principal, operation.name, checked, now),
        )  # fmt: skip
        if not operation.is_write:
            return success(service, operation, handler(call, checked), request_id)
        number = self._begin(record, checked, caller)
        if number is None:
            return self._repeated(record, caller)
        try:
            answer = success(service, operation, handler(call, checked), request_id)
        except Exception as error:
            shown = answerable(error, request_id)
            self._services.store.audit_log.complete(number, shown.code, shown.what)
            raise shown from error
        self._services.store.audit_log.complete(number, CALL_OK)
        self._answers.keep(caller.signature, answer)
        return answer

    def _permitted(
        self, caller: SignedCaller, operation: Operation, record: AuditRecord
    ) -> Handler:
        """Return the operation's handler. Raises ApiError; a refusal is in the audit log."""
        role, handler = operation.role, self._handlers.get(operation.name)
        if role is None or handler is None:
            raise ValidationError(
                f"Sidelight does not offer {operation.name}: it scans EC2 instances and AMIs",
                reason=Reason.OTHER,
            )
        if not caller.principal.role.includes(role):
            error = AccessRefusedError(
                f"{caller.principal.name} is a {caller.principal.role} and may not call"
                f" inspector2:{operation.name}, which needs the role {role}"
            )
            self._services.store.audit_log.add(_ended(record, error))
            raise error
        return handler

    def _repeated(self, record: AuditRecord, caller: SignedCaller) -> Answer:
        """Return the answer to the call that has this signature. Raises ThrottlingError.

        It is the answer of now only if its principal has made no other call since: a filter that
        was created, deleted, and created again within a second is created twice.
        """
        newest = self._services.store.audit_log.newest(1, principal=record.principal)
        if any(other.signature != _digest(caller.signature) for other in newest):
            raise ThrottlingError(SIGN_AGAIN)
        return self._answers.of(caller.signature)

    def _begin(
        self, record: AuditRecord, checked: Mapping[str, object], caller: SignedCaller
    ) -> int | None:
        """Write a call to the audit log before it begins; None for a signature that was used."""
        return self._services.store.audit_log.add(
            replace(
                record,
                detail=json.dumps(checked, default=str),
                signature=_digest(caller.signature),
            )
        )


def answerable(error: Exception, where: str) -> ApiError:
    """Return the error for the caller; the log has what it does not show."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UsageError):
        return ValidationError(error.what, reason=Reason.OTHER)
    if isinstance(error, StoreError):
        log.warning("%s: %s", where, error)
        return ServiceUnavailableError("the store does not answer")
    log.error("%s: the call failed", where, exc_info=error)
    return InternalServerError("the server failed; its log has more under the request's id")


def _record(
    request: HttpRequest, request_id: str, caller: SignedCaller, operation: Operation, now: datetime
) -> AuditRecord:
    principal = caller.principal
    return AuditRecord(
        now, principal.name, caller.key_id, principal.account_id, caller.region, operation.name,
        request_id, request.source, CALL_STARTED,
    )  # fmt: skip


def _digest(signature: str) -> str:
    return hashlib.sha256(signature.encode()).hexdigest()


def _ended(record: AuditRecord, error: ApiError) -> AuditRecord:
    return replace(record, outcome=error.code, detail=error.what)
