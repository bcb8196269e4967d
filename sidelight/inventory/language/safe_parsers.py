"""JSON, YAML, TOML and XML from hostile files: bounded in depth, in nodes and in time.

Everything comes back as plain dicts, lists and strings (JSON and TOML also numbers and booleans);
`mapping`, `sequence` and `text` take a value as what it should be.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError, TreeBuilder

import yaml
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from sidelight.errors import DamagedError, LimitError, UnsupportedError
from sidelight.inventory.language import tomlbounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

NODE_LIMIT: Final = 1_500_000  # commas and openings of a JSON text: some 200 MB of objects at most
YAML_NODE_LIMIT: Final = 500_000
YAML_DEPTH_LIMIT: Final = 64
XML_NODE_LIMIT: Final = 500_000
YAML_TAGS_LIMIT: Final = 16  # %TAG directives: the parser compares each with all before it

_YAML_CLOSING: Final = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
_YAML_ENDS: Final = frozenset({yaml.DocumentEndEvent, yaml.StreamEndEvent})
_YAML_VALUES: Final = (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent)

_XML_HEAD: Final = 256  # bytes in which an XML declaration ends
_XML_ENCODING = re.compile(
    rb"(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']"
)
# expat knows these itself, or they write `<` and `=` as ASCII does.
_XML_ENCODINGS: Final = frozenset(
    (
        b"utf-8", b"utf8", b"us-ascii", b"ascii", b"utf-16", b"utf-16le", b"utf-16be",
        b"latin1", b"latin-1", b"windows-1250", b"windows-1251", b"windows-1252",
        b"windows-1253", b"windows-1254", b"cp1250", b"cp1251", b"cp1252", b"koi8-r",
        *(b"iso-8859-%d" % number for number in range(1, 17)),
        *(b"iso8859-%d" % number for number in range(1, 17)),
    )
)  # fmt: skip
# In UTF-8 and in both orders of UTF-16.
_YAML_TAGS: Final = (b"%TAG", b"%\0T\0A\0G")


def parse_json(data: bytes) -> object:
    """A JSON text in UTF-8 (a byte order mark is allowed), UTF-16 or UTF-32.

    Raises DamagedError, or LimitError where it has too many nodes or is nested too deeply.
    """
    if data.count(b",") + data.count(b"{") + data.count(b"[") > NODE_LIMIT:
        raise LimitError(f"JSON of more than {NODE_LIMIT} nodes")
    try:
        return json.loads(data)
    except RecursionError:
        raise LimitError("JSON nested too deeply") from None
    except ValueError as error:  # also undecodable bytes and numbers of too many digits
        raise DamagedError(f"no JSON: {_brief(error)}") from None


def parse_toml(data: bytes) -> dict[str, object]:
    """A TOML document. Raises DamagedError or LimitError."""
    tomlbounds.check(data)
    try:
        return tomllib.loads(data.decode().replace("\r\n", "\n"))
    except RecursionError:
        raise LimitError("TOML nested too deeply") from None
    except ValueError as error:
        raise DamagedError(f"no TOML: {_brief(error)}") from None


def parse_yaml(data: bytes) -> object:
    """The first document of a YAML stream, every scalar as its text; None where it is empty.

    Raises as `yaml_documents` does.
    """
    return next(yaml_documents(data), None)


def yaml_documents(data: bytes) -> Iterator[object]:
    """The documents of a YAML stream, none for an empty one; a scalar is its text.

    Built from the C parser's events, without recursion. Anchors and aliases, which no lock file
    writer makes, are refused: they are how a small text means a large one.
    Raises DamagedError, UnsupportedError (aliases) or LimitError.
    """
    check_yaml(data)
    loader = yaml.CBaseLoader(data) if data else None
    nodes = 0
    while loader is not None:
        try:
            if loader.check_event(yaml.StreamStartEvent):
                loader.get_event()
            if loader.check_event(yaml.StreamEndEvent):
                return
            document, nodes = _yaml_document(loader, nodes)
        except yaml.YAMLError as error:
            raise DamagedError(f"no YAML: {_brief(error)}") from None
        except ValueError as error:  # undecodable bytes
            raise DamagedError(f"no YAML: {_brief(error)}") from None
        yield document


def check_yaml(data: bytes) -> None:
    """Raise LimitError where a YAML text would cost its parser minutes."""
    if data.count(b",") + data.count(b"{") + data.count(b"[") > YAML_NODE_LIMIT:
        raise LimitError(f"YAML of more than {YAML_NODE_LIMIT} nodes")
    if sum(map(data.count, _YAML_TAGS)) > YAML_TAGS_LIMIT:
        raise LimitError(f"YAML of more than {YAML_TAGS_LIMIT} %TAG directives")


def _yaml_document(events: yaml.CBaseLoader, nodes: int) -> tuple[object, int]:
    """The next document and the nodes of it and of those before, which count together."""
    root: list[object] = []
    # Each open collection, with the key that waits for its value (never one in a list).
    stack: list[tuple[dict[str, object] | list[object], list[str]]] = [(root, [])]
    while True:
        event = events.get_event()
        kind = type(event)
        if kind in _YAML_CLOSING:
            stack.pop()
        elif kind in _YAML_VALUES:
            nodes += 1
            if isinstance(event, yaml.ScalarEvent):
                _place(stack[-1], _scalar(event))
            else:
                opened: dict[str, object] | list[object]
                opened = {} if isinstance(event, yaml.MappingStartEvent) else []
                _place(stack[-1], opened)
                stack.append((opened, []))
            if nodes > YAML_NODE_LIMIT or len(stack) > YAML_DEPTH_LIMIT:
                raise LimitError("YAML of too many nodes, or nested too deeply")
        elif kind is yaml.AliasEvent:
            raise UnsupportedError("YAML with an alias")
        elif kind in _YAML_ENDS:
            return (root[0] if root else None), nodes


def _scalar(event: yaml.ScalarEvent) -> str | None:
    """A scalar's text; None where nothing, `~` or `null` is without quotes."""
    value: str = event.value
    return None if event.implicit[0] and value in {"", "~", "null"} else value


