"""Bills of materials as targets of a scan: CycloneDX (JSON, XML) and SPDX 2.3 (JSON) -> inventory.

`sbom_files` reads a file. `cyclonedx` and `spdx` list what a document has as `BillContents`;
`systems` and `packages` make an operating system and packages of it. docs/sbom.md has the rules.
"""
