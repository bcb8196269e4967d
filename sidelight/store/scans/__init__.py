"""Scans and their stages: claims, transitions, messages, snapshot polls, limits, sweeps."""
