"""What a change says on the next page: kept in a cookie that only this session can have made."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass

from dispatcher.console.guards import local_path, session_mac


@dataclass(frozen=True, slots=True)
class Notice:
    """What was done. `undo` is the path of a POST page that takes it back; empty for none."""

    text: str = ""
    undo: str = ""

    def signed(self, session: str) -> str:
        """Return the cookie's value, for the session with this id."""
        data = json.dumps([self.text, self.undo]).encode()
        text = base64.urlsafe_b64encode(data).decode().rstrip("=")
        return f"{text}.{session_mac(session, f'notice {text}')}"

    @classmethod
    def of(cls, value: str, session: str) -> Notice:
        """Return the notice of a cookie; an empty one unless this session made it."""
        text, _, digest = value.partition(".")
        right = session_mac(session, f"notice {text}")
        if not hmac.compare_digest(digest.encode("utf-8", "replace"), right.encode()):
            return cls()
        shown, undo = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return cls(shown, undo if local_path(undo) == undo else "")
