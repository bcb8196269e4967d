"""The scan engine of a fleet, without a queue: settings, stages, rate limits, budgets."""
