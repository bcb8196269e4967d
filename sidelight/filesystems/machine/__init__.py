"""A machine from its disks: which filesystem is mounted where, and the tree of all paths."""
