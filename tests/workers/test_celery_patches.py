"""What of celery and kombu is replaced still exists there: a new release may rename it."""

from __future__ import annotations

import inspect

import pytest
from celery.worker.consumer import Consumer
from kombu.transport import SQS, redis

from workers.celery_patches.redis_transport import RedisChannel, RedisTransport

PATCHED = [
    (redis.Channel, "_create_client", ["self", "asynchronous"]),
    (SQS.Channel, "_on_messages_ready", ["self", "queue", "qname", "messages"]),
    (Consumer, "on_send_event_buffered", ["self"]),
]


@pytest.mark.parametrize(("kind", "method", "parameters"), PATCHED)
def test_a_replaced_method_is_there_with_the_same_parameters(
    kind: type, method: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(kind, method)).parameters) == parameters


def test_the_transports_use_our_channels() -> None:
    # kombu looks the channel up by this name.
    assert RedisTransport.Channel is RedisChannel
