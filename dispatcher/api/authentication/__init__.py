"""Who calls: signatures, access keys, rate limits, and the audit log."""
