"""Answers that no page makes: errors, files, reports of browsers, and the headers of all."""

from __future__ import annotations

import gzip
import logging
import uuid
from typing import TYPE_CHECKING, Final

from dispatcher.console import assets
from dispatcher.console.guards import HEADERS
from dispatcher.console.rendering import HTML, render
from dispatcher.console.web_messages import METHODS, WebAnswer, WebError
from sidelight.errors import SidelightError, StoreError

if TYPE_CHECKING:
    from dispatcher.console.web_messages import WebRequest

log = logging.getLogger(__name__)

_REPORT_LOGGED: Final = 500  # characters
_COMPRESSED_FROM: Final = 1024  # bytes
_FOREVER: Final = "public, max-age=31536000, immutable"


def error_page(error: WebError) -> WebAnswer:
    """Return the page of an error, without the frame of a person who is signed in."""
    data = {"status": error.status, "what": error.what, "hint": error.hint,
            "sign_in": error.sign_in}  # fmt: skip
    headers = [("Content-Type", HTML)]
    if error.status == 405:
        headers.append(("Allow", ", ".join(METHODS)))
    if error.status == 503:
        headers.append(("Retry-After", "5"))
    return WebAnswer(error.status, headers, render("error.html", data).encode("utf-8", "replace"))


def shown(error: Exception, request: WebRequest) -> WebError:
    """Return an error as a person sees it; the log has what it does not show."""
    if isinstance(error, StoreError):
        log.warning("%.200r: %s", request.path, error)
        return WebError(503, "The store does not answer.", "Reload the page in a moment.")
    if isinstance(error, SidelightError):
        return WebError(400, str(error))
    number = str(uuid.uuid4())
    log.error("%s: %.200r failed", number, request.path, exc_info=error)
    return WebError(500, "The console failed.", f"The server's log has more under {number}.")


def asset(path: str) -> WebAnswer:
    """Return a static file."""
    file = assets.by_url().get(path)
    if file is None:
        return WebAnswer(404, (("Content-Type", "text/plain"),), b"no such file\n")
    headers = (("Content-Type", file.content_type), ("Cache-Control", _FOREVER))
    return WebAnswer(200, headers, file.body)


def policy_report(request: WebRequest) -> WebAnswer:
    """Log a browser's report of what the policy refused: bounded, and nothing is kept."""
    if request.method == "POST":
        log.warning("content security policy: %.*r", _REPORT_LOGGED, request.body[:_REPORT_LOGGED])
    return WebAnswer(204)


def finished(request: WebRequest, answer: WebAnswer) -> WebAnswer:
    """Return the answer with the headers that all have, compressed where the browser may."""
    headers = [*answer.headers, *HEADERS]
    names = {name.lower() for name, _ in answer.headers}
    if "cache-control" not in names:
        headers.append(("Cache-Control", "no-store"))
    body = answer.body
    if "gzip" in request.header("accept-encoding") and len(body) >= _COMPRESSED_FROM:
        file = assets.by_url().get(request.path)
        body = file.compressed if file is not None else gzip.compress(body, 5, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    headers.append(("Vary", "Accept-Encoding, Cookie"))
    return WebAnswer(answer.status, headers, body, answer.chunks, answer.poll)
