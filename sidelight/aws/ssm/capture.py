"""One collected inventory: its items, when the agent captured them, and a digest of the content.

The digest is over the entries alone. An agent that finds nothing new sends the same entries with a
later capture time: the digest is the same, and nothing is parsed again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sidelight.inventory.ssm.items import InventoryItem

_LONGEST: Final = 32  # characters of a capture time
# Once, and not for each of a machine's entries.
_ENCODED: Final = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Capture:
    """An instance's items by type. `captured_at` is that of AWS:Application, None without it."""

    instance_id: str
    items: Mapping[str, InventoryItem] = field(default_factory=dict)
    digest: str = ""
    captured_at: datetime | None = None


def captured(text: str) -> datetime | None:
    """Return a capture time (`2024-07-01T16:59:14Z`) in UTC, None for another form.

    The agent writes it, so it is hostile. SSM's model allows the years 2000 to 2099: others, and
    those that UTC does not have, are not capture times. It may be in the future.
    """
    if len(text) > _LONGEST or not text.startswith("20"):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def digest_of(items: Iterable[InventoryItem]) -> str:
    """Return a digest of the items' entries, independent of capture times and of the order."""
    whole = hashlib.sha256()
    for item in sorted(items, key=lambda item: item.type_name):
        entries = sorted(map(_ENCODED, item.entries))
        text = json.dumps([item.type_name, entries])
        whole.update(text.encode("utf-8", "surrogatepass"))
    return whole.hexdigest()
