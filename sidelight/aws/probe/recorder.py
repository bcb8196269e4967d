"""Make AWS calls, each recorded with its time and answer, and never repeated."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import ClientError

from sidelight.aws.environment_errors import describe
from sidelight.aws.faults import CONNECTION, is_throttle, translate
from sidelight.errors import CloudError, SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_ANSWER = "NoAnswer"  # the code of a call whose connection failed


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call. `at`: seconds from the probe's beginning to the call; `took`: to its answer.

    `code` is empty where the call succeeded. `source`: the name of the connection.
    """

    step: str
    at: float
    took: float
    source: str
    operation: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    code: str = ""
    message: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return not self.code

    @property
    def throttled(self) -> bool:
        """Whether AWS throttled the call."""
        return is_throttle(self.code, self.status)


class Recorder:
    """Makes calls and records requests and answers. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds from any origin."""
        self._clock = clock
        self._lock = threading.Lock()
        self.begun = clock()
        self.step = "start"
        self.exchanges: list[Exchange] = []

    def call(self, source: str, client: Any, operation: str, **request: Any) -> Exchange:
        """Make the call once. An AWS error is recorded like any other answer."""
        at = self._clock() - self.begun
        outcome: dict[str, Any] = {}
        try:
            answer = getattr(client, operation)(**request)
            if "BlockData" in answer:
                answer["BlockData"].read()  # the bytes are private, and not recorded
            outcome["answer"] = _plain(answer)
            outcome["status"] = _status(answer)
        except ClientError as error:
            response: Any = error.response
            outcome = {
                "status": _status(response),
                "code": str(response.get("Error", {}).get("Code", "")) or "Unknown",
                "message": str(response.get("Error", {}).get("Message", "")),
                "reason": str(response.get("Reason") or ""),
            }
        except CONNECTION as error:
            outcome = {"status": 0, "code": NO_ANSWER, "message": describe(error)}
        service = client.meta.service_model
        name = client.meta.method_to_api_mapping.get(operation, xform_name(operation))
        exchange = Exchange(
            step=self.step,
            at=at,
            took=self._clock() - self.begun - at,
            source=source,
            operation=f"{service.signing_name}:{name}",
            request=request,
            **outcome,
        )
        with self._lock:
            self.exchanges.append(exchange)
        return exchange


def error_of(exchange: Exchange) -> SidelightError:
    """Return Sidelight's error for a refused call."""
    response: Any = {"Error": {"Code": exchange.code, "Message": exchange.message}}
    if exchange.code == NO_ANSWER:
        return CloudError(exchange.message, where=exchange.operation)
    return translate(ClientError(response, exchange.operation), where=exchange.operation)


def _plain(answer: Mapping[str, object]) -> dict[str, object]:
    return {
        key: value for key, value in answer.items() if key not in ("ResponseMetadata", "BlockData")
    }


def _status(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
