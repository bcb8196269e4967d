"""Inventories, package sets, and the advisory databases that they were matched with."""
