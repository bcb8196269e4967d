"""MANIFEST.MF: its main attributes.

Source: the JAR file specification ("JAR manifest").
"""

from __future__ import annotations


def main_attributes(data: bytes) -> dict[str, str]:
    """The attributes before the first blank line, keys in lower case; continued lines joined."""
    attributes: dict[str, str] = {}
    key = ""
    pieces: list[str] = []
    for raw in data.decode("utf-8", "replace").splitlines():
        if not raw.strip():
            if key:
                break
            continue
        if raw[0] == " " and key:
            pieces.append(raw[1:])
            continue
        if key:
            attributes[key] = "".join(pieces).strip()
        name, colon, value = raw.partition(":")
        key = name.strip().lower() if colon else ""
        pieces = [value]
    if key:
        attributes.setdefault(key, "".join(pieces).strip())
    return attributes
