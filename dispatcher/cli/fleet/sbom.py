"""`sidelight fleet sbom`: bills of materials of the fleet's machines, a file each."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from dispatcher.cli.exit_status import PARTIAL
from dispatcher.cli.fleet.options import opened_store, report_no_instance
from dispatcher.cli.output_file import opened
from dispatcher.services.fleet_boms import FleetBoms
from sidelight.errors import StoreError, UsageError
from sidelight.report.as_table import counted
from sidelight.report.output import complain, say
from sidelight.report.progress import live
from sidelight.report.sbom import documents
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.fleet.settings import Settings
    from sidelight.report.sbom.machine_boms import MachineBom

# Ids become names of files.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def write_fleet(
    form: str,
    settings: Settings,
    into: Path,
    accounts: tuple[str, ...],
    instances: tuple[str, ...],
) -> None:
    """Write ACCOUNT/INSTANCE with the format's suffix below a directory; report what is missing."""
    filters = {
        name: [{"comparison": "EQUALS", "value": value} for value in values]
        for name, values in (("accountId", accounts), ("resourceId", instances))
        if values
    }
    search = CoverageSearch({**filters, "scanType": [{"comparison": "EQUALS", "value": "PACKAGE"}]})
    written, unread = 0, []
    with opened_store(settings) as store, live("writing bills of materials") as line:
        for page in FleetBoms(store, store.clock()).pages(search):
            for row, bom in page:
                if bom is None:
                    unread.append(row.instance)
                    continue
                _write(form, bom, into)
                written += 1
            line.text = f"writing bills of materials: {written}"
        if not written and not unread:
            report_no_instance(store)
            if filters:
                raise UsageError("no such instance in the store", where=", ".join(instances))
    say(f"{counted(written, 'bill', 'bills')} of materials in {into}")
    for instance in unread:
        complain(f"sidelight: {instance}: has no inventory, so it has no bill of materials")
    if unread:
        sys.exit(PARTIAL)


def _write(form: str, bom: MachineBom, into: Path) -> None:
    for name in (bom.account, bom.instance):
        if not _ID.fullmatch(name):
            raise StoreError("is not an id that a file can be named by", where=name)
    folder = into / bom.account
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(folder)) from error
    with opened(folder / f"{bom.instance}{documents.suffix_of(form)}") as file:
        documents.write(form, bom, file)
