"""The API's errors: Inspector's exceptions, with their HTTP status codes and members.

Source: the exceptions of botocore's `inspector2` service model. The texts are for the caller, and
have no more of a request than the names of its members.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from sidelight.errors import SidelightError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MESSAGE_LIMIT = 2000  # characters of a message


class Reason(StrEnum):
    """Why a request is not valid. Source: Inspector's ValidationExceptionReason."""

    CANNOT_PARSE = "CANNOT_PARSE"
    FIELD_VALIDATION_FAILED = "FIELD_VALIDATION_FAILED"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A member of a request that is not valid: its path (`filterCriteria.severity[0]`) and why."""

    name: str
    message: str


class ApiError(SidelightError):
    """An error that the caller is answered with; `code` is the exception's name in the model."""

    code: ClassVar[str]
    status: ClassVar[int]

    def members(self) -> Mapping[str, object]:
        """Return the members of the answer's body besides `message`."""
        return {}

    def headers(self) -> Mapping[str, str]:
        """Return the answer's own headers."""
        return {}


class ValidationError(ApiError):
    """The request has missing or invalid members."""

    code = "ValidationException"
    status = 400

    def __init__(
        self,
        what: str,
        *,
        reason: Reason = Reason.FIELD_VALIDATION_FAILED,
        fields: Sequence[InvalidField] = (),
    ) -> None:
        super().__init__(what)
        self.reason = reason
        self.fields = tuple(fields)

    def members(self) -> Mapping[str, object]:
        """Return reason and fields."""
        fields = [{"name": item.name, "message": item.message} for item in self.fields]
        return {"reason": self.reason.value, **({"fields": fields} if fields else {})}


class BadRequestError(ApiError):
    """The tags of a request are not valid."""

    code = "BadRequestException"
    status = 400


class AccessRefusedError(ApiError):
    """The caller may not do this."""

    code = "AccessDeniedException"
    status = 403


class ResourceNotFoundError(ApiError):
    """The resource does not exist, or the caller may not see it."""

    code = "ResourceNotFoundException"
    status = 404


class ConflictError(ApiError):
    """The resource is not in a state that allows the change."""

    code = "ConflictException"
    status = 409

    def __init__(self, what: str, *, resource_id: str, resource_type: str) -> None:
        super().__init__(what)
        self.resource_id = resource_id
        self.resource_type = resource_type

    def members(self) -> Mapping[str, object]:
        """Return the resource."""
        return {"resourceId": self.resource_id, "resourceType": self.resource_type}


class ServiceQuotaExceededError(ApiError):
    """The change would exceed a quota. Inspector's status is 402, not 429."""

    code = "ServiceQuotaExceededException"
    status = 402

    def __init__(self, what: str, *, resource_id: str) -> None:
        super().__init__(what)
        self.resource_id = resource_id

    def members(self) -> Mapping[str, object]:
        """Return the resource."""
        return {"resourceId": self.resource_id}


class RetryableError(ApiError):
    """An error after which the same request may pass: `retry_after` is in seconds."""

    def __init__(self, what: str, *, retry_after: int = 1) -> None:
        super().__init__(what)
        self.retry_after = retry_after

    def headers(self) -> Mapping[str, str]:
        """Return Retry-After: the model's retryAfterSeconds is this header."""
        return {"Retry-After": str(self.retry_after)}


class ThrottlingError(RetryableError):
    """The caller exceeds its rate limit."""

    code = "ThrottlingException"
    status = 429


class InternalServerError(RetryableError):
    """The server failed; its log has more under the request's id."""

    code = "InternalServerException"
    status = 500


class UnknownOperationError(ApiError):
    """No operation has this method and path. Source: AWS's common errors, as those below."""

    code = "UnknownOperationException"
    status = 404


class MalformedRequestError(ApiError):
    """The request is not valid HTTP of the protocol."""

    code = "MalformedHttpRequestException"
    status = 400


class RequestTooLargeError(ApiError):
    """The body is too large."""

    code = "RequestEntityTooLargeException"
    status = 413


class RequestTimeoutError(ApiError):
    """The request arrived too slowly."""

    code = "RequestTimeoutException"
    status = 408


class MissingAuthenticationError(ApiError):
    """The request is not signed."""

    code = "MissingAuthenticationTokenException"
    status = 403


class IncompleteSignatureError(ApiError):
    """The signature lacks a part, or a part of it cannot be read."""

    code = "IncompleteSignatureException"
    status = 400


class InvalidSignatureError(ApiError):
    """The signature is not that of this request by this key, or not of now."""

    code = "InvalidSignatureException"
    status = 403


class UnrecognizedClientError(ApiError):
    """The access key is unknown, revoked or expired."""

    code = "UnrecognizedClientException"
    status = 403


class ServiceUnavailableError(ApiError):
    """The store does not answer, or too many calls wait."""

    code = "ServiceUnavailableException"
    status = 503


class MisdirectedRequestError(ApiError):
    """The request names a host that this server does not serve."""

    code = "MalformedHttpRequestException"
    status = 421
