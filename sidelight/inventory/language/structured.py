"""JSON, YAML, TOML and XML from hostile files: bounded in depth, in nodes and in time.

Everything comes back as plain dicts, lists and strings (JSON and TOML also numbers and booleans);
`mapping`, `sequence` and `text` take a value as what it should be.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import ParseError

import yaml
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sidelight.errors import DamagedError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NODE_LIMIT: Final = 1_500_000  # commas and openings of a JSON text: some 200 MB of objects at most
YAML_NODE_LIMIT: Final = 500_000
YAML_DEPTH_LIMIT: Final = 64
XML_NODE_LIMIT: Final = 500_000
TOML_LIMIT: Final = 8 << 20  # bytes; the largest lock files are near 2 MB
TOML_DOTS_LIMIT: Final = 16  # of one line, outside of strings

_YAML_CLOSING: Final = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
_YAML_ENDS: Final = frozenset({yaml.DocumentEndEvent, yaml.StreamEndEvent})
_YAML_VALUES: Final[dict[type, type]] = {
    yaml.ScalarEvent: str,
    yaml.MappingStartEvent: dict,
    yaml.SequenceStartEvent: list,
}

_TOML_STRINGS = re.compile(rb'"[^"\n]*"|\'[^\'\n]*\'')


def parse_json(data: bytes) -> Any:
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


def parse_toml(data: bytes) -> dict[str, Any]:
    """A TOML document. Raises DamagedError or LimitError."""
    if len(data) > TOML_LIMIT:
        raise LimitError(f"TOML of more than {TOML_LIMIT} bytes")
    # A key of n parts costs the parser n squared.
    for line in data.splitlines():
        if line.count(b".") <= TOML_DOTS_LIMIT:
            continue
        if _TOML_STRINGS.sub(b"", line).count(b".") > TOML_DOTS_LIMIT:
            raise LimitError(f"TOML line of more than {TOML_DOTS_LIMIT} dots")
    try:
        return tomllib.loads(data.decode().replace("\r\n", "\n"))
    except RecursionError:
        raise LimitError("TOML nested too deeply") from None
    except ValueError as error:
        raise DamagedError(f"no TOML: {_brief(error)}") from None


def parse_yaml(data: bytes) -> Any:
    """The first document of a YAML stream, every scalar as its text; None where it is empty.

    Built from the C parser's events, without recursion. Anchors and aliases, which no lock file
    writer makes, are refused: they are how a small text means a large one.
    Raises DamagedError, UnsupportedError (aliases) or LimitError.
    """
    try:
        return _yaml_document(yaml.CBaseLoader(data))
    except yaml.YAMLError as error:
        raise DamagedError(f"no YAML: {_brief(error)}") from None
    except ValueError as error:  # undecodable bytes
        raise DamagedError(f"no YAML: {_brief(error)}") from None


def _yaml_document(events: yaml.CBaseLoader) -> Any:
    root: list[Any] = []
    # Each open collection, with the key that waits for its value (never one in a list).
    stack: list[tuple[dict[str, Any] | list[Any], list[str]]] = [(root, [])]
    nodes = 0
    while True:
        event = events.get_event()
        kind = type(event)
        if kind in _YAML_CLOSING:
            stack.pop()
        elif kind in _YAML_VALUES:
            nodes += 1
            value: Any = _scalar(event) if kind is yaml.ScalarEvent else _YAML_VALUES[kind]()
            _place(stack[-1], value)
            if kind is not yaml.ScalarEvent:  # a collection is now open
                stack.append((value, []))
            if nodes > YAML_NODE_LIMIT or len(stack) > YAML_DEPTH_LIMIT:
                raise LimitError("YAML of too many nodes, or nested too deeply")
        elif kind is yaml.AliasEvent:
            raise UnsupportedError("YAML with an alias")
        elif kind in _YAML_ENDS:
            return root[0] if root else None


def _scalar(event: Any) -> str | None:
    """A scalar's text; None where nothing, `~` or `null` stands without quotes."""
    value: str = event.value
    return None if event.implicit[0] and value in {"", "~", "null"} else value


def _place(top: tuple[dict[str, Any] | list[Any], list[str]], value: Any) -> None:
    container, key = top
    if isinstance(container, list):
        container.append(value)
    elif key:
        container[key.pop()] = value
    else:
        key.append(value if isinstance(value, str) else "")


def parse_xml(data: bytes) -> Element:
    """The root element; entities and external documents are refused.

    Raises DamagedError or LimitError.
    """
    if data.count(b"<") > XML_NODE_LIMIT:
        raise LimitError(f"XML of more than {XML_NODE_LIMIT} tags")
    try:
        return fromstring(data, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise LimitError(f"XML with entities: {type(error).__name__}") from None
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise DamagedError(f"no XML: {_brief(error)}") from None


def mapping(value: Any, what: str) -> dict[str, Any]:
    """`value` as a mapping; empty for None. Raises DamagedError for anything else."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise DamagedError(f"{what} is no mapping")


def sequence(value: Any, what: str) -> list[Any]:
    """`value` as a list; empty for None. Raises DamagedError for anything else."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise DamagedError(f"{what} is no list")


def text(value: Any) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
