"""The user's ignore file: TOML, with a vulnerability, a reason and perhaps an end for each entry.

[[ignore]]
vulnerability = "CVE-2024-5535"
package = "pkg:deb/debian/libssl3"   # optional: a purl, as in VEX
reason = "ALPN is not used"
expires = 2027-01-31                 # optional: the last day
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, LimitError
from sidelight.inventory.language import tomlbounds
from sidelight.model import VexStatus
from sidelight.purls import parse_purl
from sidelight.vex.statements import VexProduct, VexStatement

if TYPE_CHECKING:
    from datetime import date

MAX_BYTES: Final = 1 << 20
_MEMBERS: Final = frozenset({"vulnerability", "package", "reason", "expires"})


def ignored(data: bytes, source: str, today: date) -> tuple[list[VexStatement], list[str]]:
    """Return the entries that hold on a day, and the names of those that have expired.

    Raises FormatError, naming the entry.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"more than {MAX_BYTES >> 20} MiB")
    tomlbounds.check(data)
    try:
        document = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no TOML: {' '.join(str(error).split())[:200]}") from None
    entries = document.get("ignore")
    if set(document) - {"ignore"} or not isinstance(entries, list):
        raise FormatError("takes [[ignore]] entries alone")
    statements, expired = [], []
    for number, entry in enumerate(entries, 1):
        statement, last = _entry(entry, f"entry {number}", source)
        if last is not None and today > last:
            expired.append(f"{statement.shown}, since {last.isoformat()}")
        else:
            statements.append(statement)
    return statements, expired


def _entry(entry: object, where: str, source: str) -> tuple[VexStatement, date | None]:
    from datetime import date, datetime

    if not isinstance(entry, dict) or (unknown := sorted(set(entry) - _MEMBERS)):
        shown = unknown[0][:40] if isinstance(entry, dict) else "a value"
        raise FormatError(f"takes {', '.join(sorted(_MEMBERS))}, not {shown}", where=where)
    for name in ("vulnerability", "reason"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise FormatError(f"needs a {name}", where=where)
    last = entry.get("expires")
    if last is not None and (not isinstance(last, date) or isinstance(last, datetime)):
        raise FormatError("expires is a day, as 2027-01-31 without quotes", where=where)
    purl = entry.get("package")
    if purl is not None and not isinstance(purl, str):
        raise FormatError("package is a purl", where=where)
    try:
        product = VexProduct(None if purl is None else parse_purl(purl))
    except FormatError as error:
        raise FormatError(error.what, where=where) from error
    name = entry["vulnerability"].strip().upper()
    statement = VexStatement(
        frozenset({name}), (product,), VexStatus.IGNORED, source, "", entry["reason"].strip(),
        # The user's own word is the last one.
        at="9999",
    )  # fmt: skip
    return statement, last
