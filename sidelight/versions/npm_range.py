"""npm's version ranges (docs.npmjs.com/cli/v6/using-npm/semver): `^1.2 || >=3 <4-0`, `1.x`, `~2`.

A range is alternatives, joined by `||`, of comparators that must all hold. A pre-release is only
within it if one of the comparators names a pre-release of the same three numbers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sidelight.errors import FormatError
from sidelight.versions import semver
from sidelight.versions.encoding import MAX_LENGTH, refused

_PARTIAL = re.compile(
    r"[v=\s]*(?P<major>[0-9]+|[xX*])(?:\.(?P<minor>[0-9]+|[xX*]))?(?:\.(?P<patch>[0-9]+|[xX*]))?"
    r"(?:-?(?P<pre>[0-9A-Za-z][0-9A-Za-z.-]*|-[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_COMPARATOR = re.compile(r"(<=|>=|<|>|~>?|\^|=)?\s*(\S*)")
_SPACED = re.compile(r"(<=|>=|<|>|~>?|\^|=)\s+|[v=]\s+(?=[0-9])")
_FIRST_PRERELEASE = "0"


class Comparator(NamedTuple):
    """A bound: `operator` is one of < <= > >= =; `numbers` and `pre` are of its version."""

    operator: str
    numbers: tuple[int, int, int]
    pre: str
    key: bytes

    def holds(self, key: bytes) -> bool:
        """Whether a version with this key satisfies the bound."""
        if self.operator == "=":
            return key == self.key
        if self.operator[0] == "<":
            return key < self.key or (len(self.operator) == 2 and key == self.key)
        return key > self.key or (len(self.operator) == 2 and key == self.key)


class _Partial(NamedTuple):
    major: int | None
    minor: int | None
    patch: int | None
    pre: str

    @property
    def floor(self) -> tuple[int, int, int]:
        return self.major or 0, self.minor or 0, self.patch or 0


def satisfies(version: str, text: str) -> bool:
    """Whether the version is in the range. Raises FormatError where either is malformed."""
    key = semver.key(version)
    match = _PARTIAL.match(version.strip())
    if match is None or any(match[part] in (None, *"xX*") for part in ("major", "minor", "patch")):
        raise refused(version, "npm version", "is not a whole version")
    numbers = int(match["major"]), int(match["minor"]), int(match["patch"])
    for alternative in parse(text):
        if not all(comparator.holds(key) for comparator in alternative):
            continue
        if not match["pre"] or any(
            comparator.pre and comparator.numbers == numbers for comparator in alternative
        ):
            return True
    return False


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[tuple[Comparator, ...], ...]:
    """The alternatives of a range. Raises FormatError where it is malformed."""
    if len(text) > MAX_LENGTH:
        raise FormatError(f"a range of {len(text)} characters", where="npm range")
    return tuple(tuple(_alternative(part)) for part in text.split("||"))


def _alternative(text: str) -> list[Comparator]:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen is not None:
        low, high = _partial(hyphen[1]), _partial(hyphen[2])
        return [_bound(">=", low.floor, low.pre), *_at_most(high)]
    joined = _SPACED.sub(lambda match: match[0].strip(), text.strip())
    found: list[Comparator] = []
    for word in joined.split() or [""]:
        match = _COMPARATOR.fullmatch(word)
        if match is None:
            raise refused(text, "npm range", "is malformed")
        found += _comparators(match[1] or "", _partial(match[2]))
    return found


def _partial(text: str) -> _Partial:
    match = _PARTIAL.fullmatch(text or "*")
    if match is None:
        raise refused(text, "npm range", "is malformed")
    numbers = [
        None if match[part] is None or match[part] in "xX*" else int(match[part])
        for part in ("major", "minor", "patch")
    ]
    for place in (0, 1):
        if numbers[place] is None:
            numbers[place + 1] = None
    pre = match["pre"] or ""
    return _Partial(numbers[0], numbers[1], numbers[2], pre if numbers[2] is not None else "")


def _bound(operator: str, numbers: tuple[int, int, int], pre: str = "") -> Comparator:
    text = ".".join(map(str, numbers)) + (f"-{pre}" if pre else "")
    return Comparator(operator, numbers, pre, semver.key(text))


def _below(numbers: tuple[int, int, int]) -> Comparator:
    """Less than a version and all its pre-releases; names no pre-release itself."""
    return _bound("<", numbers, _FIRST_PRERELEASE)._replace(pre="")


def _after(partial: _Partial) -> tuple[int, int, int]:
    """The first version beyond all that a partial version stands for."""
    major, minor, _patch = partial.floor
    return (major + 1, 0, 0) if partial.minor is None else (major, minor + 1, 0)


def _at_most(partial: _Partial) -> list[Comparator]:
    if partial.major is None:
        return []
    if partial.patch is None:
        return [_below(_after(partial))]
    return [_bound("<=", partial.floor, partial.pre)]


def _comparators(operator: str, partial: _Partial) -> list[Comparator]:
    floor = partial.floor
    if partial.major is None:
        return [_below((0, 0, 0))] if operator in {"<", ">"} else [_bound(">=", floor)]
    if operator == "^":
        return [_bound(">=", floor, partial.pre), _below(_caret(partial))]
    if operator in {"~", "~>"}:
        return [_bound(">=", floor, partial.pre), _below(_after(partial))]
    if partial.patch is not None:
        return [_bound(operator or "=", floor, partial.pre)]
    return _line(operator, partial)


def _line(operator: str, partial: _Partial) -> list[Comparator]:
    """A comparator with a version like `1.2`, which stands for the whole line of versions."""
    low, beyond = partial.floor, _after(partial)
    return {
        ">": [_bound(">=", beyond)],
        "<": [_below(low)],
        "<=": [_below(beyond)],
        ">=": [_bound(">=", low)],
    }.get(operator, [_bound(">=", low), _below(beyond)])


def _caret(partial: _Partial) -> tuple[int, int, int]:
    major, minor, patch = partial.floor
    if major or partial.minor is None:
        return major + 1, 0, 0
    if minor or partial.patch is None:
        return 0, minor + 1, 0
    return 0, 0, patch + 1
