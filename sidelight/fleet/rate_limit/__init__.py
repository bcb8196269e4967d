"""Rate limits: calls a second, shared by all workers."""
