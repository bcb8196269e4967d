"""What a TOML text may hold, counted before the parser sees it.

`tomllib` keeps about 1 KB for each part of a table's key, copies a key of n parts n times, and its
expression for numbers keeps 120 bytes for each digit. So a file of a few megabytes can cost it
gigabytes and minutes. Strings and comments cost nothing of the kind, and are passed over here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_LIMIT: Final = 8 << 20  # bytes; the largest lock files are near 2 MB
NODE_LIMIT: Final = 1_000_000  # lines, keys, values and tables of one document
STRING_LIMIT: Final = 1_000_000  # strings and comments of one document, and their escapes
DOTS_LIMIT: Final = 16  # of one line, outside of strings
ALL_DOTS_LIMIT: Final = 100_000  # of one document, outside of strings
WORD_LIMIT: Final = 1_024  # characters of one number or bare key

_NODES: Final = (b"\n", b"=", b",", b"{", b"[")
_OPENING: Final = re.compile(rb"\"\"\"|'''|[\"'#]")
_BASIC_END: Final = re.compile(rb"\\.|\"", re.DOTALL)
_LONG_BASIC_END: Final = re.compile(rb"\\.|\"{3,5}", re.DOTALL)
_LONG_LITERAL_END: Final = re.compile(rb"'{3,5}")
_WORD_CHARACTERS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_+-.:"
_AS_WORDS: Final = bytes(
    ord("w") if character in _WORD_CHARACTERS else ord(" ") for character in range(256)
)


def check(data: bytes) -> None:
    """Raise LimitError where a TOML text would cost its parser too much."""
    if len(data) > SIZE_LIMIT:
        raise LimitError(f"TOML of more than {SIZE_LIMIT} bytes")
    if sum(map(data.count, _NODES)) > NODE_LIMIT:
        raise LimitError(f"TOML of more than {NODE_LIMIT} lines, keys and values")
    structure = b" ".join(_outside_strings(data))
    if structure.count(b".") > ALL_DOTS_LIMIT:
        raise LimitError(f"TOML of more than {ALL_DOTS_LIMIT} dots outside of strings")
    if any(line.count(b".") > DOTS_LIMIT for line in structure.splitlines()):
        raise LimitError(f"TOML line of more than {DOTS_LIMIT} dots")
    if b"w" * (WORD_LIMIT + 1) in structure.translate(_AS_WORDS):
        raise LimitError(f"TOML number or key of more than {WORD_LIMIT} characters")


def _outside_strings(data: bytes) -> Iterator[bytes]:
    """The pieces of a text that are neither strings nor comments.

    A string on one line that does not end there ends the parser, so what follows may be miscounted.
    """
    at = count = 0
    while opening := _OPENING.search(data, at):
        yield data[at : opening.start()]
        at = opening.end()
        kind = opening[0]
        if kind == b"#":
            at = _found(data, b"\n", at)
        elif kind == b"'":
            at = _found(data, b"'", at) + 1
        elif kind == b"'''":
            closing = _LONG_LITERAL_END.search(data, at)
            at = closing.end() if closing else len(data)
        else:
            at, escapes = _basic_end(data, at, _BASIC_END if kind == b'"' else _LONG_BASIC_END)
            count += escapes
        count += 1
        if count > STRING_LIMIT:
            raise LimitError(f"TOML of more than {STRING_LIMIT} strings, comments and escapes")
    yield data[at:]


def _basic_end(data: bytes, at: int, stop: re.Pattern[bytes]) -> tuple[int, int]:
    """The offset behind a string that has escapes, and how many it has."""
    escapes = 0
    while found := stop.search(data, at):
        at = found.end()
        if found[0].startswith(b'"'):
            return at, escapes
        escapes += 1
        if escapes > STRING_LIMIT:
            break
    return len(data), escapes


def _found(data: bytes, mark: bytes, at: int) -> int:
    """The offset of a mark, or the end of the text."""
    place = data.find(mark, at)
    return len(data) if place < 0 else place
