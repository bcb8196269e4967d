"""Decode feeds' JSON and YAML unambiguously.

Both refuse a field that occurs twice in one object. A YAML key is a name, as it is written: the
branches `1.1` and `1.10` differ, although their numbers are equal. Aliases, by which a small text
can expand to an endless one, are in no feed and are refused.
"""

from __future__ import annotations

import codecs
import json
from typing import IO, TYPE_CHECKING, Any

import yaml

from sidelight.advisories.feeds.formats.shape import once
from sidelight.errors import DamagedError, LimitError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

# Commas and openings of one JSON record, which take up to 120 bytes each. Documents with more, as
# Debian's tracker with 3 million, are lists or maps of records that are read one by one.
MAX_NODES = 2_000_000
MAX_MEMBER = 16 << 20  # characters of one record of such a document
_CHUNK, _LARGEST_CHUNK = 1 << 17, 4 << 20  # bytes
_SPACE = " \t\r\n"
MAX_YAML = 1 << 20  # bytes; the largest advisories have 50 KB, the parser reads 200 a ms
MAX_NUMBER = 64  # characters of a number in YAML, whose `1:30:00` are multiplied out
_STRING = "tag:yaml.org,2002:str"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def decoded(data: bytes, kind: str) -> object:
    """Decode a `.json` or `.yml` document.

    Raises ValueError, with line and column, for an incomplete or ambiguous document, and LimitError
    for one that would take gigabytes or minutes.
    """
    if kind == ".json":
        if sum(map(data.count, (b",", b"{", b"["))) > MAX_NODES:
            raise LimitError(f"JSON of more than {MAX_NODES} nodes")
        return json.loads(data, object_pairs_hook=once)
    if len(data) > MAX_YAML:
        raise LimitError(f"YAML of {len(data)} bytes; the limit is {MAX_YAML}")
    try:
        return yaml.load(data, _Loader)  # noqa: S506 # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def members(stream: IO[bytes], limit: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the members of a JSON list or object with their names, decoded one at a time.

    Each must be an object. Raises DamagedError, also for a duplicate name, and LimitError for more
    than `limit` bytes or a member that is too large. Earlier members are yielded before the error.
    """
    text = _Text(stream, limit)
    opening = text.take()
    if opening not in {"[", "{"}:
        raise DamagedError("not JSON: neither a list nor an object")
    closing = "]" if opening == "[" else "}"
    names: set[str] = set()
    sign = text.peek()
    while sign != closing:
        name = ""
        if opening == "{":
            name = text.value('"')
            if name in names:
                raise DamagedError(f"not JSON: {name[:40]!r} occurs twice in one object")
            names.add(name)
            if text.take() != ":":
                raise DamagedError("not JSON, or cut off: a name without a colon")
        yield name, text.value("{")
        sign = text.take()
        if sign not in {",", closing}:
            raise DamagedError("not JSON, or cut off: no comma behind a member")
    if not names and text.peek() == closing:
        text.take()
    if text.peek():
        raise DamagedError("not JSON: more behind its end")


class _Text:
    """A stream of UTF-8, of which a part is in memory."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._decoder = json.JSONDecoder(object_pairs_hook=once)
        self._held = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is not a space; empty at the end."""
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in _SPACE:
                    return self._held[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self) -> str:
        """Return the same, and move behind it."""
        character = self.peek()
        self._at += len(character)
        return character

    def value(self, begin: str) -> Any:
        """Decode the next value, which starts with `begin`. Raises DamagedError, LimitError."""
        if self.peek() != begin:
            what = "an object" if begin == "{" else "a name"
            raise DamagedError(f"not JSON, or cut off: {self.peek()!r} where {what} belongs")
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more():
                    raise DamagedError(f"not JSON, or cut off: {error}") from error
            else:
                return value

    def _more(self) -> bool:
        """Read more of the stream; False at its end."""
        self._held = self._held[self._at :]
        self._at = 0
        data = self._stream.read(min(max(_CHUNK, len(self._held)), _LARGEST_CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise LimitError("longer than a document may be")
        try:
            self._held += self._utf8.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise DamagedError(f"not UTF-8: {error}") from error
        # Twice the limit, since half of the text may belong to the next member.
        if len(self._held) > 2 * MAX_MEMBER:
            raise LimitError(f"a record of more than {MAX_MEMBER >> 20} MiB")
        if sum(map(self._held.count, ",{[")) > MAX_NODES:
            raise LimitError(f"a record of more than {MAX_NODES} nodes")
        return bool(data)


class _Loader(yaml.SafeLoader):
    """YAML with plain values only, and each name once per mapping."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            place = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # as stubbed
            raise yaml.composer.ComposerError(None, None, "an alias", place)
        return super().compose_node(parent, index)

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _value in node.value:
            name = str(key.value)
            if not isinstance(key, yaml.ScalarNode) or name == "<<" or name in seen:
                what = f"{name[:40]!r} is twice in one mapping, or is not a name"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(name)
            key.tag = _STRING
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        if node.tag in _NUMBERS and len(str(node.value)) > MAX_NUMBER:
            what = f"a number of more than {MAX_NUMBER} characters"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return super().construct_object(node, deep=deep)
