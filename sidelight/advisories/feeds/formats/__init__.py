"""Feeds' formats: one module each, a decoded record or a document's bytes -> advisories and facts.

    recognises(record) -> bool              whether a JSON (or YAML) object is of this format
    parse(record) -> Iterator[Parsed]       its advisories, facts and problems

XML and CSV feeds have only `parse(stream)`: their first element or line identifies them. Nothing
here downloads. Versions are kept as the feeds write them.
"""
