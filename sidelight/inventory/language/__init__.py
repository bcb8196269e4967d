"""Language package managers' files."""
