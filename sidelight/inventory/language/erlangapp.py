"""Applications of Erlang and Elixir as a release has them: NAME/ebin/NAME.app, RabbitMQ's .ez.

A release on a server has no mix.lock. Its applications are called as Hex' packages are, but for
those that belong to Erlang/OTP and to Elixir, which have no packages: these two are listed by
their own versions. What a release's own project wrote is not distinguished from its dependencies.
Sources: Erlang/OTP's app(4) and "OTP Versions" (OTP_VERSION), the code(3) page on archives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, NotRecognisedError
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.language.ziparchive import InflateBudget, ZipArchive
from sidelight.inventory.protocol import WantedFile, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 1 << 20  # bytes of one .app; the largest real ones list some thousand modules
ARCHIVE_LIMIT: Final = 1_000  # applications of one archive

_RESOURCE: Final = re.compile(r"(?:.*/)?ebin/[^/]+\.app")
_NAME: Final = re.compile(rb"\{\s*application\s*,\s*'?([A-Za-z][\w@]{0,254})'?\s*,")
_VERSION: Final = re.compile(rb'\{\s*vsn\s*,\s*"([^"\n]{1,128})"\s*\}')
_OTP: Final = re.compile(rb"[0-9]+(?:\.[0-9]+){0,4}(?:-rc[0-9]+)?")
_PART_OF_OTP: Final = re.compile(
    r"appmon|asn1|common_test|compiler|cosEvent|cosEventDomain|cosFileTransfer"
    r"|cosNotification|cosProperty|cosTime|cosTransactions|crypto|debugger|dialyzer"
    r"|diameter|docgen_xmerl|edoc|eldap|erl_docgen|erl_interface|erts|et|eunit|ftp|gs"
    r"|hipe|ic|inets|jinterface|kernel|megaco|mnesia|observer|odbc|orber|os_mon"
    r"|otp_mibs|parsetools|percept|pman|public_key|reltool|runtime_tools|sasl|snmp|ssh"
    r"|ssl|stdlib|syntax_tools|test_server|tftp|toolbar|tools|tv|typer|webtool|wx"
    r"|xmerl"
)
_PART_OF_ELIXIR: Final = re.compile(r"eex|ex_unit|iex|logger|mix")


def _application(path: str, data: bytes) -> Iterator[Entry]:
    name, version = _NAME.search(data), _VERSION.search(data)
    if name is None or version is None:
        yield Problem("/" + path, "an application without a name or a version")
        return
    called, number = name[1].decode(), version[1].decode("utf-8", "replace")
    if called == "elixir":
        yield flat(path, "generic", "elixir", number)
    elif not (_PART_OF_OTP.fullmatch(called) or _PART_OF_ELIXIR.fullmatch(called)):
        yield flat(path, "hex", called, number)


def _parse(file: WantedFile) -> Iterator[Entry]:
    yield from _application(file.path, file.read())


def _parse_archive(file: WantedFile) -> Iterator[Entry]:
    try:
        archive = ZipArchive(file.read_at, file.size, InflateBudget(16 * LIMIT))
    except NotRecognisedError:
        return
    count = 0
    for member in archive.members():
        if not _RESOURCE.fullmatch(member.name):
            continue
        count += 1
        if count > ARCHIVE_LIMIT:
            yield Problem("/" + file.path, f"more than {ARCHIVE_LIMIT} applications")
            return
        file.check_time()
        path = f"{file.path}!/{member.name}"
        try:
            yield from _application(path, archive.read(member, LIMIT))
        except FormatError as error:
            yield Problem("/" + path, error.what)


def _parse_otp(file: WantedFile) -> Iterator[Entry]:
    if match := _OTP.match(file.read().strip()):
        yield flat(file.path, "generic", "erlang-otp", match[0].decode())


EXTRACTOR: Final = GeneratorExtractor(
    "language/erlang-application",
    Wants(
        suffixes=frozenset({".app"}),
        confirm=lambda path: bool(_RESOURCE.fullmatch(path)),
        limit=LIMIT,
    ),
    _parse,
)
ARCHIVE_EXTRACTOR: Final = GeneratorExtractor(
    "language/erlang-archive",
    Wants(suffixes=frozenset({".ez"}), random_access=True, limit=1 << 30),
    _parse_archive,
)
OTP_EXTRACTOR: Final = GeneratorExtractor(
    "language/erlang-runtime", Wants(names=frozenset({"OTP_VERSION"}), limit=1 << 12), _parse_otp
)
