"""The common base of the store's parts: engine, clock, dialect, schema, leases."""
