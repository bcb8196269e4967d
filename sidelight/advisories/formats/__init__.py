"""Feeds' formats: one module each, a decoded record or a document's bytes -> advisories and facts.

    recognises(record) -> bool              whether a JSON (or YAML) object is of this format
    parse(record) -> Iterator[Parsed]       what it says

XML and CSV feeds have `parse(stream)` alone: their first element or line tells them. Nothing here
downloads. Versions are kept as the feeds write them.
"""
