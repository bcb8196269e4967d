"""The fleet's instances, their coverage, and the origins of their snapshots."""
