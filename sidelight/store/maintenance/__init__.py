"""Retention, totals and costs."""