def _place(top: tuple[dict[str, object] | list[object], list[str]], value: object) -> None:
    container, key = top
    if isinstance(container, list):
        container.append(value)
    elif key:
        container[key.pop()] = value
    else:
        key.append(value if isinstance(value, str) else "")


def parse_xml(data: bytes) -> Element:
    """The root element; declarations, entities and external documents are refused.

    Raises DamagedError or LimitError.
    """
    # A tag is counted by its bytes: an encoding that writes `<` otherwise would hide it.
    declared = _XML_ENCODING.match(data[:_XML_HEAD])
    if declared and declared[1].lower() not in _XML_ENCODINGS:
        raise UnsupportedError(f"XML in the encoding {declared[1].decode('ascii')}")
    if data.count(b"<") > XML_NODE_LIMIT or data.count(b"=") > XML_NODE_LIMIT:
        raise LimitError(f"XML of more than {XML_NODE_LIMIT} tags or attributes")
    try:
        parser = _XmlParser()
        parser.feed(data)
        return parser.close()
    except DefusedXmlException as error:
        raise LimitError(f"XML with entities: {type(error).__name__}") from None
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise DamagedError(f"no XML: {_brief(error)}") from None


class _XmlParser(DefusedXMLParser):
    """Refuses a document type that declares anything within the document.

    expat compares each declared attribute with all before it, and adds those with a default to each
    element. Only the name of a document type, and where it is described, are harmless.
    """

    def __init__(self) -> None:
        super().__init__(target=TreeBuilder(), forbid_entities=True, forbid_external=True)
        self.parser.StartDoctypeDeclHandler = _refuse_declarations


def _refuse_declarations(
    _name: str, _system: str | None, _public: str | None, has_declarations: int
) -> None:
    if has_declarations:
        raise LimitError("XML with declarations of its own: attributes or entities")


def mapping(value: object, what: str) -> dict[str, object]:
    """`value` as a mapping; empty for None. Raises DamagedError for anything else."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise DamagedError(f"{what} is not a mapping")


def sequence(value: object, what: str) -> list[object]:
    """`value` as a list; empty for None. Raises DamagedError for anything else."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise DamagedError(f"{what} is not a list")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
