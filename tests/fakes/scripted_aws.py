"""AWS clients whose answers a test gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


ACCOUNT, REGION = "123456789012", "eu-south-1"


def refused(
    code: str, message: str = "", *, status: int = 400, reason: str = "", ahead: float | None = 0.0
) -> ClientError:
    """As botocore raises it; `ahead`: seconds by which our clock is ahead of AWS's Date."""
    headers = {}
    if ahead is not None:
        headers["date"] = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead))
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    if reason:
        answer["Reason"] = reason
    return ClientError(answer, "AnyOperation")


class Scripted:
    """A client whose answers are given, by operation, the last again and again."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name: list(value) for name, value in answers.items()}
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.requests.append((operation, request))
            answers = self.answers[operation]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class Sessions:
    """A session that gives one client for everything."""

    region = REGION

    def __init__(self, client: Scripted) -> None:
        self.scripted = client

    def client(self, *_names: Any, **_options: Any) -> Scripted:
        return self.scripted

    def renew(self, *_names: Any) -> bool:
        return False


def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
