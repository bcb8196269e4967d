"""Write one machine's findings in a format of `format_names`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.report.formats.csaf import write_csaf, write_fleet_csaf
from sidelight.report.formats.cyclonedx_vex import write_cyclonedx_vex, write_fleet_cyclonedx_vex
from sidelight.report.formats.format_names import (
    CSAF,
    CYCLONEDX_VEX,
    GITLAB,
    HTML,
    JUNIT,
    OCSF,
    OPENVEX,
    SARIF,
)
from sidelight.report.formats.gitlab import write_fleet_gitlab, write_gitlab
from sidelight.report.formats.html import write_fleet_html, write_html
from sidelight.report.formats.junit import write_fleet_junit, write_junit
from sidelight.report.formats.ocsf import write_fleet_ocsf, write_ocsf
from sidelight.report.formats.openvex import write_fleet_openvex, write_openvex
from sidelight.report.formats.sarif import write_fleet_sarif, write_sarif

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from typing import TextIO

    from sidelight.report.formats.scanned_machine import ScannedMachine

_WRITERS: Final[dict[str, Callable[[ScannedMachine, TextIO], None]]] = {
    SARIF: write_sarif,
    JUNIT: write_junit,
    GITLAB: write_gitlab,
    OCSF: write_ocsf,
    HTML: write_html,
    OPENVEX: write_openvex,
    CYCLONEDX_VEX: write_cyclonedx_vex,
    CSAF: write_csaf,
}


_FLEET_WRITERS: Final[dict[str, Callable[[Iterable[ScannedMachine], TextIO], None]]] = {
    SARIF: write_fleet_sarif,
    JUNIT: write_fleet_junit,
    GITLAB: write_fleet_gitlab,
    OCSF: write_fleet_ocsf,
    HTML: write_fleet_html,
}
_FLEET_VEX_WRITERS: Final[
    dict[str, Callable[[Iterable[ScannedMachine], TextIO, datetime], None]]
] = {
    OPENVEX: write_fleet_openvex,
    CYCLONEDX_VEX: write_fleet_cyclonedx_vex,
    CSAF: write_fleet_csaf,
}


def write_fleet(form: str, machines: Iterable[ScannedMachine], file: TextIO, at: datetime) -> None:
    """Write one document about instances; `at` is the document's time.

    One machine is in memory at a time, but for CSAF. Raises SidelightError where a format needs a
    statement and there is none.
    """
    if form in _FLEET_VEX_WRITERS:
        _FLEET_VEX_WRITERS[form](machines, file, at)
    else:
        _FLEET_WRITERS[form](machines, file)


def write(form: str, machine: ScannedMachine, file: TextIO) -> None:
    """Write a document; `form` is one of FINDING_FORMATS. The file's encoding must be UTF-8."""
    _WRITERS[form](machine, file)
