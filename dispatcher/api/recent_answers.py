"""The answers to recent changing calls, by the request's signature.

No signature is accepted for two calls. But a client that lost an answer may send its request again,
and two equal requests of one second have one signature: both are given the answer of the first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import ThrottlingError

if TYPE_CHECKING:
    from dispatcher.api.protocol.answers import Answer

ANSWERS: Final = 1000  # kept in this process
SIGN_AGAIN: Final = "a request with this signature was made before: sign it again"
BODY_LIMIT: Final = 16 << 10  # bytes of an answer that is kept; a changing call's is small


class RecentAnswers:
    """The newest answers. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def keep(self, signature: str, answer: Answer) -> None:
        """Keep the answer of a call."""
        if len(answer.body) > BODY_LIMIT:
            return
        with self._lock:
            self._answers[signature] = answer
            while len(self._answers) > ANSWERS:
                self._answers.popitem(last=False)

    def of(self, signature: str) -> Answer:
        """Return the answer of the call with this signature.

        Raises ThrottlingError where it is not known, because the call runs, failed, or was made by
        another server: a client then signs its request again, at another time.
        """
        with self._lock:
            answer = self._answers.get(signature)
        if answer is None:
            raise ThrottlingError(SIGN_AGAIN)
        return answer
