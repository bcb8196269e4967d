"""Findings: reconciled, suppressed, re-evaluated and announced."""
