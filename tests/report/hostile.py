"""Hostile text for tests: a sample of every category of Unicode that is not a plain shape."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

ONE_OF_EACH = (
    "\x00\x07\x08\t\n\r\x1b[31m\x1b]0;t\x07\x7f\x85\x9b2J"  # C0, DEL, C1
    "\u200b\u200d\ufeff\u2060"  # zero width
    "\u200e\u200f\u061c\u202a\u202e\u2066\u2069"  # bidi
    "\u2028\u2029\xa0\u3000"  # separators
    "\udc80\udcff\ud800"  # not UTF-8
    "\ue000\U0010ffff\u0378"  # private, unassigned
    "\u034f\u115f\u3164\uffa0\ufe0f\U000e0100\U000e0041\u2800"  # without a shape
)
UNSAFE_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
TEXT = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), max_size=30),
    st.text(st.sampled_from(sorted(ONE_OF_EACH + "ab[]/:")), max_size=30),
)


def is_inert(text: str) -> bool:
    """Whether a text drives no terminal: printable, and only newlines and TABs between lines."""
    return not any(
        (unicodedata.category(character) in (*UNSAFE_CATEGORIES, "Zs") and character not in " \n\t")
        or character in "\u034f\u115f\u3164\uffa0\ufe0f\U000e0100\u2800"
        for character in text
    )
