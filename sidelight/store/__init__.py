"""The only SQL: scans, inventories, findings, coverage."""
