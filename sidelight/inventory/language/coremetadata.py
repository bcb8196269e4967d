"""The header of a Python distribution's METADATA or PKG-INFO (core metadata specification)."""

from __future__ import annotations

from typing import Final, NamedTuple

HEADER_LIMIT: Final = 1 << 20  # bytes; the description follows the header and is not looked at
_WANTED: Final = frozenset({b"name", b"version", b"license", b"license-expression"})
_REQUIRES: Final = b"requires-dist"
_CLASSIFIER: Final = b"license ::"


class CoreMetadata(NamedTuple):
    """What a header says; empty where it does not."""

    name: str
    version: str
    licence: str
    requires: tuple[str, ...] = ()  # as they are written


def core_metadata(data: bytes) -> CoreMetadata:
    """Read a header.

    The first of several fields of one name counts. The licence is License-Expression, else a
    License of one line, else the licence classifiers' last words.
    """
    fields: dict[bytes, str] = {}
    classifiers: list[str] = []
    requires: list[str] = []
    for line in data[:HEADER_LIMIT].removeprefix(b"\xef\xbb\xbf").splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(b":")
        if not colon or line[:1] in b" \t":
            continue  # a continued field; a whole licence text may be here
        key = key.strip().lower()
        if key in _WANTED:
            fields.setdefault(key, value.decode("utf-8", "replace").strip())
        elif key == _REQUIRES:
            requires.append(value.decode("utf-8", "replace"))
        elif key == b"classifier" and value.strip().lower().startswith(_CLASSIFIER):
            classifiers.append(value.decode("utf-8", "replace").rpartition("::")[2].strip())
    licence = fields.get(b"license-expression") or fields.get(b"license", "")
    if not licence or licence.upper() == "UNKNOWN":
        licence = ", ".join(classifiers)
    return CoreMetadata(
        fields.get(b"name", ""), fields.get(b"version", ""), licence, tuple(requires)
    )
