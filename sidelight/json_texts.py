"""Decode JSON of documents that others wrote: bounded, and each member once."""

from __future__ import annotations

import json
from typing import Final

from sidelight.errors import DamagedError, LimitError

MARK: Final = b"\xef\xbb\xbf"  # of UTF-8
MARKS_OF_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def utf8_of(data: bytes) -> bytes:
    """Return a text without its mark, as UTF-8 where the mark is of UTF-16.

    PowerShell's `>` writes that. Raises DamagedError where it is not valid.
    """
    if not data.startswith(MARKS_OF_UTF_16):
        return data.removeprefix(MARK)
    try:
        return data.decode("utf-16").encode()
    except ValueError as error:
        raise DamagedError(f"no UTF-16: {str(error)[:200]}") from None


def decode_json(data: bytes, most_nodes: int) -> object:
    """Decode a text of at most `most_nodes` commas and openings.

    Raises DamagedError, also for a member that occurs twice in one object: readers differ in which
    of them counts. Raises LimitError for too many nodes, or too deep a nesting.
    """
    if data.count(b",") + data.count(b"{") + data.count(b"[") > most_nodes:
        raise LimitError(f"JSON of more than {most_nodes} nodes")
    try:
        return json.loads(data.removeprefix(MARK), object_pairs_hook=_once)
    except RecursionError:
        raise LimitError("JSON nested too deeply") from None
    except ValueError as error:
        raise DamagedError(f"no JSON: {' '.join(str(error).split())[:200]}") from None


def text(value: object) -> str:
    """Return a value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def mapping_of(value: object) -> dict[str, object]:
    """Return a value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[dict[str, object]]:
    """Return the objects of a list; none of any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """Return the texts of a list; none of any other value."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DamagedError("a member occurs twice in one object")
    return found
