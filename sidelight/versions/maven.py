"""Maven versions (maven.apache.org/pom.html, "Version Order Specification").

Tokens are runs of digits and of other characters, each with what stands before it: a dot or a
hyphen (a change between digits and letters is a hyphen, and so is the dot before a word). A token
that says nothing (0, ga, final, release) is dropped at the end and before each hyphen. At one
place: alpha < beta < milestone < rc < snapshot < nothing < sp < any other word < hyphen and number
< dot and number.

What is left inside that says nothing is always followed by a dot and a number, and is therefore
more than the end: so one key can carry the order, which for nested lists in general it could not.
"""

from __future__ import annotations

import re

from sidelight.versions.encoding import checked, number

_TOKENS = re.compile(r"[0-9]+|[^0-9.-]+|[.-]", re.ASCII)
_KNOWN = {"alpha": 1, "beta": 2, "milestone": 3, "rc": 4, "cr": 4, "snapshot": 5, "sp": 7}
_NOTHING = frozenset({"", "ga", "final", "release"})
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_END, _WORD, _HYPHEN, _DOT = 6, 8, 9, 10


def key(version: str) -> bytes:
    """Bytes that order as Maven does. Every printable text is a version.

    Raises FormatError for an empty or unprintable one.
    """
    out = bytearray()
    for is_dot, token in _trimmed(_split(checked(version, "Maven version").lower())):
        if "0" <= token[:1] <= "9":
            out.append(_DOT if is_dot else _HYPHEN)
            out += number(token)
        elif token in _NOTHING:
            out.append(_END)
        elif token in _KNOWN:
            out.append(_KNOWN[token])
        else:
            out.append(_WORD)
            out += token.encode("utf-8", "surrogateescape") + b"\0"
    out.append(_END)
    return bytes(out)


def _split(text: str) -> list[tuple[bool, str]]:
    """(whether a dot stands before it, token); empty tokens between separators count."""
    tokens: list[tuple[bool, str]] = []
    is_dot, is_open = True, True
    for part in _TOKENS.findall(text):
        if part in ".-":
            if is_open:  # nothing between two separators
                tokens.append((is_dot, "0"))
            is_dot, is_open = part == ".", True
            continue
        is_number = "0" <= part[0] <= "9"
        if is_number and tokens and not is_open and tokens[-1][1] in _SHORT:
            tokens[-1] = (tokens[-1][0], _SHORT[tokens[-1][1]])
        tokens.append(((is_dot if is_open else False) and is_number, part))
        is_dot, is_open = False, False
    return tokens


def _trimmed(tokens: list[tuple[bool, str]]) -> list[tuple[bool, str]]:
    kept: list[tuple[bool, str]] = []
    for is_dot, token in tokens:
        if not is_dot:
            _drop_nothing(kept)
        kept.append((is_dot, token))
    _drop_nothing(kept)
    return kept


def _drop_nothing(kept: list[tuple[bool, str]]) -> None:
    while kept and (kept[-1][1] in _NOTHING or not kept[-1][1].strip("0")):
        kept.pop()
