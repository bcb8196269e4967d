"""The ports that edges reach, in Inspector's terms."""
