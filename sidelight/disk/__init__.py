"""Partition tables and logical volumes."""
