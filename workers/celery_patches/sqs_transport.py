"""kombu's SQS transport, but a worker survives a 5xx answer and a message that is not ours.

kombu (5.7) turns SQS's 500 or 503 into an empty list of messages, then reads a member of that list
as if it were an answer, and the worker ends. Here such a poll returns no message, and the next poll
asks again.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import SQS

from workers.celery_patches.redis_transport import Dropping
from workers.message_check import DECODING_ERRORS, BadMessageError, check, drop


class SqsChannel(SQS.Channel):
    """A channel that treats a failed poll as an empty one, and deletes bad messages."""

    def _on_messages_ready(self, queue: str, qname: str, messages: Any) -> int:
        """Return how many messages were delivered; `queue` is the queue's URL."""
        if not isinstance(messages, dict):
            return 0
        received = messages.get("Messages") or []
        good = [item for item in received if self._is_good(item, qname, queue)]
        ready: Any = super()._on_messages_ready
        return int(ready(queue, qname, {**messages, "Messages": good}))

    def _is_good(self, item: Any, name: str, url: str) -> bool:
        """Whether a message is ours. Delete it otherwise: SQS would deliver it again."""
        decode: Any = super()._decode_python_message_body
        parse: Any = super()._prepare_json_payload
        envelope: Any = super()._envelope_payload
        delete: Any = super()._delete_message
        try:
            body = decode(item["Body"]).decode("utf-8")
            keys = self.connection.client.transport_options.get("message_keys")
            check(envelope(parse(body), body, item, url), name, keys)
        except (BadMessageError, *DECODING_ERRORS) as error:
            drop(name, error, item.get("Body", ""))
            delete(name, item)
            return False
        return True


class SqsTransport(Dropping, SQS.Transport):
    """kombu's SQS transport with SqsChannel."""

    Channel = SqsChannel
