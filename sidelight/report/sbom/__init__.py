"""Software bills of materials of machines: CycloneDX 1.4 to 1.6 (JSON, XML) and SPDX 2.3 (JSON).

`documents.write` writes one machine's document; docs/sbom.md has its members. The documents are
written here and validated in tests by the schemas of cyclonedx-python-lib and by spdx-tools
(docs/decisions has the measurement behind this).
"""
