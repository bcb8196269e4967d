"""Sidelight: what is installed on a machine, and what is wrong with it, read from its disks."""

__version__ = "0.1.0"
