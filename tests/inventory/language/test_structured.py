"""JSON, YAML, TOML and XML from hostile files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight.errors import DamagedError, FormatError, LimitError, UnsupportedError
from sidelight.inventory.language import structured

if TYPE_CHECKING:
    from collections.abc import Callable

PARSERS: list[Callable[[bytes], Any]] = [
    structured.parse_json,
    structured.parse_toml,
    structured.parse_yaml,
    structured.parse_xml,
]


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200))
@pytest.mark.parametrize("parse", PARSERS)
def test_any_bytes_give_a_value_or_a_format_error(
    parse: Callable[[bytes], Any], data: bytes
) -> None:
    with contextlib.suppress(FormatError):
        parse(data)


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (structured.parse_json, b"[" * 200_000),
        (structured.parse_json, b'{"a":' * 200_000),
        (structured.parse_toml, b"a = " + b"[" * 100_000),
        (structured.parse_yaml, b"[" * 100_000),
        (structured.parse_yaml, b"- " * 100_000),
    ],
)
def test_deep_nesting_is_an_error_of_ours(parse: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (structured.parse_json, b"[" + b"[]," * structured.NODE_LIMIT + b"0]"),
        (structured.parse_toml, b"#" * (structured.TOML_LIMIT + 1)),
        (structured.parse_toml, b"a." * 5_000 + b"a = 1"),
        (structured.parse_toml, b'"a".' * 5_000 + b"a = 1"),
        (structured.parse_toml, b"[" + b"a." * 5_000 + b"a]"),
        (structured.parse_yaml, b"- a\n" * (structured.YAML_NODE_LIMIT + 1)),
        (structured.parse_xml, b"<a>" * (structured.XML_NODE_LIMIT + 1)),
    ],
)
def test_what_would_cost_too_much_is_a_limit(parse: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(LimitError):
        parse(data)


def test_yaml_aliases_are_refused() -> None:
    with pytest.raises(UnsupportedError):
        structured.parse_yaml(b"a: &x [1, 2]\nb: [*x, *x]\n")


def test_xml_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(LimitError, match="entities"):
        structured.parse_xml(bomb)
    external = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    with pytest.raises(LimitError):
        structured.parse_xml(external)


def test_yaml_scalars_are_their_text() -> None:
    text = b"a: 1.10\nb: 2024-01-01\nc: yes\nd: 'null'\ne: null\nf:\ng: ''\n"
    assert structured.parse_yaml(text) == {
        "a": "1.10",
        "b": "2024-01-01",
        "c": "yes",
        "d": "null",
        "e": None,
        "f": None,
        "g": "",
    }


def test_yaml_gives_the_first_document_only() -> None:
    assert structured.parse_yaml(b"--- [a, {b: c}]\n--- d\n") == ["a", {"b": "c"}]
    assert structured.parse_yaml(b"") is None


def test_a_dotted_value_in_a_string_is_no_dotted_key() -> None:
    line = b'a = "' + b"x." * 100 + b'"\n'
    assert structured.parse_toml(line)["a"] == "x." * 100


def test_a_byte_order_mark_and_utf_16_are_json() -> None:
    assert structured.parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert structured.parse_json('{"a": 1}'.encode("utf-16")) == {"a": 1}


@pytest.mark.parametrize(("take", "empty"), [(structured.mapping, {}), (structured.sequence, [])])
def test_values_are_taken_as_what_they_should_be(
    take: Callable[[Any, str], Any], empty: object
) -> None:
    assert take(None, "it") == empty
    with pytest.raises(DamagedError, match="it is no"):
        take("text", "it")
    assert structured.text(1.0) == ""
