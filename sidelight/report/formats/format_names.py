"""The names of the formats, as `--format` takes them. They import nothing, for `--help`."""

from __future__ import annotations

from typing import Final

SARIF: Final = "sarif"
JUNIT: Final = "junit"
GITLAB: Final = "gitlab"
OCSF: Final = "ocsf"
HTML: Final = "html"
ASFF: Final = "asff"  # of instances' findings alone: it names their account
CSV: Final = "csv"  # in the columns of Inspector's reports
TEMPLATE: Final = "template"  # of the user's own
OPENVEX: Final = "openvex"
CYCLONEDX_VEX: Final = "cyclonedx-vex"
CSAF: Final = "csaf"
VEX_FORMATS: Final = (OPENVEX, CYCLONEDX_VEX, CSAF)
FINDING_FORMATS: Final = (SARIF, JUNIT, GITLAB, OCSF, HTML, *VEX_FORMATS)
