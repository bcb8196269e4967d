"""The collector's output: sections of gzip in base64 between marks, and a checksum at the end.

    SIDELIGHT-DEEP-INSPECTION 1
    = about
    H4sIAAAA…
    = tree
    …
    end SHA-256 of all bytes before this line, hexadecimal

The owner of the instance controls every byte of it. Sizes are bounded before anything is inflated.
What is damaged is a Problem, and sections whose own checksum (gzip's CRC-32) is right are read.
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from dataclasses import dataclass, field
from typing import Final

from sidelight.errors import DamagedError, UnsupportedError

MAGIC: Final = b"SIDELIGHT-DEEP-INSPECTION "
VERSION: Final = b"1"
MAX_OUTPUT: Final = 64 << 20  # bytes of the whole text
# Bytes that each section may have when it is inflated. Others are not read.
SECTIONS: Final = {
    "about": 64 << 10,
    "tree": 256 << 20,
    "dpkg-status": 64 << 20,
    "owners": 64 << 20,
    "notes": 4 << 20,
}
_GZIP: Final = 31  # zlib's window bits: gzip's header and trailer


@dataclass(slots=True)
class Envelope:
    """The sections by name, and what is wrong with the output as a whole."""

    sections: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def open_envelope(output: bytes) -> Envelope:
    """Return the sections of a collector's output.

    Raises UnsupportedError for another version, DamagedError for what is no such output.
    """
    if not output.startswith(MAGIC):
        raise DamagedError("not the output of a collector")
    head, _, rest = output.partition(b"\n")
    if head[len(MAGIC) :].strip() != VERSION:
        raise UnsupportedError(f"output of version {head[len(MAGIC) :][:20]!r}, known is 1")
    found = Envelope()
    if len(output) > MAX_OUTPUT:
        found.faults.append(f"{len(output)} bytes of output; {MAX_OUTPUT} are read")
        output = output[:MAX_OUTPUT]
        rest = output[len(head) + 1 :]
    _check_sum(output, found)
    for part in rest.split(b"\n= ", len(SECTIONS) + 1) if rest.startswith(b"= ") else ():
        name, _, text = part.removeprefix(b"= ").partition(b"\n")
        key = name.decode("ascii", "replace")
        if key not in SECTIONS or key in found.sections:
            found.faults.append(f"a section named {key[:40]!r}, which is not known or was there")
            continue
        found.sections[key] = _inflated(key, text, found)
    found.faults += [f"no section {name}" for name in SECTIONS if name not in found.sections]
    return found


def _check_sum(output: bytes, found: Envelope) -> None:
    at = output.rfind(b"\nend ")
    if at < 0:
        found.faults.append("the output is cut short: it has no end")
    elif output[at + 5 :].strip().lower() != hashlib.sha256(output[: at + 1]).hexdigest().encode():
        found.faults.append("the output's checksum is wrong")


def _inflated(name: str, text: bytes, found: Envelope) -> bytes:
    """Return a section's bytes, as far as they can be had; empty where its checksum is wrong."""
    end = text.find(b"\nend ")
    encoded = text if end < 0 else text[:end]
    encoded = encoded.translate(None, b"\r\n")
    try:
        packed = binascii.a2b_base64(encoded[: len(encoded) // 4 * 4])
    except binascii.Error:
        found.faults.append(f"section {name} is not base64")
        return b""
    limit = SECTIONS[name]
    inflater = zlib.decompressobj(_GZIP)
    try:
        data = inflater.decompress(packed, limit)
    except zlib.error as error:
        found.faults.append(f"section {name}: {error}")
        return b""
    if inflater.unconsumed_tail:
        found.faults.append(f"section {name} inflates to more than {limit} bytes: the rest is left")
    elif not inflater.eof:
        found.faults.append(f"section {name} is cut short")
    return data
