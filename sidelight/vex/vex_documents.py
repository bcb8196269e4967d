"""Read a VEX document of any of the three formats as statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, LimitError, NotRecognisedError
from sidelight.json_texts import decode_json, mapping_of, text
from sidelight.vex import csaf, cyclonedx_vex, openvex

if TYPE_CHECKING:
    from sidelight.vex.statements import VexStatement

MAX_BYTES: Final = 128 << 20
MAX_NODES: Final = 3_000_000
MAX_STATEMENTS: Final = 500_000


def vex_statements(data: bytes, source: str) -> list[VexStatement]:
    """Return the statements of a document; `source` is its name in messages.

    Raises FormatError: LimitError past the bounds, NotRecognisedError for another format, or one
    without any statement.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"more than {MAX_BYTES >> 20} MiB")
    document = mapping_of(decode_json(data, MAX_NODES))
    context = document.get("@context")
    if isinstance(context, str) and context.startswith(openvex.CONTEXT):
        found = openvex.statements_of(document, source)
    elif document.get("bomFormat") == "CycloneDX":
        found = cyclonedx_vex.statements_of(document, source)
    elif text(mapping_of(document.get("document")).get("csaf_version")).startswith("2."):
        found = csaf.statements_of(document, source)
    else:
        raise NotRecognisedError("not OpenVEX, CycloneDX or CSAF 2.0")
    statements = []
    for statement in found:
        statements.append(statement)
        if len(statements) > MAX_STATEMENTS:
            raise LimitError(f"more than {MAX_STATEMENTS} statements")
    if not statements:
        raise FormatError("it has no VEX statement")
    return statements
