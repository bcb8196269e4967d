"""Write one machine's bill of materials in a format of `format_names`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.report.sbom.cyclonedx_json import write_json
from sidelight.report.sbom.cyclonedx_xml import write_xml
from sidelight.report.sbom.format_names import CYCLONEDX_JSON, SPDX_JSON, version_of
from sidelight.report.sbom.spdx import write_spdx

if TYPE_CHECKING:
    from typing import TextIO

    from sidelight.report.sbom.machine_boms import MachineBom


def write(form: str, bom: MachineBom, file: TextIO) -> None:
    """Write a document; `form` is one of SBOM_FORMATS. The file's encoding must be UTF-8."""
    if form == SPDX_JSON:
        write_spdx(bom, file)
    elif form.startswith(CYCLONEDX_JSON):
        write_json(bom, file, version_of(form))
    else:
        write_xml(bom, file, version_of(form))


def suffix_of(form: str) -> str:
    """Return the usual end of a file's name: `.cdx.json`, `.cdx.xml` or `.spdx.json`."""
    if form == SPDX_JSON:
        return ".spdx.json"
    return ".cdx.json" if form.startswith(CYCLONEDX_JSON) else ".cdx.xml"
