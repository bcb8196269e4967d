"""The names of the formats, as `--format` takes them. They import nothing, for `--help`."""

from __future__ import annotations

from typing import Final

CYCLONEDX_JSON: Final = "cyclonedx-json"
CYCLONEDX_XML: Final = "cyclonedx-xml"
SPDX_JSON: Final = "spdx-json"
# A name without a version is of the newest one.
NEWEST: Final = "1.6"
CYCLONEDX_VERSIONS: Final = ("1.4", "1.5", "1.6")
SBOM_FORMATS: Final = (
    CYCLONEDX_JSON, "cyclonedx-json@1.5", "cyclonedx-json@1.4",
    CYCLONEDX_XML, "cyclonedx-xml@1.5", "cyclonedx-xml@1.4",
    SPDX_JSON,
)  # fmt: skip


def version_of(form: str) -> str:
    """Return the version of CycloneDX that a format's name asks for."""
    return form.partition("@")[2] or NEWEST
