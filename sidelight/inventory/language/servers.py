"""nginx, Apache httpd and Node.js built or copied by hand: the version string in the program.

Only programs of these names that no OS package owns come here, and of them only the read-only data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import NotRecognisedError
from sidelight.inventory.language.entry import Entry, flat
from sidelight.inventory.language.executable import program
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_ONLY: Final = ".rodata"
SEARCH_LIMIT: Final = 128 << 20  # bytes of read-only data searched; Node.js has some 50 MiB
CHUNK: Final = 4 << 20
OVERLAP: Final = 256  # bytes: a string on the border of two chunks is found in the second

_VERSION: Final = rb"([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})"
# Program name to (package, the string that its build puts into it).
_PROGRAMS: Final = {
    "nginx": ("nginx", re.compile(rb"nginx/" + _VERSION + rb"(?![0-9.])")),
    "httpd": ("apache-httpd", re.compile(rb"Apache/" + _VERSION + rb"(?![0-9.])")),
    "apache2": ("apache-httpd", re.compile(rb"Apache/" + _VERSION + rb"(?![0-9.])")),
    "node": ("node", re.compile(rb"node-v" + _VERSION + rb"(?:\.tar|-headers|\0|/)")),
}


def _parse(file: WantedFile) -> Iterator[Entry]:
    known = _PROGRAMS.get(file.path.rpartition("/")[2])
    if known is None:
        return
    name, pattern = known
    try:
        region = program(file.read_at).section(READ_ONLY)
    except NotRecognisedError:
        return
    if region is None:
        return
    end = region.offset + min(region.size, SEARCH_LIMIT)
    for start in range(region.offset, end, CHUNK):
        data = file.read_at(start, min(CHUNK + OVERLAP, end - start))
        if match := pattern.search(data):
            yield flat(file.path, "generic", name, match[1].decode())
            return


EXTRACTOR: Final = GeneratorExtractor(
    "language/servers",
    Wants(executables=True, random_access=True, limit=1 << 30),
    _parse,
)
