"""Java's properties: keys and values, as the build tools write them into archives.

Source: java.util.Properties, `load(Reader)`: comments, the separators `=`, `:` and white space,
lines that go on after a backslash, escapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANKS: Final = " \t\f"
_KEY: Final = re.compile(r"(?:[^\\=: \t\f]|\\.)*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LETTERS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def properties(data: bytes) -> dict[str, str]:
    """Return the values by key, without white space at their ends; the last of a key counts."""
    values = {}
    for line in _logical_lines(data.decode("utf-8", "replace")):
        match = _KEY.match(line)
        end = match.end() if match else 0
        key, value = line[:end], line[end:].lstrip(_BLANKS)
        if value[:1] in {"=", ":"}:
            value = value[1:].lstrip(_BLANKS)
        if "\\" in line:
            key, value = _ESCAPE.sub(_unescaped, key), _ESCAPE.sub(_unescaped, value)
        values[key] = value.strip()
    return values


def pom_coordinates(data: bytes) -> tuple[str, str, str]:
    """Return group, artefact and version of a pom.properties; empty where they are missing."""
    values = properties(data)
    return values.get("groupId", ""), values.get("artifactId", ""), values.get("version", "")


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines joined with those that they go on in, without comments and empty ones."""
    parts: list[str] = []
    for raw in text.splitlines():
        line = raw.lstrip(_BLANKS)
        if not parts and line[:1] in {"", "#", "!"}:
            continue
        goes_on = line.endswith("\\") and (len(line) - len(line.rstrip("\\"))) % 2
        parts.append(line[:-1] if goes_on else line)
        if not goes_on:
            yield "".join(parts)
            parts = []
    if parts:
        yield "".join(parts)


def _unescaped(match: re.Match[str]) -> str:
    escaped = match[1]
    if len(escaped) > 1:
        return chr(int(escaped[1:], 16))
    return _LETTERS.get(escaped, escaped)
