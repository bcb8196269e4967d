"""Escape hostile text: text of a disk, a tag, a feed or a request must not control a terminal.

One function, `printable`, is applied where text leaves the program (output, logs, labels, pages),
so that no caller can forget it. It does not escape JSON, which has its own escapes.
"""

from __future__ import annotations

import re

MAX_CELL = 4096  # characters shown of one text; JSON has the whole text

# Printable by Python's rule, but invisible: Unicode's Default_Ignorable_Code_Point outside the
# category Cf, and the blank pattern of Braille. They hide differences between two names.
_INVISIBLE = frozenset(
    [
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164,
        0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
    ]
)  # fmt: skip
# Nearly all text is ASCII, which this checks at C's speed.
_PLAIN = re.compile(r"[ -~]*")
_NOT_PLAIN = re.compile(r"[^\n\t -~]+")


def printable(text: str, most: int = MAX_CELL) -> str:
    r"""Return text in which every character is visible and in its logical order.

    Escaped as Python writes them (`\x1b`, `\u202e`): control characters (C0, DEL, C1), newlines
    and tabs, line and paragraph separators, blanks other than the space, format characters (bidi,
    zero width), surrogates (bytes that are not UTF-8), private and unassigned characters, and
    ignorable ones. Text of more than `most` characters is cut, with the number of cut characters.
    """
    cut = f"... [{len(text) - most} characters more]" if len(text) > most else ""
    shown = text[:most]
    if _PLAIN.fullmatch(shown) is None:
        shown = "".join(map(_escaped, shown))
    return shown + cut


def printable_lines(text: str) -> str:
    """Return text as `printable` does, whole, with its newlines and TABs."""
    return _NOT_PLAIN.sub(lambda match: printable(match.group(), len(match.group())), text)


def _escaped(character: str) -> str:
    if character.isprintable() and ord(character) not in _INVISIBLE:
        return character
    # This is the only encoding of a lone surrogate.
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def fitting(text: str, encoding: str | None) -> str:
    r"""Return text with characters outside of an encoding as `\xe9`, so that it can be written."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)
