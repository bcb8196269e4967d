"""VEX: what others, or the user, state of vulnerabilities in products. PURE.

`vex_documents` reads OpenVEX, CycloneDX VEX and CSAF VEX as statements; `ignore_file` the user's
own; `statements` decides which findings they suppress. docs/vex.md has the rules.
"""
