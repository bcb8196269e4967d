"""Read a VEX document of any of the three formats as statements."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, LimitError, NotRecognisedError
from sidelight.json_texts import decode_json, mapping_of, mappings, text
from sidelight.model import VexSource
from sidelight.vex import csaf, cyclonedx_vex, openvex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.vex.statements import VexStatement

MAX_BYTES: Final = 128 << 20
MAX_NODES: Final = 3_000_000
MAX_STATEMENTS: Final = 500_000


_MOST_TEXT: Final = 500  # characters of a member of the head that are kept


@dataclass(frozen=True, slots=True)
class VexDocument:
    """A document with its head and its statements."""

    source: VexSource
    statements: Sequence[VexStatement]


def vex_statements(data: bytes, source: str) -> list[VexStatement]:
    """Return the statements of a document; `source` is its name in messages.

    Raises FormatError: LimitError past the bounds, NotRecognisedError for another format, or one
    without any statement.
    """
    return list(read_vex(data, source).statements)


def read_vex(data: bytes, source: str) -> VexDocument:
    """Read a document; `source` is its file's name. Raises as `vex_statements`."""
    if len(data) > MAX_BYTES:
        raise LimitError(f"more than {MAX_BYTES >> 20} MiB")
    document = mapping_of(decode_json(data, MAX_NODES))
    context = document.get("@context")
    if isinstance(context, str) and context.startswith(openvex.CONTEXT):
        head, found = _openvex_head(document), openvex.statements_of(document, source)
    elif document.get("bomFormat") == "CycloneDX":
        head, found = _cyclonedx_head(document), cyclonedx_vex.statements_of(document, source)
    elif text(mapping_of(document.get("document")).get("csaf_version")).startswith("2."):
        head, found = _csaf_head(document), csaf.statements_of(document, source)
    else:
        raise NotRecognisedError("not OpenVEX, CycloneDX or CSAF 2.0")
    statements = []
    for statement in found:
        statements.append(statement)
        if len(statements) > MAX_STATEMENTS:
            raise LimitError(f"more than {MAX_STATEMENTS} statements")
    if not statements:
        raise FormatError("it has no VEX statement")
    form, _, version, author, issued = (part[:_MOST_TEXT] for part in head)
    # Of a longer id a digest, so that no two become one.
    identity = head[1]
    if len(identity) > _MOST_TEXT:
        identity = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    digest = hashlib.sha256(data).hexdigest()
    # A document without an id is known by its file's name.
    whole = VexSource(
        identity or f"file:{source}"[:_MOST_TEXT], form, version, author, issued,
        source[:_MOST_TEXT], digest, len(statements),
    )  # fmt: skip
    return VexDocument(whole, statements)


def is_older(version: str, than: str) -> bool:
    """Whether a version of a document comes before another: numbers with dots, as 1 or 1.2.0.

    Of versions in another form none is known to be older.
    """
    one, other = _numbers(version), _numbers(than)
    return one is not None and other is not None and one < other


def _numbers(version: str) -> tuple[int, ...] | None:
    # CSAF allows semantic versions: of these the part before a hyphen or a plus.
    parts = version.partition("+")[0].partition("-")[0].split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        return None
    return tuple(map(int, parts))


_Head = tuple[str, str, str, str, str]  # format, identity, version, author, time


def _openvex_head(document: Mapping[str, object]) -> _Head:
    author = ", ".join(filter(None, (text(document.get("author")), text(document.get("role")))))
    issued = text(document.get("last_updated")) or text(document.get("timestamp"))
    return "OpenVEX", text(document.get("@id")), _version(document), author, issued


def _cyclonedx_head(document: Mapping[str, object]) -> _Head:
    metadata = mapping_of(document.get("metadata"))
    people = mappings(metadata.get("authors"))
    names = [text(item.get("name")) or text(item.get("email")) for item in people[:10]]
    makers = ("manufacturer", "supplier", "manufacture")
    names += [text(mapping_of(metadata.get(key)).get("name")) for key in makers]
    author = ", ".join(dict.fromkeys(filter(None, names)))
    number = text(document.get("serialNumber"))
    return "CycloneDX", number, _version(document), author, text(metadata.get("timestamp"))


def _csaf_head(document: Mapping[str, object]) -> _Head:
    head = mapping_of(document.get("document"))
    tracking, publisher = mapping_of(head.get("tracking")), mapping_of(head.get("publisher"))
    number, space = text(tracking.get("id")), text(publisher.get("namespace"))
    # An id is unique for its publisher (section 3.2.1.12.4).
    identity = f"{space}#{number}" if number and space else number
    issued = text(tracking.get("current_release_date"))
    return "CSAF", identity, text(tracking.get("version")), text(publisher.get("name")), issued


def _version(document: Mapping[str, object]) -> str:
    version = document.get("version")
    is_number = isinstance(version, int) and not isinstance(version, bool)
    return str(version)[:40] if is_number else text(version)
