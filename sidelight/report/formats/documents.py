"""Write one machine's findings in a format of `format_names`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.report.formats.csaf import write_csaf
from sidelight.report.formats.cyclonedx_vex import write_cyclonedx_vex
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
from sidelight.report.formats.gitlab import write_gitlab
from sidelight.report.formats.html import write_html
from sidelight.report.formats.junit import write_junit
from sidelight.report.formats.ocsf import write_ocsf
from sidelight.report.formats.openvex import write_openvex
from sidelight.report.formats.sarif import write_sarif

if TYPE_CHECKING:
    from collections.abc import Callable
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


def write(form: str, machine: ScannedMachine, file: TextIO) -> None:
    """Write a document; `form` is one of FINDING_FORMATS. The file's encoding must be UTF-8."""
    _WRITERS[form](machine, file)
