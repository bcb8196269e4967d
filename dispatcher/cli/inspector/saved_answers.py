"""Saved answers of the AWS CLI: Inspector's findings and coverage, and SSM's inventory.

A file has one JSON document, or several in a row, as `aws … >> FILE` writes pages.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sidelight.inspector_comparison import InspectorSide

MOST_BYTES: Final = 1 << 30  # of one file: 250,000 findings are about 1 GB
MOST_DOCUMENTS: Final = 20_000  # of one file
MOST_NAMES: Final = 100_000  # of one instance's SSM inventory
_FINDINGS, _COVERAGE = "findings", "coveredResources"


def read_answers(files: Sequence[Path], side: InspectorSide) -> None:
    """Add the files' findings and coverage. Raises UsageError for a file of something else."""
    for file in files:
        for number, document in enumerate(_documents(file), 1):
            where = f"{file}: document {number}"
            lists = [name for name in (_FINDINGS, _COVERAGE) if name in document]
            if not lists:
                raise UsageError(
                    "needs the answer of `aws inspector2 list-findings` or `list-coverage`",
                    where=where,
                )
            for name in lists:
                items = document[name]
                if not isinstance(items, list):
                    raise UsageError(f"{name} is not a list", where=where)
                add = side.add_findings if name == _FINDINGS else side.add_coverage
                add(items, where)


def read_ssm_inventories(files: Sequence[Path]) -> dict[str, frozenset[str]]:
    """Return the names in AWS:Application by instance. Raises UsageError."""
    names: dict[str, set[str]] = {}
    for file in files:
        for number, document in enumerate(_documents(file), 1):
            instance, entries = document.get("InstanceId"), document.get("Entries")
            is_list = isinstance(entries, list) and document.get("TypeName") == "AWS:Application"
            if not (isinstance(instance, str) and is_list):
                raise UsageError(
                    "needs an instance's answer of `aws ssm list-inventory-entries`"
                    " for AWS:Application",
                    where=f"{file}: document {number}",
                )
            known = names.setdefault(instance, set())
            for entry in entries if isinstance(entries, list) else ():
                name = entry.get("Name") if isinstance(entry, dict) else None
                if isinstance(name, str) and len(known) < MOST_NAMES:
                    known.add(name)
    return {instance: frozenset(known) for instance, known in names.items()}


def _documents(file: Path) -> Iterator[dict[str, object]]:
    """Yield a file's JSON objects. Raises UsageError."""
    where = str(file)
    if file.stat().st_size > MOST_BYTES:
        raise UsageError(f"more than {MOST_BYTES >> 20} MiB", where=where)
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8: {error.reason} at {error.start}", where=where) from error
    decoder = json.JSONDecoder()
    at = count = 0
    while (at := _after_blanks(text, at)) < len(text):
        count += 1
        if count > MOST_DOCUMENTS:
            raise UsageError(f"more than {MOST_DOCUMENTS} documents", where=where)
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            what = str(error)[:120]
            raise UsageError(f"document {count} is not JSON: {what}", where=where) from error
        if not isinstance(document, dict):
            raise UsageError(f"document {count} is not an object", where=where)
        yield document
    if not count:
        raise UsageError("is empty", where=where)


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
