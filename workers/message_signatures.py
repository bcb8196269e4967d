"""Signatures of messages by the deployment's key: who has only the broker makes no worker act.

A signature is an HMAC-SHA256 over all of a task's message that decides what a worker does: task,
message id, argument, time, and the stage of its queue. A message that is sent again as it was is a
no-op, since the scan's row decides. Sources: RFC 2104.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sidelight.errors import UsageError
from workers.queues import stage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.fleet.settings import Settings

HEADER: Final = "sidelight_signature"
VARIABLE: Final = "SIDELIGHT_MESSAGE_KEYS"
KEY_BYTES: Final = 32
VERSION: Final = "sidelight-message-1"  # of what is signed, so that no other signature passes


class MessageKeys:
    """The keys of a deployment: the first one signs, each one verifies. No text shows them."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        """`keys`: of KEY_BYTES each; none where messages are not signed."""
        self._keys = tuple(keys)

    @classmethod
    def of(cls, settings: Settings) -> MessageKeys:
        """Return the keys of the settings. Raises UsageError, which does not show them."""
        return cls([_key(text) for text in settings.broker.message_keys.split(",") if text.strip()])

    def __bool__(self) -> bool:
        """Whether messages are signed."""
        return bool(self._keys)

    def signature(self, queue: str, task: str, message: str, argument: str, eta: str) -> str:
        """Return the signature of a message; `eta` is its time, empty for at once.

        Raises ValueError for a time that is not one.
        """
        return _hmac(self._keys[0], _signed(queue, task, message, argument, eta))

    def verifies(  # noqa: PLR0913, PLR0917 - the parts of a message
        self, signature: object, queue: str, task: str, message: str, argument: str, eta: str
    ) -> bool:
        """Whether any of the keys made this signature."""
        if not isinstance(signature, str) or not signature.isascii():
            return False
        signed = _signed(queue, task, message, argument, eta)
        return any(hmac.compare_digest(_hmac(key, signed), signature) for key in self._keys)


def _signed(queue: str, task: str, message: str, argument: str, eta: str) -> bytes:
    # The same time may be written in several ways: the broker's library writes it.
    due = datetime.fromisoformat(eta).astimezone(UTC).isoformat() if eta else ""
    return json.dumps([VERSION, stage_of(queue), task, message, argument, due]).encode()


def _hmac(key: bytes, signed: bytes) -> str:
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageError(
            f"each key is {KEY_BYTES} bytes in base64, as `openssl rand -base64 32` prints them",
            where=VARIABLE,
        )
    return key
