"""Maven versions, in the order of Maven 4's ComparableVersion (docs/decisions/0011).

A version is a chain of lists: a dot goes on in the same list, a hyphen or a change from digits to
letters opens the next one inside it. A list has numbers, words, and words joined to a number
(`rc1`, `rc-1`; `rc.1` is not joined). Zeros at a list's end, and before a word, are dropped.

At one place of a list: alpha < beta < milestone < rc < snapshot < nothing < sp < any other word <
a list that begins with a number < a number; a word joined to a number follows the word alone. `ga`,
`final` and `release` compare as nothing does. A word within a list is a list of its own.

Key: a tag and a value for each item, in order. Where a version ends, and where it has something
that compares as nothing, the tag says whether the rest is less than nothing or more.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from sidelight.versions.encoding import checked, number

# A word, with the digits that are joined to it (`rc1`, `rc-1`); digits; a separator.
_TOKENS = re.compile(r"([^0-9.-]+)(?:-?([0-9]+))?|([0-9]+)|([.-])")
_KNOWN = {"alpha": 1, "beta": 2, "milestone": 3, "rc": 4, "cr": 4, "snapshot": 5, "sp": 12}
_NOTHING = frozenset({"ga", "final", "release"})
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_NOTHING_THEN_LESS, _CLOSE_THEN_LESS, _END, _CLOSE_THEN_MORE, _NOTHING_THEN_MORE = range(6, 11)
_NUMBERED_NOTHING, _WORD, _LIST_OF_NUMBERS, _NUMBER, _JOINED = 11, 13, 14, 15, 16


class _Item(NamedTuple):
    """A number (no word), a word (no digits), or a word joined to a number."""

    word: str
    digits: str

    @property
    def is_nothing(self) -> bool:
        """Whether it compares as an absent item does: a zero, `ga`, `ga0`."""
        return (not self.word or self.word in _NOTHING) and not self.digits.strip("0")


_List: TypeAlias = list[_Item]


def key(version: str) -> bytes:
    """Bytes that order as Maven does. Every printable text is a version.

    Raises FormatError for an empty or unprintable one.
    """
    lists = _normalised(_lists(checked(version, "Maven version").lower()))
    return _encoded(lists)


def _lists(text: str) -> list[_List]:
    """The lists from the outermost in; each but the last has the next one as its last item."""
    lists: list[_List] = [[]]
    is_after_item = is_after_digits = False
    for match in _TOKENS.finditer(text):
        word, joined, digits, mark = match.groups()
        if mark:
            if not is_after_item:  # nothing between two separators
                lists[-1].append(_Item("", "0"))
            if mark == "-" and lists[-1]:
                lists.append([])
            is_after_item = is_after_digits = False
            continue
        opens = bool(word) and (is_after_digits or bool(joined) or match.end() == len(text))
        if opens and lists[-1]:
            lists.append([])
        name = _SHORT.get(word, word) if joined else word
        lists[-1].append(_Item(name or "", joined or digits or ""))
        is_after_item, is_after_digits = True, not word or bool(joined)
    return lists


def _normalised(lists: list[_List]) -> list[_List]:
    """Without zeros that do not count; an empty list, or one that has only the next, is none."""
    kept: list[_List] = []  # from the innermost out
    for items in reversed(lists):
        following: _Item | None = kept[-1][0] if kept else None
        is_last = not kept
        chosen: _List = []
        for item in reversed(items):
            is_zero = not item.word and not item.digits.strip("0")
            if is_zero and (is_last or (following is not None and following.word)):
                continue
            # Within the list only a word alone takes the zero before it away.
            following = item if not (item.word and item.digits) else None
            chosen.append(item)
            is_last = False
        if chosen:
            kept.append(chosen[::-1])
    return kept[::-1]


def _encoded(lists: list[_List]) -> bytes:
    """From the end to the beginning, so that each item knows how the rest compares to nothing."""
    parts: list[bytes] = [bytes((_END,))]
    rest = 0  # the rest of the version against nothing
    for depth in range(len(lists) - 1, -1, -1):
        items = lists[depth]
        for place in range(len(items) - 1, -1, -1):
            item = items[place]
            is_alone = bool(item.word and not item.digits)
            is_within = is_alone and place > 0
            if is_within and rest:
                # The word is a list of its own, which ends here.
                parts.append(bytes((_CLOSE_THEN_LESS if rest < 0 else _CLOSE_THEN_MORE,)))
            if item.is_nothing and item.word:
                if rest:
                    tag = _NOTHING_THEN_LESS if rest < 0 else _NOTHING_THEN_MORE
                    parts.append(bytes((tag,)))
                continue
            rest, encoded = _item(item, is_first=place == 0 and depth > 0)
            parts.append(encoded)
    return b"".join(reversed(parts))


def _item(item: _Item, *, is_first: bool) -> tuple[int, bytes]:
    """How an item compares to nothing, and its bytes."""
    if not item.word:
        tag = _LIST_OF_NUMBERS if is_first else _NUMBER
        return 1, bytes((tag,)) + number(item.digits)
    joined = bytes((_JOINED,)) + number(item.digits) if item.digits else b""
    if item.word in _NOTHING:
        return 1, bytes((_NUMBERED_NOTHING,)) + number(item.digits)
    known = _KNOWN.get(item.word)
    if known is not None:
        return (-1 if known < _END else 1), bytes((known,)) + joined
    text = item.word.encode("utf-8", "surrogateescape") + b"\0"
    return 1, bytes((_WORD,)) + text + joined
