"""Requests and replies as they pass between the HTTP server and the services, and AWS's errors.

AWS writes the same error in four shapes, by the service's protocol; `render` knows all four.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `headers` have lower-case names; `path` is percent-decoded.

    `arrived`: when its last byte came, in seconds of `time.monotonic`. `connection`: the number of
    the connection that it came by.
    """

    method: str
    path: str
    query_string: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    arrived: float
    connection: int = 0


class Wreck(Enum):
    """What befalls an answer on its way out."""

    NONE = "none"
    LOST = "lost"  # the connection closes before a byte of the answer
    CUT = "cut"  # the full length is announced, half of the body is sent
    HANG = "hang"  # nothing, and the connection stays open until the client closes it


@dataclass(slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wreck: Wreck = Wreck.NONE


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the SigV4 credential scope says. Signatures are not checked."""

    access_key: str
    region: str
    service: str


class AwsError(Exception):
    """An error answer. `reason` is the EBS direct APIs' `Reason` member."""

    def __init__(self, code: str, message: str, *, status: int = 400, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason


# By signing name; the protocol decides how an error is written. A service that is not in this
# table speaks JSON 1.1.
PROTOCOLS = {
    "ebs": "rest-json",
    "rbin": "rest-json",
    "ec2": "ec2",
    "sts": "query",
    "iam": "query",
    "elasticloadbalancing": "query",
    "kms": "json",
    "ssm": "json",
    "organizations": "json",
    "s3": "rest-xml",
}


def caller_of(headers: Mapping[str, str]) -> Caller | None:
    """The caller by the Authorization header; None where there is none that makes sense."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        return None
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        scope = value.split("/")
        if name == "Credential" and len(scope) == 5 and scope[0]:
            return Caller(access_key=scope[0], region=scope[2], service=scope[3].lower())
    return None


def render(error: AwsError, service: str) -> Reply:
    """The error in the service's protocol."""
    request_id = str(uuid.uuid4())
    protocol = PROTOCOLS.get(service, "json")
    code, message = escape(error.code), escape(error.message)
    if protocol == "ec2":
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
        return Reply(error.status, {"Content-Type": "text/xml;charset=UTF-8"}, text.encode())
    if protocol == "query":
        side = "Sender" if error.status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code>"
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>"
        )
        return Reply(error.status, {"Content-Type": "text/xml"}, text.encode())
    if protocol == "rest-xml":
        text = (
            f"<Error><Code>{code}</Code><Message>{message}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
        return Reply(error.status, {"Content-Type": "application/xml"}, text.encode())
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": error.code}
    if protocol == "rest-json":
        body = {"Message": error.message}
        if error.reason:
            body["Reason"] = error.reason
        headers["Content-Type"] = "application/json"
    else:
        body = {"__type": error.code, "message": error.message}
        headers["Content-Type"] = "application/x-amz-json-1.1"
    return Reply(error.status, headers, json.dumps(body).encode())
