"""Filesystem readers: ext2/3/4 and XFS, bytes in, trees out."""
