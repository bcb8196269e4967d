"""The database file, byte by byte. All integers little-endian, all texts UTF-8.

    header          HEADER, padded to HEADER_SIZE
    vulnerabilities one JSON array per vulnerability, sorted by id
    advisories      one record per advisory, sorted by id and source
    groups          one group for each (ecosystem, name), sorted
    digests         16 bytes per vulnerability, 8 per group, in their order (see digest.py)
    binary sources  by ecosystem: JSON, [{binary: [source, ...]}, [binaries of other versions]]
    index           offsets of the above (u64, one more than records), hash table, labels, info

An advisory's record: the number of its vulnerabilities and their numbers (u32 each), which is all
that a match reads of it; then a JSON array of the rest.

The sections of binary sources are not in the header: `info` has their offsets and sizes. So older
databases without them are read, and older versions read a database with them.

The header's `index_sha256` covers the header before it and the index: it is checked on open.
`sha256`, after it, covers the whole file from the first section on: `Database.verify` checks it.

The hash table has a power of two slots, u32: 0 is empty, else 1 + the number of a group. A group's
slot is the CRC-32 of its key, `ecosystem NUL name`, or the next empty slot after it.

A group:

    GROUP           size of the key, flags, buckets, rows of all buckets, ranged rows
    key
    bucket table    u32 arrays, one item per bucket: end of its sort key, of its rows, of its text
    rows            ROW each, bucket after bucket
    keys, texts     of the buckets: sort key and spelling of the fixed version
    ranged rows     ROW, u16 count, then that many of SPAN and its keys and texts

Buckets are sorted by key, so that all rows that affect a version follow one position. Rows without
a fix have the key NEVER, which is above every version's. Only rows with a single interval from the
beginning of all versions to an excluded end are in buckets; all others are ranged.
"""

from __future__ import annotations

import struct

MAGIC = b"SLIGHTDB"
SCHEMA = 4
HEADER_SIZE = 512
# magic, schema, flags (0), file size, then offset and size of: vulnerabilities, advisories, groups,
# vulnerability digests, group digests, vulnerability offsets, advisory offsets, group offsets,
# hash table, labels, info.
HEADER = struct.Struct("<8sIIQ" + "QQ" * 11)
DIGEST_SIZE = 32
SECTIONS = (
    "vulnerabilities",
    "advisories",
    "groups",
    "vulnerability_digests",
    "group_digests",
    "vulnerability_offsets",
    "advisory_offsets",
    "group_offsets",
    "slots",
    "labels",
    "info",
)
FIRST_OF_INDEX = 5  # sections from here on are the index

GROUP = struct.Struct("<HHIII")
HAS_STREAMS = 1  # a flag of a group: some of its rows have a stream
# advisory number, label number (stream, module, state), severity rank + 1 (0: none), unused
ROW = struct.Struct("<IHBB")
COUNT = struct.Struct("<H")
# flags, then the sizes of: introduced key, end key, introduced text, end text
SPAN = struct.Struct("<BHHHH")
END_INCLUDED = 1
INTRODUCED_EXCLUDED = 2
SHOWN_AS_FIX = 4  # the end is a fixed version, not the last affected one

NEVER = b"\xff" * 8
