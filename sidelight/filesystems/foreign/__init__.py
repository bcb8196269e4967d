"""Filesystems that we do not read ourselves: by optional readers, or not at all."""
