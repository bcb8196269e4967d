"""The shapes of all JSON documents that Sidelight prints or writes; docs/schemas is made of them.

Each shape is a TypedDict, so that mypy checks the code that builds it. `catalogue.DOCUMENTS` names
all of them, and `json_schema` converts each to a JSON Schema.
"""
