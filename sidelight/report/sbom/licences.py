"""Licences of packages as SPDX expressions, where a package's own text is one.

Packages write what they like: `GPLv2+`, `see COPYING`. Only a text whose every word is of SPDX's
list (3.28) is an expression; any other is kept as a name, so that nothing is guessed.
Source: SPDX 2.3, annex D. LicenseRef- names are not taken: their texts are not known here.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.report.escape import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CHARACTERS: Final = 512
DEEPEST: Final = 16  # parentheses within each other
_TOKEN: Final = re.compile(r"[()]|[A-Za-z0-9.+-]{1,64}")
_SPACE: Final = re.compile(r"[ \t]*")


class Licence(NamedTuple):
    """A licence. `identifier` is set for one SPDX id alone, `expression` for every valid text."""

    name: str
    expression: str = ""
    identifier: str = ""


class _NoExpressionError(Exception):
    """The text is not an expression."""


@cache
def known_licences() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return SPDX's licences and exceptions, each by its name in lower case."""
    text = files(__package__).joinpath("spdx_licences.txt").read_text("ascii")
    licences, _, exceptions = text.partition("\n\n")
    listed = (licences.split(), exceptions.split())
    return {name.lower(): name for name in listed[0]}, {name.lower(): name for name in listed[1]}


def licence_of(text: str) -> Licence | None:
    """Return a package's licence; None if it names none."""
    name = printable(text.strip(), MOST_CHARACTERS)
    if not name:
        return None
    return _parsed(name) if len(text) <= MOST_CHARACTERS else Licence(name)


@cache
def _parsed(name: str) -> Licence:
    try:
        words = _words(name)
        parser = _Parser(words)
        expression = parser.alternatives(0)
        parser.expect_end()
    except _NoExpressionError:
        return Licence(name)
    known = known_licences()[0]
    single = known.get(expression.lower(), "")
    return Licence(name, expression, single)


def _words(text: str) -> list[str]:
    words: list[str] = []
    at = 0
    while at < len(text):
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches everywhere
        if at == len(text):
            break
        match = _TOKEN.match(text, at)
        if match is None:
            raise _NoExpressionError
        words.append(match[0])
        at = match.end()
    return words


class _Parser:
    """A recursive descent over words: OR binds weaker than AND, AND weaker than WITH."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0

    def _next(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def expect_end(self) -> None:
        """Raise _NoExpressionError unless all words are read."""
        if self._next():
            raise _NoExpressionError

    def alternatives(self, depth: int) -> str:
        """Read `… AND … OR …`; return it with SPDX's spelling."""
        parts = [self._operand(depth)]
        while self._next().upper() in {"AND", "OR"}:
            parts.append(self._next().upper())
            self._at += 1
            parts.append(self._operand(depth))
        return " ".join(parts)

    def _operand(self, depth: int) -> str:
        word = self._next()
        self._at += 1
        if word == "(" and depth < DEEPEST:
            inner = self.alternatives(depth + 1)
            if self._next() != ")":
                raise _NoExpressionError
            self._at += 1
            return f"({inner})"
        licences, exceptions = known_licences()
        name = licences.get(word.lower()) or _or_later(word, licences)
        if self._next().upper() != "WITH":
            return name
        self._at += 1
        exception = exceptions.get(self._next().lower())
        if exception is None:
            raise _NoExpressionError
        self._at += 1
        return f"{name} WITH {exception}"


def _or_later(word: str, licences: Mapping[str, str]) -> str:
    name = licences.get(word.removesuffix("+").lower())
    if name is None or not word.endswith("+"):
        raise _NoExpressionError
    return f"{name}+"
