"""kombu's SQS transport, but a worker outlives an answer of 5xx.

kombu (5.7) takes SQS's 500 or 503 for an empty list of messages, then asks that list for a member
as if it were an answer, and the worker ends. Here nothing has come, and the next poll asks again.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import SQS


class Channel(SQS.Channel):
    """A channel for which a failed poll is an empty one."""

    def _on_messages_ready(self, queue: str, qname: str, messages: Any) -> int:
        """How many messages were handed on."""
        if not isinstance(messages, dict):
            return 0
        ready: Any = super()._on_messages_ready
        return int(ready(queue, qname, messages))


class Transport(SQS.Transport):
    """The same with these channels."""

    Channel = Channel
