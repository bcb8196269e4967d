"""Decisions on which instances are scanned, how and when; without I/O and clock."""
