"""Severities and CVSS scores, from publishers' terms and vectors."""
