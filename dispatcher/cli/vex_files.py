"""The VEX documents and the ignore file of `sidelight scan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sidelight.errors import FormatError, UsageError
from sidelight.report.output import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from sidelight.vex.statements import VexResult, VexStatement
    from sidelight.vex.vex_documents import VexDocument

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHOWN = 5  # statements that a message names


def vex_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --vex and --ignore-file."""
    for option in (
        click.option("--ignore-file", type=_FILE, metavar="FILE",
                     help="Suppress the findings that this file lists, each with a reason (TOML,"
                     " docs/vex.md)."),
        click.option("--vex", multiple=True, type=_FILE, metavar="FILE",
                     help="Suppress the findings that a VEX document states to be not affected or"
                     " fixed: OpenVEX, CycloneDX or CSAF. Repeatable."),
    ):  # fmt: skip
        command = option(command)
    return command


def read_statements(
    files: Sequence[Path], ignore_file: Path | None, today: date
) -> list[VexStatement]:
    """Return all statements in the order of the files; expired entries are reported.

    Raises UsageError for a file that is not what it should be, with its name.
    """
    from sidelight.vex import ignore_file as ignoring

    statements = [one for item in read_documents(files) for one in item.statements]
    if ignore_file is not None:
        data = _read(ignore_file, ignoring.MAX_BYTES)
        try:
            entries, expired = ignoring.ignored(data, ignore_file.name, today)
        except FormatError as error:
            where = ": ".join(filter(None, (str(ignore_file), error.where)))
            raise UsageError(error.what, where=where) from error
        statements += entries
        for name in expired:
            complain(f"{ignore_file}: expired, and does not suppress: {name}")
    return statements


def read_documents(files: Sequence[Path]) -> list[VexDocument]:
    """Return VEX documents in the order of the files. Raises UsageError as `read_statements`."""
    from sidelight.vex import vex_documents

    documents = []
    for path in files:
        data = _read(path, vex_documents.MAX_BYTES)
        try:
            documents.append(vex_documents.read_vex(data, path.name))
        except FormatError as error:
            raise UsageError(error.what, where=str(path)) from error
    return documents


def report_unmatched(result: VexResult) -> None:
    """Report, for each document, the statements that are about no finding of the machine."""
    by_source: dict[str, list[VexStatement]] = {}
    for statement in result.unmatched:
        by_source.setdefault(statement.source, []).append(statement)
    for source, statements in by_source.items():
        report_statements(source, statements)


def report_statements(source: str, statements: Sequence[VexStatement]) -> None:
    """Report a document's statements that are about no finding, some by name."""
    if not statements:
        return
    names = [statement.shown for statement in statements[:_SHOWN]]
    more = ", …" if len(statements) > _SHOWN else ""
    count = f"{len(statements)} statement{'s' * (len(statements) != 1)}"
    complain(f"{source}: {count} about no finding: {', '.join(names)}{more}")


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise UsageError(error.strerror or "cannot be read", where=str(path)) from error
