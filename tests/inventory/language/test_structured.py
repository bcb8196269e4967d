"""JSON, YAML, TOML and XML from hostile files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidelight import json_texts
from sidelight.errors import DamagedError, FormatError, LimitError, UnsupportedError
from sidelight.inventory.language import safe_parsers, tomlbounds

if TYPE_CHECKING:
    from collections.abc import Callable

PARSERS: list[Callable[[bytes], Any]] = [
    safe_parsers.parse_json,
    safe_parsers.parse_toml,
    safe_parsers.parse_yaml,
    safe_parsers.parse_xml,
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
        (safe_parsers.parse_json, b"[" * 200_000),
        (safe_parsers.parse_json, b'{"a":' * 200_000),
        (safe_parsers.parse_toml, b"a = " + b"[" * 100_000),
        (safe_parsers.parse_yaml, b"[" * 100_000),
        (safe_parsers.parse_yaml, b"- " * 100_000),
    ],
)
def test_deep_nesting_is_an_error_of_ours(parse: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (safe_parsers.parse_json, b"[" + b"[]," * safe_parsers.NODE_LIMIT + b"0]"),
        (safe_parsers.parse_toml, b"#" * (tomlbounds.SIZE_LIMIT + 1)),
        (safe_parsers.parse_toml, b"a." * 5_000 + b"a = 1"),
        (safe_parsers.parse_toml, b'"a".' * 5_000 + b"a = 1"),
        (safe_parsers.parse_toml, b"[" + b"a." * 5_000 + b"a]"),
        (safe_parsers.parse_yaml, b"- a\n" * (safe_parsers.YAML_NODE_LIMIT + 1)),
        (safe_parsers.parse_xml, b"<a>" * (safe_parsers.XML_NODE_LIMIT + 1)),
    ],
)
def test_what_would_cost_too_much_is_a_limit(parse: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(LimitError):
        parse(data)


_MANY = 200_000
_DECLARATIONS = {
    "each": b"".join(b"<!ATTLIST a b%d CDATA '1'>" % number for number in range(_MANY)),
    "together": b"<!ATTLIST a "
    + b" ".join(b"b%d CDATA '1'" % number for number in range(_MANY))
    + b">",
    "one": b"<!ATTLIST a b CDATA '1'>",
    "elements": b"<!ELEMENT a (b)>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", _DECLARATIONS)
def test_declarations_in_a_document_are_refused_at_the_first(name: str, encoding: str) -> None:
    document = f"<!DOCTYPE a [{_DECLARATIONS[name].decode()}]><a/>".encode(encoding)
    with pytest.raises(LimitError, match="declarations"):
        safe_parsers.parse_xml(document)


def test_a_document_type_that_declares_nothing_is_read() -> None:
    text = b'<!DOCTYPE project SYSTEM "maven.dtd">\n<project/>'
    assert safe_parsers.parse_xml(text).tag == "project"


def _parsed_nothing(*_arguments: object) -> None:
    pytest.fail("the library was given what is past a bound")


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"".join(b"[a%d.b.c.d.e.f.g]\n" % number for number in range(100_000)),
        b"".join(b"a%d.b.c.d=1\n" % number for number in range(100_000)),
        b"a=[" + b"{b.c.d=1}," * 100_000 + b"]",
        b'a=["\\"",' + b"{b.c.d=1,e='\"'}," * 100_000 + b"]",
        b"a=[" + b'"""x""""",{b.c.d=1},"""\ny""",' * 100_000 + b"]",
        b"a=" + b"1" * 2_000_000,
        b"a=" + b"1_" * 1_000_000 + b"1",
        b"a=0x" + b"1" * 2_000_000,
        b"a=0b" + b"1" * 2_000_000,
        b"a=1." + b"1" * 2_000_000,
        b"a=1e" + b"1" * 2_000_000,
        b"a=#'\n" + b"1" * 2_000_000 + b"#'",
        b"k" * 2_000_000 + b"=1",
        b"[[a]]\n" * 500_000,
        b"a=[" + b"{}," * 1_000_000 + b"]",
        b"a=[" + b"[]," * 1_000_000 + b"]",
        b"\n" * 2_000_000,
        b'a="' + b"\\n" * 2_000_000 + b'"',
        b'a="""' + b"\\n" * 2_000_000 + b'"""',
    ],
    ids=range(19),
)
def test_toml_past_a_bound_does_not_reach_the_library(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomllib.loads", _parsed_nothing)
    with pytest.raises(LimitError):
        safe_parsers.parse_toml(data)


_STRINGS = st.sampled_from(
    ['"x.y"', "'x.y'", '"x\\"."', "'\"'", '"""x.y"""', '"""""x""."""', "'''x.y'''", '"\'."']
)


@given(st.lists(_STRINGS, max_size=6), st.lists(_STRINGS, max_size=6))
def test_dots_in_strings_and_comments_do_not_count(strings: list[str], noted: list[str]) -> None:
    document = f"a = [{', '.join(strings)}] # {' '.join(noted)} it's . \"this.\nb.c = 1\n"
    structure = b" ".join(tomlbounds._outside_strings(document.encode()))
    assert structure.count(b".") == 1
    assert safe_parsers.parse_toml(document.encode())["b"] == {"c": 1}


def test_yaml_tag_directives_past_a_bound_do_not_reach_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("yaml.CBaseLoader", _parsed_nothing)
    text = "".join(f"%TAG !a{number}! b\n" for number in range(100_000)) + "--- a\n"
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        with pytest.raises(LimitError):
            safe_parsers.parse_yaml(text.encode(encoding))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (safe_parsers.parse_json, "[{}]"),
        (safe_parsers.parse_toml, "a = {}"),
        (safe_parsers.parse_toml, "a = -{}"),
    ],
)
def test_a_number_of_many_digits_is_refused_not_computed(
    parse: Callable[[bytes], Any], text: str
) -> None:
    with pytest.raises(FormatError):
        parse(text.format("9" * 1_000_000).encode())


def test_yaml_computes_no_numbers() -> None:
    assert safe_parsers.parse_yaml(b"a: " + b"9" * 100_000) == {"a": "9" * 100_000}


def test_yaml_aliases_are_refused() -> None:
    with pytest.raises(UnsupportedError):
        safe_parsers.parse_yaml(b"a: &x [1, 2]\nb: [*x, *x]\n")


def test_xml_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(LimitError, match="entities"):
        safe_parsers.parse_xml(bomb)
    external = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    with pytest.raises(LimitError):
        safe_parsers.parse_xml(external)


def test_yaml_scalars_are_their_text() -> None:
    text = b"a: 1.10\nb: 2024-01-01\nc: yes\nd: 'null'\ne: null\nf:\ng: ''\n"
    assert safe_parsers.parse_yaml(text) == {
        "a": "1.10",
        "b": "2024-01-01",
        "c": "yes",
        "d": "null",
        "e": None,
        "f": None,
        "g": "",
    }


def test_yaml_gives_the_first_document_only() -> None:
    assert safe_parsers.parse_yaml(b"--- [a, {b: c}]\n--- d\n") == ["a", {"b": "c"}]
    assert safe_parsers.parse_yaml(b"") is None


def test_a_dotted_value_in_a_string_is_no_dotted_key() -> None:
    line = b'a = "' + b"x." * 100 + b'"\n'
    assert safe_parsers.parse_toml(line)["a"] == "x." * 100


def test_a_byte_order_mark_and_utf_16_are_json() -> None:
    assert safe_parsers.parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert safe_parsers.parse_json('{"a": 1}'.encode("utf-16")) == {"a": 1}


@pytest.mark.parametrize(
    ("take", "empty"), [(safe_parsers.mapping, {}), (safe_parsers.sequence, [])]
)
def test_values_are_taken_as_what_they_should_be(
    take: Callable[[Any, str], Any], empty: object
) -> None:
    assert take(None, "it") == empty
    with pytest.raises(DamagedError, match="it is no"):
        take("text", "it")
    assert json_texts.text(1.0) == ""


@pytest.mark.parametrize("encoding", ["cp037", "utf-7", "cp500", "IBM1140"])
def test_an_encoding_that_hides_the_tags_is_refused(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + "<a/>".encode("cp037")
    with pytest.raises(FormatError):
        safe_parsers.parse_xml(text)


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-16", "ISO-8859-1", "windows-1252"])
def test_usual_encodings_are_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a b="c"/>'.encode(encoding)
    assert safe_parsers.parse_xml(text).get("b") == "c"


def test_attributes_count_as_nodes() -> None:
    attributes = " ".join(f'a{number}=""' for number in range(safe_parsers.XML_NODE_LIMIT + 1))
    with pytest.raises(LimitError):
        safe_parsers.parse_xml(f"<a {attributes}/>".encode())
