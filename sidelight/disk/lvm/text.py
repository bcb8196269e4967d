"""LVM2's configuration text: `name { … }`, `name = value`, strings, numbers, lists, comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.errors import DamagedError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

Scalar = str | int | float
Value = "Scalar | list[Scalar] | Section"

MAX_DEPTH = 16
# Of one text, with its comments and escapes. That of a group with as many volumes as are looked
# at, 4,096, has some 430,000 words; most have a few thousand.
MAX_TOKENS = 500_000
MAX_VALUES = 4096  # of one list: a segment lists two for a stripe, and of tags there are few

# Possessive: a string that is given back piece by piece costs memory for each of its characters.
_TOKEN = re.compile(
    r"""[\s,]+|\#[^\n]*
    |(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    |(?P<sign>[{}\[\]=])
    |(?P<word>[^\s{}\[\]=,"\#]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Section(dict[str, "Scalar | list[Scalar] | Section"]):
    """One `{ … }`, with typed access: what is absent or of another type gives the default."""

    def text(self, name: str) -> str:
        """A string, or empty."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str, default: int = 0) -> int:
        """An integer."""
        value = self.get(name)
        return value if isinstance(value, int) else default

    def words(self, name: str) -> list[Scalar]:
        """A list; one value stands for a list of one."""
        value = self.get(name)
        if isinstance(value, list):
            return value
        return [value] if isinstance(value, (str, int)) else []

    def section(self, name: str) -> Section:
        """A section, or an empty one."""
        value = self.get(name)
        return value if isinstance(value, Section) else Section()

    def sections(self) -> Iterator[tuple[str, Section]]:
        """All sections, in the text's order."""
        for name, value in self.items():
            if isinstance(value, Section):
                yield name, value


def parse(data: bytes) -> Section:
    """The text as nested sections. Raises DamagedError with the offset, LimitError."""
    text = data.split(b"\0", 1)[0].decode("utf-8", "replace")
    root = Section()
    stack = [root]
    tokens = _tokens(text)
    for offset, word in tokens:
        if word == "}":
            if len(stack) == 1:
                raise DamagedError(f"a brace too many at {offset}")
            stack.pop()
            continue
        if word in {"{", "[", "]", "="} or word.startswith('"'):
            raise DamagedError(f"{word[:20]!r} at {offset} is not a name")
        at, sign = next(tokens, (offset, ""))
        if sign == "{":
            if len(stack) > MAX_DEPTH:
                raise LimitError(f"sections nested deeper than {MAX_DEPTH} at {at}")
            section = Section()
            stack[-1][word] = section
            stack.append(section)
        elif sign == "=":
            stack[-1][word] = _value(tokens)
        else:
            raise DamagedError(f"{word[:40]!r} at {offset} has no value")
    if len(stack) != 1:
        raise DamagedError("the text ends within a section")
    return root


def _value(tokens: Iterator[tuple[int, str]]) -> Scalar | list[Scalar]:
    offset, word = next(tokens, (-1, ""))
    if word != "[":
        return _scalar(offset, word)
    values: list[Scalar] = []
    for at, item in tokens:
        if item == "]":
            return values
        values.append(_scalar(at, item))
        if len(values) > MAX_VALUES:
            raise LimitError(f"the list at {offset} has more than {MAX_VALUES} values")
    raise DamagedError(f"the list at {offset} has no end")


def _scalar(offset: int, word: str) -> Scalar:
    if word.startswith('"'):
        return _ESCAPE.sub(r"\1", word[1:-1]) if "\\" in word else word[1:-1]
    if not word or word in "{}[]=":
        raise DamagedError(f"no value at {offset}")
    if word.lstrip("-").isdecimal() and word.isascii() and len(word) <= 20:
        return int(word) if word.count("-") <= 1 else word
    return word


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    position = count = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise DamagedError(f"cannot be understood at {position}")
        start, position = position, match.end()
        kind = match.lastgroup
        if kind == "string":
            count += text.count("\\", start, position)
        if kind is not None or text[start] == "#":
            count += 1
        if count > MAX_TOKENS:
            raise LimitError(f"more than {MAX_TOKENS} words, comments and escapes")
        if kind is not None:
            yield start, match.group()
