"""Rules of tags, which filters have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TAGS: Final = 50  # of one resource


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise BadRequestError for tags that AWS would refuse."""
    if len(tags) > MOST_TAGS:
        raise BadRequestError(f"a resource has at most {MOST_TAGS} tags")
    if any(key.lower().startswith("aws:") for key in tags):
        raise BadRequestError("keys that begin with aws: are reserved")
